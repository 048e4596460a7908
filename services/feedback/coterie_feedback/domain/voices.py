"""Whose voice counts about what: support feeds priority, a rating feeds merit.

Both are aggregates of their own, each under an id of its own: one member may do both to one item.
Nobody supports or rates their own. Of one rater's ratings of one contribution the latest by
(rated_at, event id) stands, so the order in which they arrive does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from coterie_chassis.decisions import Cause, Draft, Forbidden, NotFound, Refusal, event_id
from coterie_contracts.feedback import (
    ContributionAppreciated,
    ContributionKind,
    ContributionRated,
    FeedbackSupported,
    FeedbackUnsupported,
)
from coterie_contracts.member import MemberStatus
from coterie_feedback.domain.suggestion import Status

__all__ = [
    "BUTTONS",
    "Ask",
    "Contribution",
    "Rating",
    "Support",
    "appreciated",
    "asks",
    "check_appreciable",
    "in_good_standing",
    "rate",
    "rated",
    "support",
    "supported",
]

BUTTONS: Final = {"outstanding": 1.0, "helpful": 0.7, "not_for_me": 0.2}
_NO_MORE_SUPPORT: Final = frozenset({Status.DECLINED, Status.WITHDRAWN, Status.VERIFIED})
_SERVICE: Final = "feedback"


class Ask(StrEnum):
    """What a view asks a member about a suggestion: one of the two, or nothing."""

    SUPPORT = "support"
    RATING = "rating"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What can be rated. `author_id` is absent for what staff wrote; `gone` if it was taken back.

    `contributed_at` decides the season in which its ratings count.
    """

    contribution_id: UUID
    kind: ContributionKind
    community_id: UUID
    author_id: UUID | None
    contributed_at: datetime
    gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    rating_id: UUID
    contribution_id: UUID
    community_id: UUID
    rater_id: UUID
    value: float
    rated_at: datetime
    event_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """`changed_at` is when it was given, changed or taken back; `active` whether it stands."""

    support_id: UUID
    feedback_id: UUID
    community_id: UUID
    member_id: UUID
    importance: int
    active: bool
    changed_at: datetime


def in_good_standing(status: MemberStatus | None, what: str) -> None:
    """Only active members act. Raises `NotFound` for strangers, `Forbidden` for the others."""
    if status is None:
        raise NotFound(what)
    if status is not MemberStatus.ACTIVE:
        raise Forbidden(
            "not-in-good-standing",
            f"Only members in good standing may do this; you are {status.value}.",
        )


def rate(
    contribution: Contribution, rater_id: UUID, value: float, cause: Cause, *, rated_at: datetime
) -> Rating:
    """A rating of somebody else's contribution, `value` from 0 to 1."""
    if contribution.author_id == rater_id:
        raise Refusal("own-contribution", "Nobody rates what they wrote themselves.")
    if contribution.author_id is None:
        raise Refusal("written-by-team", "What the team writes is not rated.")
    if contribution.gone:
        raise Refusal("taken-back", "This was taken back and is rated no more.")
    rating_id = uuid5(contribution.contribution_id, f"rating:{rater_id}")
    return Rating(
        rating_id=rating_id,
        contribution_id=contribution.contribution_id,
        community_id=contribution.community_id,
        rater_id=rater_id,
        value=value,
        rated_at=rated_at,
        event_id=event_id(cause, _SERVICE, ContributionRated.event_type(), rating_id),
    )


def rated(rating: Rating, contribution: Contribution, sequence: int) -> Draft:
    """The event of a rating that stands; `sequence` counts the changes of this rating."""
    if contribution.author_id is None:
        raise AssertionError("what the team writes is not rated")
    body = ContributionRated(
        rating_id=rating.rating_id,
        contribution_id=rating.contribution_id,
        contribution_kind=contribution.kind,
        community_id=rating.community_id,
        author_id=contribution.author_id,
        rater_id=rating.rater_id,
        value=rating.value,
        rated_at=rating.rated_at,
        contributed_at=contribution.contributed_at,
    )
    return Draft(rating.rating_id, body, sequence)


def support(
    feedback_id: UUID,
    community_id: UUID,
    *,
    author_id: UUID,
    status: Status,
    member_id: UUID,
    importance: int | None,
    at: datetime,
) -> Support:
    """A member's support of somebody else's suggestion; `importance` of None takes it back."""
    if author_id == member_id:
        raise Refusal("own-contribution", "Nobody supports their own suggestion.")
    if importance is not None and status in _NO_MORE_SUPPORT:
        raise Refusal("wrong-state", f"This suggestion is {status.value}; support changes nothing.")
    return Support(
        support_id=uuid5(feedback_id, str(member_id)),
        feedback_id=feedback_id,
        community_id=community_id,
        member_id=member_id,
        importance=importance or 1,
        active=importance is not None,
        changed_at=at,
    )


def supported(given: Support, sequence: int) -> Draft:
    """The event of a support that changed."""
    facts = {
        "support_id": given.support_id,
        "feedback_id": given.feedback_id,
        "community_id": given.community_id,
        "member_id": given.member_id,
    }
    if given.active:
        body = FeedbackSupported(**facts, importance=given.importance)
        return Draft(given.support_id, body, sequence)
    return Draft(given.support_id, FeedbackUnsupported(**facts), sequence)


def check_appreciable(contribution: Contribution) -> UUID:
    """The author of a contribution that staff may mark. Raises `Refusal`."""
    if contribution.author_id is None:
        raise Refusal("written-by-team", "What the team writes is not appreciated.")
    if contribution.gone:
        raise Refusal("taken-back", "This was taken back.")
    return contribution.author_id


def appreciated(contribution: Contribution, value: bool, sequence: int) -> Draft:
    """Staff marked a contribution, or took that back; an aggregate of its own."""
    body = ContributionAppreciated(
        contribution_id=contribution.contribution_id,
        contribution_kind=contribution.kind,
        community_id=contribution.community_id,
        author_id=check_appreciable(contribution),
        appreciated=value,
        contributed_at=contribution.contributed_at,
    )
    subject = uuid5(contribution.contribution_id, "appreciated")
    return Draft(subject, body, sequence)


def asks(status: Status, *, own: bool, has_supported: bool, has_rated: bool) -> Ask | None:
    """Which of the two questions a view puts to a member, never both."""
    if own or status in (Status.WITHDRAWN, Status.DECLINED):
        return None
    if not has_supported and status not in _NO_MORE_SUPPORT:
        return Ask.SUPPORT
    return None if has_rated else Ask.RATING
