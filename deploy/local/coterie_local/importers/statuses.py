"""Status tags become the deeds of staff.

Most posts get their status in one jump. The steps that the platform needs before it are
inserted at the same instant and marked as simulated. A post that ends completed counts as
implemented, so an earlier refusal of it is left out: a declined item never comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from coterie_local.importers.plan import RowRef, Step, StepKind, Why
from coterie_local.importers.stackexchange import TagEdit

DEED_OF_TAG = {
    "status-completed": StepKind.IMPLEMENT,
    "status-declined": StepKind.DECLINE,
    "status-bydesign": StepKind.DECLINE,
    "status-norepro": StepKind.DECLINE,
    "status-planned": StepKind.PLAN,
    "status-deferred": StepKind.ACCEPT,
    "status-reproduced": StepKind.ACCEPT,
    "status-review": StepKind.ACCEPT,
}
_STRONGEST_FIRST = (StepKind.IMPLEMENT, StepKind.DECLINE, StepKind.PLAN, StepKind.ACCEPT)
_PATH = (StepKind.ACCEPT, StepKind.PLAN, StepKind.IMPLEMENT)
_REASON = {
    "status-declined": "Declined.",
    "status-bydesign": "This is by design.",
    "status-norepro": "We could not see this happen again.",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The feedback whose statuses are read: when it was made and how its tags ended."""

    post_id: int
    target: str
    submitted_at: datetime
    completed: bool
    settled_by: datetime


@dataclass(frozen=True, slots=True)
class Unplayed:
    """An edit that changes nothing, and why."""

    ref: RowRef
    why: Why


def deeds(suggestion: Suggestion, edits: Iterable[TagEdit]) -> Iterator[Step | Unplayed]:
    """Steps of staff on one suggestion, and the edits that lead to none.

    `edits` are all dated tag edits of that post in any order.
    """
    reached: StepKind | None = None
    before: frozenset[str] = frozenset()
    for edit in sorted(edits, key=lambda e: (e.created_at or suggestion.submitted_at, e.ref.row)):
        statuses = edit.tags & DEED_OF_TAG.keys()
        fresh, before = statuses - before, statuses
        wanted = _strongest(fresh)
        why = _unplayable(wanted, statuses, reached, suggestion)
        if why is not None or wanted is None:
            yield Unplayed(edit.ref, why or Why.NO_STATUS)
            continue
        tag = min(each for each in fresh if DEED_OF_TAG[each] is wanted)
        at = max(edit.created_at or suggestion.submitted_at, suggestion.submitted_at)
        yield from _walk(suggestion, reached, wanted, at=at, edit=edit, tag=tag)
        reached = wanted
    if suggestion.completed and reached is not StepKind.IMPLEMENT:
        at = max(suggestion.settled_by, suggestion.submitted_at)
        yield from _walk(suggestion, reached, StepKind.IMPLEMENT, at=at)


def _strongest(statuses: Iterable[str]) -> StepKind | None:
    present = {DEED_OF_TAG[status] for status in statuses}
    return next((kind for kind in _STRONGEST_FIRST if kind in present), None)


def _unplayable(
    wanted: StepKind | None,
    statuses: frozenset[str],
    reached: StepKind | None,
    suggestion: Suggestion,
) -> Why | None:
    if not statuses:
        return Why.NO_STATUS
    if wanted is None or wanted is reached:
        return Why.SAME_STATUS
    if wanted is StepKind.DECLINE and suggestion.completed:
        return Why.OVERTAKEN
    declined = reached is StepKind.DECLINE
    backwards = reached is not None and wanted < reached
    if declined or backwards or (wanted is StepKind.DECLINE and reached is not None):
        return Why.CANNOT_FOLLOW
    return None


def _walk(
    suggestion: Suggestion,
    reached: StepKind | None,
    wanted: StepKind,
    *,
    at: datetime,
    edit: TagEdit | None = None,
    tag: str = "",
) -> Iterator[Step]:
    """The deed that a tag names and, simulated, those between it and what was reached."""
    path = (wanted,) if wanted is StepKind.DECLINE else _PATH[: _PATH.index(wanted) + 1]
    actor = f"user:{edit.user_id}" if edit and edit.user_id and edit.user_id > 0 else None
    for kind in path:
        if reached is not None and kind <= reached:
            continue
        yield Step(
            at=at,
            kind=kind,
            key=f"{suggestion.target}:{kind.name.lower()}",
            actor=actor,
            target=suggestion.target,
            payload=staff_words(kind, str(suggestion.post_id), _REASON.get(tag)),
            row=edit.ref if edit else None,
            settles=edit is not None and kind is wanted,
            simulated=edit is None or kind is not wanted,
        )


def staff_words(kind: StepKind, number: str, reason: str | None = None) -> dict[str, str | float]:
    """What staff write with a deed; no word of a member's, since events carry these."""
    match kind:
        case StepKind.ACCEPT:
            return {"label": f"Suggestion {number}"}
        case StepKind.DECLINE:
            return {"reason": reason or "Declined."}
        case StepKind.IMPLEMENT:
            return {"what_changed": f"Suggestion {number} was built.", "see_it_at": "on the site"}
        case _:
            return {}
