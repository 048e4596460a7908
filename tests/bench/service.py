"""The bench's own service: ratings in, one row each out, written as any service's handlers are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from time import perf_counter
from uuid import UUID, uuid4, uuid5

from sqlalchemy import Column, DateTime, Float, MetaData, Table, Uuid

from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.decisions import Cause, Draft
from coterie_chassis.service import Service
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.store import UnitOfWork, bulk_insert
from coterie_contracts.feedback import ContributionKind, ContributionRated

__all__ = ["KEYS", "TOPIC", "Heard", "cause", "heard", "opinion", "ratings", "service"]

KEYS = 10_000
TOPIC = ContributionRated.topic
_COMMUNITIES = [uuid4() for _ in range(100)]
_BRAND = uuid4()

metadata = MetaData()
opinion = Table(
    "opinion",
    metadata,
    Column("contribution_id", Uuid, primary_key=True),
    Column("rater_id", Uuid, primary_key=True),
    Column("author_id", Uuid, nullable=False),
    Column("value", Float, nullable=False),
    Column("rated_at", DateTime(timezone=True), nullable=False),
)


class Heard:
    """How much the handler has been given, and since when."""

    def __init__(self) -> None:
        self.more = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        self.count = 0
        self.since = perf_counter()

    def add(self, count: int) -> None:
        """Given in one batch; wakes who waits for `more`."""
        self.count += count
        self.more.set()

    @property
    def seconds(self) -> float:
        """Since the handler was given its first batch."""
        return perf_counter() - self.since


heard = Heard()


@handles(ContributionRated, fold=Fold.EVERY)
async def keep_opinions(events: Batch[ContributionRated], uow: UnitOfWork) -> None:
    if heard.count == 0:
        heard.since = perf_counter()
    rows = [
        {
            "contribution_id": event.data.contribution_id,
            "rater_id": event.data.rater_id,
            "author_id": event.data.author_id,
            "value": event.data.value,
            "rated_at": event.data.rated_at,
        }
        for event in events
    ]
    await bulk_insert(uow, opinion, rows, on_conflict_do_nothing=True)
    heard.add(len(events))


def cause(uow: UnitOfWork, number: int) -> Cause:
    """What a command would be: a member of one of a hundred communities does something."""
    return Cause(
        id=uuid4(),
        actor=f"person:{uuid4()}",
        at=uow.now,
        recorded_at=uow.now,
        correlation_id=uuid4(),
        community_id=_COMMUNITIES[number % len(_COMMUNITIES)],
        brand_id=_BRAND,
        traceparent=f"00-{uuid4().hex}-b7ad6b7169203331-01",
    )


def ratings(keys: list[UUID], first: int, count: int) -> list[Draft]:
    """Ratings of about 440 bytes, each of another contribution than the one before."""
    now = datetime.now(UTC)
    community = _COMMUNITIES[first % len(_COMMUNITIES)]
    drafts = []
    for number in range(first, first + count):
        subject = keys[number % len(keys)]
        rater = uuid5(subject, str(number))
        body = ContributionRated(
            rating_id=subject,
            contribution_id=subject,
            contribution_kind=ContributionKind.FEEDBACK,
            community_id=community,
            author_id=rater,
            rater_id=rater,
            value=number % 11 / 10,
            rated_at=now,
            contributed_at=now,
        )
        drafts.append(Draft(subject, body, number + 1, str(number)))
    return drafts


service = Service(
    name="sample",
    settings=ChassisSettings,
    apis=[],
    handlers=[keep_opinions],
    metadata=metadata,
    migrations="tests.chassis.sample_revisions",
)
