"""Facts for the sample service, and what it heard."""

from __future__ import annotations

from uuid import UUID, uuid4

from sqlalchemy import select

from coterie_chassis.testing import Harness, event_of
from coterie_contracts.envelope import Event
from coterie_contracts.feedback import FeedbackSubmitted

from . import sample

COMMUNITY = uuid4()


def fact(subject: UUID, sequence: int = 1) -> Event[FeedbackSubmitted]:
    body = FeedbackSubmitted(
        feedback_id=subject, community_id=COMMUNITY, author_id=uuid4(), objective_id=None
    )
    return event_of(body, subject, sequence=sequence)


async def heard(h: Harness) -> list[tuple[UUID, int]]:
    """Subject and sequence, in the order in which they took effect."""
    async with h.database.begin() as uow:
        rows = await uow.rows(select(sample.heard).order_by(sample.heard.c.position))
    return [(row.subject, row.sequence) for row in rows]
