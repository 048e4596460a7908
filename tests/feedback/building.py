"""Causes and states for tests of the pure part."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID, uuid4

from coterie_chassis.decisions import Cause
from coterie_contracts.feedback import AskedAs
from coterie_feedback.domain import rounds, suggestion
from coterie_feedback.domain.look_agains import Invitee, What
from coterie_feedback.domain.quiet_hours import QuietHours
from coterie_feedback.domain.rounds import Round
from coterie_feedback.domain.suggestion import Suggestion

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
QUIET = QuietHours(time(21), time(8))
COMMUNITY = uuid4()


def cause(at: datetime = NOON) -> Cause:
    id_ = uuid4()
    return Cause(
        id=id_,
        actor="system",
        at=at,
        recorded_at=at,
        correlation_id=id_,
        community_id=COMMUNITY,
    )


def submitted(author_id: UUID | None = None, at: datetime = NOON) -> Suggestion:
    return suggestion.submit(
        cause(at),
        feedback_id=uuid4(),
        community_id=COMMUNITY,
        author_id=author_id or uuid4(),
        objective_id=None,
    ).suggestions[-1]


def planned(author_id: UUID | None = None) -> Suggestion:
    accepted = suggestion.accept(submitted(author_id), cause(), label="Lights").suggestions[-1]
    return suggestion.plan(accepted, cause()).suggestions[-1]


def again(item: Suggestion) -> Suggestion:
    """A reopened suggestion, planned once more."""
    return suggestion.plan(item, cause()).suggestions[-1]


def invited(
    author_id: UUID,
    *,
    duplicates: tuple[UUID, ...] = (),
    supporters: tuple[UUID, ...] = (),
    gone: tuple[UUID, ...] = (),
) -> list[Invitee]:
    parts = [(author_id, AskedAs.AUTHOR)]
    parts += [(one, AskedAs.DUPLICATE_AUTHOR) for one in duplicates]
    parts += [(one, AskedAs.SUPPORTER) for one in supporters]
    return [Invitee(who, part, who not in gone, ("UTC",), 1) for who, part in parts]


def begun(item: Suggestion, invitees: list[Invitee], *, at: datetime = NOON, **more: Any) -> Round:
    decision = rounds.implement(
        item,
        cause(at),
        What(what_changed="New lights", see_it_at="in your next order"),
        implementation_id=uuid4(),
        duplicate_author_ids=[
            one.member_id for one in invitees if one.asked_as is AskedAs.DUPLICATE_AUTHOR
        ],
        invitees=invitees,
        quiet=QUIET,
        **more,
    )
    implementation = decision.implementations[-1]
    return Round(
        suggestion=decision.suggestions[-1],
        implementation=implementation,
        look_agains=tuple(
            one
            for one in decision.look_agains
            if one.implementation_id == implementation.implementation_id
        ),
    )


def look_of(round_: Round, member_id: UUID) -> UUID:
    return next(one.look_again_id for one in round_.look_agains if one.member_id == member_id)
