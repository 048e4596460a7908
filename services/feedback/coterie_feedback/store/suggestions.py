"""Suggestions and rounds: lock them in order, save what decisions made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis.decisions import Refusal
from coterie_chassis.store import UnitOfWork, bulk_insert, bulk_upsert
from coterie_contracts.feedback import AskedAs, VerifiedBy
from coterie_feedback.domain.decision import Decision
from coterie_feedback.domain.look_agains import Implementation, LookAgain, LookState
from coterie_feedback.domain.rounds import Round
from coterie_feedback.domain.suggestion import Status, Suggestion
from coterie_feedback.store import tables

__all__ = [
    "LAPSE",
    "add",
    "has_duplicates",
    "implementation_of",
    "lock",
    "lock_star",
    "lock_with_clock",
    "open_look_agains",
    "peek",
    "rounds_of",
    "rounds_open_in",
    "rounds_waiting_for",
    "save",
    "was_caused",
]

LAPSE: Final = "look_again.lapse"


async def peek(uow: UnitOfWork, feedback_id: UUID) -> Suggestion | None:
    """A suggestion, not locked: for what never changes, or may be a moment old."""
    row = await uow.one_or_none(_PEEK, {"id": feedback_id})
    return None if row is None else _suggestion(row)


async def lock(uow: UnitOfWork, feedback_ids: Collection[UUID]) -> dict[UUID, Suggestion]:
    """Suggestions by id, locked in the order of their ids; one statement."""
    if not feedback_ids:
        return {}
    rows = await uow.rows(_LOCK, {"ids": list(feedback_ids)})
    return {row.feedback_id: _suggestion(row) for row in rows}


async def lock_with_clock(
    uow: UnitOfWork, community_id: UUID, feedback_ids: Collection[UUID]
) -> dict[UUID, Suggestion]:
    """Several suggestions of one community, after its clock row."""
    await uow.execute(_HOLD_CLOCK, {"community": community_id})
    return await lock(uow, feedback_ids)


async def lock_star(
    uow: UnitOfWork, community_id: UUID, feedback_id: UUID
) -> tuple[Suggestion, list[Suggestion], Suggestion | None]:
    """A suggestion with all its duplicates and the root that it was merged into, locked.

    Raises `Refusal` 409 where one was merged while the lock was awaited: locking it then would
    break the order.
    """
    await uow.execute(_HOLD_CLOCK, {"community": community_id})
    ids = {feedback_id, *(row.feedback_id for row in await uow.rows(_STAR, {"id": feedback_id}))}
    found = await lock(uow, ids)
    now = {row.feedback_id for row in await uow.rows(_STAR, {"id": feedback_id})}
    if not now <= ids:
        raise Refusal("lost-race", "A duplicate was merged just now; please try again.")
    item = found.pop(feedback_id)
    duplicates = [one for one in found.values() if one.root_id == feedback_id]
    return item, duplicates, found.get(item.root_id) if item.root_id is not None else None


async def has_duplicates(uow: UnitOfWork, feedback_id: UUID) -> bool:
    """Whether others were merged into a suggestion."""
    return bool(await uow.rows(_DUPLICATES, {"id": feedback_id}))


async def was_caused(uow: UnitOfWork, feedback_id: UUID, cause_id: UUID) -> bool:
    """Whether this very command changed the suggestion already, its stored outcome being gone."""
    values = {"id": feedback_id, "cause": cause_id}
    return await uow.one_or_none(_WAS_CAUSED, values) is not None


async def add(uow: UnitOfWork, decision: Decision, words: str) -> None:
    """Store a new suggestion with its text."""
    await bulk_insert(uow, tables.feedback, [asdict(new) for new in decision.suggestions])
    texts = [
        {
            "feedback_id": new.feedback_id,
            "community_id": new.community_id,
            "author_id": new.author_id,
            "text": words,
        }
        for new in decision.suggestions
    ]
    await bulk_insert(uow, tables.feedback_text, texts)
    await bulk_insert(uow, tables.feedback_change, [asdict(one) for one in decision.changes])
    uow.publish(decision.cause, *decision.drafts)


async def save(uow: UnitOfWork, decisions: Sequence[Decision]) -> None:
    """Store decisions in their order; a constant number of statements for any number of them."""
    suggestions = {s.feedback_id: s for d in decisions for s in d.suggestions}
    implementations = {i.implementation_id: i for d in decisions for i in d.implementations}
    look_agains = {one.look_again_id: one for d in decisions for one in d.look_agains}
    changes = [asdict(change) for d in decisions for change in d.changes]
    await bulk_upsert(uow, tables.feedback, _sorted(suggestions), keys=("feedback_id",))
    await bulk_upsert(
        uow, tables.implementation, _sorted(implementations), keys=("implementation_id",)
    )
    await bulk_upsert(uow, tables.look_again, _sorted(look_agains), keys=("look_again_id",))
    await bulk_insert(uow, tables.feedback_change, changes)
    for one in look_agains.values():
        if one.state is LookState.REQUESTED:
            uow.schedule(LAPSE, one.look_again_id, one.community_id, one.due_at)
    for decision in decisions:
        uow.publish(decision.cause, *decision.drafts)


async def rounds_of(uow: UnitOfWork, look_again_ids: Collection[UUID]) -> list[Round]:
    """The rounds of look-agains, everything locked in order; four statements."""
    rows = await uow.rows(_ROUNDS_OF, {"ids": list(look_again_ids)})
    return await _rounds(uow, rows)


async def rounds_waiting_for(uow: UnitOfWork, member_ids: Collection[UUID]) -> list[Round]:
    """The rounds in which somebody of these is still asked; locked like `rounds_of`."""
    rows = await uow.rows(_WAITING_FOR, {"ids": list(member_ids)})
    return await _rounds(uow, rows)


async def rounds_open_in(uow: UnitOfWork, community_ids: Collection[UUID]) -> list[Round]:
    """The rounds of communities in which somebody is still asked; locked like `rounds_of`."""
    rows = await uow.rows(_OPEN_IN, {"communities": list(community_ids)})
    return await _rounds(uow, rows)


async def open_look_agains(uow: UnitOfWork, feedback_id: UUID) -> list[LookAgain]:
    """Those of any round of a locked suggestion that are still open, locked."""
    return [_look_again(row) for row in await uow.rows(_OPEN_OF, {"id": feedback_id})]


async def implementation_of(uow: UnitOfWork, suggestion: Suggestion) -> Implementation | None:
    """The latest implementation of a suggestion, if it ever was built."""
    ids = [] if suggestion.implementation_id is None else [suggestion.implementation_id]
    row = await uow.one_or_none(_IMPLEMENTATIONS, {"ids": ids})
    return None if row is None else _implementation(row)


async def _rounds(uow: UnitOfWork, found: Iterable[Row[Any]]) -> list[Round]:
    pairs = {(row.implementation_id, row.feedback_id) for row in found}
    if not pairs:
        return []
    suggestions = await lock(uow, {feedback_id for _, feedback_id in pairs})
    ids = {"ids": [implementation_id for implementation_id, _ in pairs]}
    implementations = [_implementation(row) for row in await uow.rows(_IMPLEMENTATIONS, ids)]
    look_agains = [_look_again(row) for row in await uow.rows(_LOCK_LOOK_AGAINS, ids)]
    return [
        Round(
            suggestion=suggestions[one.feedback_id],
            implementation=one,
            look_agains=tuple(
                look for look in look_agains if look.implementation_id == one.implementation_id
            ),
        )
        for one in implementations
    ]


def _sorted(things: dict[UUID, Any]) -> list[dict[str, Any]]:
    return [asdict(things[id_]) for id_ in sorted(things)]


def _of(cls: type[Any], row: Row[Any]) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(cls)}


def _suggestion(row: Row[Any]) -> Suggestion:
    return Suggestion(**{**_of(Suggestion, row), "status": Status(row.status)})


def _implementation(row: Row[Any]) -> Implementation:
    values = _of(Implementation, row) | {
        "duplicate_author_ids": tuple(row.duplicate_author_ids),
        "outcome": None if row.outcome is None else Status(row.outcome),
        "outcome_by": None if row.outcome_by is None else VerifiedBy(row.outcome_by),
    }
    return Implementation(**values)


def _look_again(row: Row[Any]) -> LookAgain:
    values = _of(LookAgain, row) | {
        "asked_as": AskedAs(row.asked_as),
        "state": LookState(row.state),
    }
    return LookAgain(**values)


_PEEK: Final = text("SELECT * FROM feedback WHERE feedback_id = :id")
_LOCK: Final = text(
    "SELECT * FROM feedback WHERE feedback_id = ANY(CAST(:ids AS uuid[])) "
    "ORDER BY feedback_id FOR NO KEY UPDATE"
)
_HOLD_CLOCK: Final = text("SELECT 1 FROM community_clock WHERE community_id = :community FOR SHARE")
_DUPLICATES: Final = text(
    "SELECT feedback_id FROM feedback WHERE star_id = :id AND root_id IS NOT NULL"
)
_STAR: Final = text(
    "SELECT feedback_id FROM feedback WHERE star_id = :id AND root_id IS NOT NULL "
    "UNION ALL SELECT root_id FROM feedback WHERE feedback_id = :id AND root_id IS NOT NULL"
)
_WAS_CAUSED: Final = text(
    "SELECT 1 FROM feedback_change WHERE feedback_id = :id AND cause_id = :cause LIMIT 1"
)
_ROUNDS_OF: Final = text(
    "SELECT DISTINCT implementation_id, feedback_id FROM look_again "
    "WHERE look_again_id = ANY(CAST(:ids AS uuid[]))"
)
_WAITING_FOR: Final = text(
    "SELECT DISTINCT implementation_id, feedback_id FROM look_again "
    "WHERE member_id = ANY(CAST(:ids AS uuid[])) AND state = 'requested'"
)
_OPEN_IN: Final = text(
    "SELECT DISTINCT implementation_id, feedback_id FROM look_again "
    "WHERE community_id = ANY(CAST(:communities AS uuid[])) AND state = 'requested'"
)
_IMPLEMENTATIONS: Final = text(
    "SELECT * FROM implementation WHERE implementation_id = ANY(CAST(:ids AS uuid[])) "
    "ORDER BY implementation_id"
)
_LOCK_LOOK_AGAINS: Final = text(
    "SELECT * FROM look_again WHERE implementation_id = ANY(CAST(:ids AS uuid[])) "
    "ORDER BY look_again_id FOR NO KEY UPDATE"
)
_OPEN_OF: Final = text(
    "SELECT * FROM look_again WHERE feedback_id = :id AND state = 'requested' "
    "ORDER BY look_again_id FOR NO KEY UPDATE"
)
