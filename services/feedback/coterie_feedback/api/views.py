"""What routes answer. A reader sees their own rating and support and nobody else's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import Row

from coterie_chassis.http import View
from coterie_contracts.feedback import AskedAs, VerifiedBy
from coterie_contracts.member import MemberStatus
from coterie_feedback.api.callers import Caller
from coterie_feedback.domain.decision import Deed, Hand
from coterie_feedback.domain.look_agains import LookState
from coterie_feedback.domain.suggestion import Status
from coterie_feedback.domain.voices import Ask, asks

__all__ = [
    "BuiltView",
    "ChangeView",
    "CommentView",
    "FeedbackView",
    "HistoryView",
    "LookAgainView",
    "RatingView",
    "RoundView",
    "SuggestionView",
    "comment_view",
    "suggestion_fields",
]

TEAM: Final = "team"


class BuiltView(View):
    """What was built, the latest time."""

    round: int
    what_changed: str
    see_it_at: str
    release: str | None
    implemented_at: datetime


class SuggestionView(View):
    """A suggestion as the reader sees it. `reason` is for its author and staff."""

    feedback_id: UUID
    community_id: UUID
    author_id: UUID = Field(description="member id")
    mine: bool
    objective_id: UUID | None = Field(description="absent: outside the objectives")
    campaign_id: UUID | None
    text: str | None = Field(description="absent: taken back, or the author was erased")
    status: Status
    label: str | None
    reason: str | None
    root_id: UUID | None = Field(description="what it was merged into")
    root_status: Status | None
    duplicates: list[UUID]
    weight: int = Field(description="importance over all supporters of it and its duplicates")
    supporters: int
    my_importance: int | None
    my_rating: float | None
    asks: Ask | None = Field(description="support or rating, never both")
    appreciated: bool
    comments: int
    built: BuiltView | None
    submitted_at: datetime
    changed_at: datetime
    version: int


class CommentView(View):
    comment_id: UUID
    feedback_id: UUID
    author: str = Field(description="a member id, or `team`")
    mine: bool
    text: str | None
    my_rating: float | None
    asks: Ask | None
    appreciated: bool
    posted_at: datetime


class HistoryView(View):
    version: int
    deed: Deed
    by: Hand
    at: datetime
    note: str | None


class RoundView(View):
    implementation_id: UUID
    round: int
    what_changed: str
    see_it_at: str
    release: str | None
    implemented_at: datetime
    outcome: Status | None
    outcome_by: VerifiedBy | None
    settled_at: datetime | None


class FeedbackView(SuggestionView):
    """One suggestion with all that was said and done about it."""

    talk: list[CommentView]
    history: list[HistoryView]
    rounds: list[RoundView]


class LookAgainView(View):
    look_again_id: UUID
    feedback_id: UUID
    member_id: UUID
    round: int
    asked_as: AskedAs
    state: LookState
    label: str
    what_changed: str
    see_it_at: str
    release: str | None
    due_at: datetime
    late_until: datetime
    answered_at: datetime | None


class ChangeView(View):
    """You asked, we changed."""

    feedback_id: UUID
    implementation_id: UUID
    label: str
    what_changed: str
    see_it_at: str
    release: str | None
    implemented_at: datetime
    status: Status
    thanks_to: list[UUID] = Field(description="member ids of those who asked for it")


class RatingView(View):
    rating_id: UUID
    contribution_id: UUID
    value: float
    rated_at: datetime


def may_act(caller: Caller) -> bool:
    """Whether a view may ask its reader for something."""
    return caller.standing is MemberStatus.ACTIVE and not caller.staff


def suggestion_fields(row: Row[Any], caller: Caller) -> dict[str, Any]:
    """The fields of `SuggestionView` for a reader."""
    status = Status(row.status)
    own = row.me is not None and row.me == row.author_id
    hidden = status is Status.WITHDRAWN and not (own or caller.staff)
    question = None
    if may_act(caller):
        question = asks(
            status,
            own=own,
            has_supported=row.my_importance is not None,
            has_rated=row.my_rating is not None,
        )
    built = None
    if row.built_round is not None:
        built = BuiltView(
            round=row.built_round,
            what_changed=row.what_changed,
            see_it_at=row.see_it_at,
            release=row.release,
            implemented_at=row.implemented_at,
        )
    return {
        **{name: getattr(row, name) for name in _PLAIN},
        "mine": own,
        "text": None if hidden else row.text,
        "status": status,
        "reason": (row.reason or row.root_reason) if own or caller.staff else None,
        "root_status": row.root_status and Status(row.root_status),
        "asks": question,
        "built": built,
    }


def comment_view(row: Row[Any], caller: Caller) -> CommentView:
    """A comment for a reader."""
    own = caller.member_id is not None and caller.member_id == row.author_id
    rateable = may_act(caller) and not (own or row.author_id is None)
    unrated = rateable and row.my_rating is None
    return CommentView(
        comment_id=row.comment_id,
        feedback_id=row.feedback_id,
        author=TEAM if row.author_id is None else str(row.author_id),
        mine=own,
        text=row.text,
        my_rating=row.my_rating,
        asks=Ask.RATING if unrated and row.text is not None else None,
        appreciated=row.appreciated,
        posted_at=row.posted_at,
    )


_PLAIN: Final = (
    "feedback_id",
    "community_id",
    "author_id",
    "objective_id",
    "campaign_id",
    "label",
    "root_id",
    "duplicates",
    "weight",
    "supporters",
    "my_importance",
    "my_rating",
    "appreciated",
    "comments",
    "submitted_at",
    "changed_at",
    "version",
)
