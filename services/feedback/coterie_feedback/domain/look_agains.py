"""Who is asked to look again, from when, and until when.

The clock of a look-again starts at the first instant outside the member's quiet hours, so nobody
loses days to the hour at which something was built.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid5

from coterie_chassis.decisions import Cause, Draft
from coterie_contracts.feedback import (
    AskedAs,
    LookAgainLapsed,
    LookAgainRequested,
    VerifiedBy,
)
from coterie_feedback.domain.decision import Decision
from coterie_feedback.domain.quiet_hours import QuietHours, zone_of
from coterie_feedback.domain.suggestion import Status

__all__ = [
    "ANSWERED",
    "Implementation",
    "Invitee",
    "LookAgain",
    "LookState",
    "What",
    "asked",
    "closed",
    "invitation",
    "restarted",
    "who_to_ask",
]

SUPPORTERS_ASKED: Final = 3
LOOK_WITHIN: Final = timedelta(days=14)
LATE_WITHIN: Final = timedelta(days=90)


class LookState(StrEnum):
    REQUESTED = "requested"
    SATISFIED = "satisfied"
    UNSATISFIED = "unsatisfied"
    LAPSED = "lapsed"
    NOT_ASKABLE = "not_askable"


ANSWERED: Final = frozenset({LookState.SATISFIED, LookState.UNSATISFIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain:
    """One member's part in a round; at most one per implementation and member.

    `starts_at` is the first instant outside the member's quiet hours; `due_at` and `late_until`
    count from it. `member_sequence` is the member's change of standing that was the latest known
    when they were asked: a later departure ends the question, whatever is known by then.
    """

    look_again_id: UUID
    implementation_id: UUID
    feedback_id: UUID
    community_id: UUID
    member_id: UUID
    round: int
    asked_as: AskedAs
    state: LookState
    requested_at: datetime
    starts_at: datetime
    due_at: datetime
    late_until: datetime
    member_sequence: int
    answered_at: datetime | None = None
    sequence: int = 1

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "look_again_id": self.look_again_id,
            "implementation_id": self.implementation_id,
            "feedback_id": self.feedback_id,
            "community_id": self.community_id,
            "member_id": self.member_id,
            "round": self.round,
            "asked_as": self.asked_as,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What staff say about a change: what it is and where to see it."""

    what_changed: str
    see_it_at: str
    release: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementation:
    """One time that a suggestion was built; `outcome` is what its round came to."""

    implementation_id: UUID
    feedback_id: UUID
    community_id: UUID
    round: int
    label: str
    what_changed: str
    see_it_at: str
    release: str | None
    implemented_at: datetime
    duplicate_author_ids: tuple[UUID, ...]
    outcome: Status | None = None
    outcome_by: VerifiedBy | None = None
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Invitee:
    """Somebody whom a round would ask. Who is gone is not askable. `zones` are IANA
    names, the member's own before the community's; `sequence` counts changes of standing."""

    member_id: UUID
    asked_as: AskedAs
    askable: bool
    zones: tuple[str, ...]
    sequence: int


def who_to_ask(
    author_id: UUID, duplicate_author_ids: Iterable[UUID], supporters: Iterable[UUID]
) -> list[tuple[UUID, AskedAs]]:
    """The author, the authors of duplicates, and the first three of the ranked supporters.

    Everybody once, in the strongest part that they have.
    """
    asked = {author_id: AskedAs.AUTHOR}
    for member_id in sorted(duplicate_author_ids):
        asked.setdefault(member_id, AskedAs.DUPLICATE_AUTHOR)
    others = (member_id for member_id in supporters if member_id not in asked)
    for member_id, _ in zip(list(dict.fromkeys(others)), range(SUPPORTERS_ASKED), strict=False):
        asked[member_id] = AskedAs.SUPPORTER
    return list(asked.items())


def asked(implementation: Implementation, invitee: Invitee, quiet: QuietHours) -> LookAgain:
    """The question to one member, open unless they cannot be asked."""
    at = implementation.implemented_at
    return LookAgain(
        look_again_id=uuid5(implementation.implementation_id, str(invitee.member_id)),
        implementation_id=implementation.implementation_id,
        feedback_id=implementation.feedback_id,
        community_id=implementation.community_id,
        member_id=invitee.member_id,
        round=implementation.round,
        asked_as=invitee.asked_as,
        state=LookState.REQUESTED if invitee.askable else LookState.NOT_ASKABLE,
        requested_at=at,
        member_sequence=invitee.sequence,
        **_times(at, invitee.zones, quiet),
    )


def restarted(one: LookAgain, at: datetime, zones: Sequence[str], quiet: QuietHours) -> LookAgain:
    """An open question whose time begins anew at `at`, because its community's clock did."""
    return replace(one, **_times(at, zones, quiet))


def _times(at: datetime, zones: Sequence[str], quiet: QuietHours) -> dict[str, Any]:
    starts_at = quiet.first_decent(at, zone_of(*zones))
    return {
        "starts_at": starts_at,
        "due_at": starts_at + LOOK_WITHIN,
        "late_until": starts_at + LATE_WITHIN,
    }


def invitation(one: LookAgain, implementation: Implementation) -> Draft:
    """The event of a new look-again."""
    if one.state is LookState.NOT_ASKABLE:
        return Draft(one.look_again_id, LookAgainLapsed(**one.facts, not_askable=True), 1)
    body = LookAgainRequested(
        **one.facts,
        label=implementation.label,
        what_changed=implementation.what_changed,
        see_it_at=implementation.see_it_at,
        due_at=one.due_at,
    )
    return Draft(one.look_again_id, body, 1)


def closed(one: LookAgain, cause: Cause, state: LookState) -> Decision:
    """An open look-again ends without an answer."""
    ended = replace(one, state=state, sequence=one.sequence + 1)
    body = LookAgainLapsed(**ended.facts, not_askable=state is LookState.NOT_ASKABLE)
    draft = Draft(ended.look_again_id, body, ended.sequence)
    return Decision(cause=cause, look_agains=(ended,), drafts=(draft,))
