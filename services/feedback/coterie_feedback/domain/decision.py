"""What a decision hands to the store: new states, a line of history each, and events.

One decision has one cause. Decisions of a batch are saved together, later states over earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft

if TYPE_CHECKING:
    from coterie_feedback.domain.look_agains import Implementation, LookAgain
    from coterie_feedback.domain.suggestion import Suggestion

__all__ = ["Change", "Decision", "Deed", "Hand"]


class Deed(StrEnum):
    """What was done to a suggestion, as its history tells."""

    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PLANNED = "planned"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    MERGED = "merged"
    UNMERGED = "unmerged"
    IMPLEMENTED = "implemented"
    VERIFIED = "verified"
    REOPENED = "reopened"
    UNCONFIRMED = "unconfirmed"


class Hand(StrEnum):
    """Whose doing a change was. Members are never named in a history."""

    AUTHOR = "author"
    SUPPORTERS = "supporters"
    TEAM = "team"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A line of a suggestion's history. `note` is a text written by staff."""

    feedback_id: UUID
    version: int
    community_id: UUID
    deed: Deed
    by: Hand
    at: datetime
    cause_id: UUID
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    cause: Cause
    suggestions: tuple[Suggestion, ...] = ()
    changes: tuple[Change, ...] = ()
    implementations: tuple[Implementation, ...] = ()
    look_agains: tuple[LookAgain, ...] = ()
    drafts: tuple[Draft, ...] = ()

    def then(self, later: Decision) -> Decision:
        """This decision followed by another one of the same cause."""
        return Decision(
            cause=self.cause,
            suggestions=self.suggestions + later.suggestions,
            changes=self.changes + later.changes,
            implementations=self.implementations + later.implementations,
            look_agains=self.look_agains + later.look_agains,
            drafts=self.drafts + later.drafts,
        )
