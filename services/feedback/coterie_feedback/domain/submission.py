"""What a new suggestion is about, and how many a day a member may make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Refusal
from coterie_contracts.community import CommunityStatus, Objective

__all__ = ["A_DAY", "TEXT_LIMIT", "check_open", "objective_of", "too_many"]

A_DAY: Final = 10
TEXT_LIMIT: Final = 4_000


def objective_of(
    objectives: Sequence[Objective], wanted: UUID | None, *, outside: bool
) -> UUID | None:
    """The objective that a suggestion serves; None for one outside the objectives.

    The only objective is taken by itself; with two the member says which.
    """
    current = [one.objective_id for one in objectives if not one.retired]
    if outside:
        if wanted is not None:
            raise Refusal("outside-or-objective", "Name an objective or say outside, not both.")
        return None
    if wanted is not None:
        if wanted not in current:
            raise Refusal("unknown-objective", "This community has no such objective now.")
        return wanted
    if len(current) > 1:
        raise Refusal(
            "objective-needed", "This community has two objectives; say which, or say outside."
        )
    return current[0] if current else None


def check_open(status: CommunityStatus) -> None:
    """A closed community takes no new suggestions and calls for none."""
    if status is CommunityStatus.CLOSED:
        raise Refusal("community-closed", "This community is closed.")


def too_many() -> Refusal:
    """The refusal of one suggestion more than a day takes."""
    return Refusal(
        "daily-limit",
        f"You have made {A_DAY} suggestions today; the next one can be made tomorrow.",
    )
