"""Events of feedback, comments, look-agains and campaigns. Owner: feedback.

Supports, ratings and comments are aggregates of their own, so a popular item is not one hot key.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from coterie_contracts.model import EventBody, OpenEnum, ShortText, Timestamp, UnitInterval

Label = Annotated[
    str, Field(min_length=1, max_length=80, description="staff's name for it; no personal data")
]


class ContributionKind(OpenEnum):
    FEEDBACK = "feedback"
    COMMENT = "comment"
    UNKNOWN = "unknown"


class FeedbackFacts(EventBody):
    feedback_id: UUID
    community_id: UUID
    author_id: UUID = Field(description="member id")
    objective_id: UUID | None = Field(description="absent: outside the objectives")


class FeedbackSubmitted(FeedbackFacts):
    """A member suggested something."""

    topic: ClassVar[str] = "feedback.submitted"

    campaign_id: UUID | None = None


class FeedbackAccepted(FeedbackFacts):
    """Staff took a suggestion up and named it."""

    topic: ClassVar[str] = "feedback.accepted"

    label: Label


class FeedbackPlanned(FeedbackFacts):
    """Staff plan to build it."""

    topic: ClassVar[str] = "feedback.planned"

    label: Label


class FeedbackDeclined(FeedbackFacts):
    """Staff decided against it; the author reads the reason in feedback."""

    topic: ClassVar[str] = "feedback.declined"


class FeedbackWithdrawn(FeedbackFacts):
    """The author took it back before it was accepted."""

    topic: ClassVar[str] = "feedback.withdrawn"


class FeedbackMerged(FeedbackFacts):
    """A duplicate was joined to its root; duplicates form a star of depth one."""

    topic: ClassVar[str] = "feedback.merged"

    root_id: UUID


class FeedbackUnmerged(FeedbackFacts):
    """A duplicate stands on its own again."""

    topic: ClassVar[str] = "feedback.unmerged"

    root_id: UUID


class SupportFacts(EventBody):
    support_id: UUID = Field(description="uuid5(feedback_id, member_id)")
    feedback_id: UUID
    community_id: UUID
    member_id: UUID


class FeedbackSupported(SupportFacts):
    """A member wants this too. Feeds priority, never merit."""

    topic: ClassVar[str] = "feedback.supported"

    importance: int = Field(ge=1, le=3)


class FeedbackUnsupported(SupportFacts):
    """A member took their support back."""

    topic: ClassVar[str] = "feedback.unsupported"


class FeedbackImplemented(FeedbackFacts):
    """The product changed because of a suggestion; look-agains begin."""

    topic: ClassVar[str] = "feedback.implemented"

    implementation_id: UUID
    round: int = Field(ge=1)
    duplicate_author_ids: tuple[UUID, ...] = ()
    label: Label
    what_changed: ShortText
    see_it_at: ShortText = Field(description='a link, a place, "in your next order"')
    release: str | None = Field(default=None, max_length=80)


class VerifiedBy(OpenEnum):
    AUTHOR = "author"
    SUPPORTERS = "supporters"
    MANAGER = "manager"
    DEADLINE = "deadline"
    UNKNOWN = "unknown"


class RoundFacts(FeedbackFacts):
    implementation_id: UUID
    round: int = Field(ge=1)
    duplicate_author_ids: tuple[UUID, ...] = ()
    implemented_at: Timestamp
    by: VerifiedBy


class FeedbackVerified(RoundFacts):
    """Those who asked for it confirmed the change."""

    topic: ClassVar[str] = "feedback.verified"


class FeedbackReopened(RoundFacts):
    """The author looked again and it is not there yet."""

    topic: ClassVar[str] = "feedback.reopened"


class FeedbackUnconfirmed(RoundFacts):
    """The round ended without a confirmation.

    `by` tells why: `deadline`, nobody said enough; `supporters`, most who answered were not
    satisfied; `author`, the author objected in a round that only a manager reopens. The last two
    are objections, silence is none.
    """

    topic: ClassVar[str] = "feedback.unconfirmed"

    not_askable: bool = Field(default=False, description="there was nobody to ask")


class CommentPosted(EventBody):
    """Somebody commented."""

    topic: ClassVar[str] = "comment.posted"

    comment_id: UUID
    feedback_id: UUID
    community_id: UUID
    author_id: UUID | None = Field(description="member id; absent: written by staff as `team`")


class ContributionRated(EventBody):
    """A member said how much a contribution helped; the latest per rater stands."""

    topic: ClassVar[str] = "contribution.rated"

    rating_id: UUID = Field(description="uuid5(contribution_id, `rating:` and rater_id)")
    contribution_id: UUID
    contribution_kind: ContributionKind
    community_id: UUID
    author_id: UUID
    rater_id: UUID
    value: UnitInterval
    rated_at: Timestamp
    contributed_at: Timestamp = Field(description="decides the season")


class ContributionAppreciated(EventBody):
    """Staff marked a contribution as appreciated, or took that back."""

    topic: ClassVar[str] = "contribution.appreciated"

    contribution_id: UUID
    contribution_kind: ContributionKind
    community_id: UUID
    author_id: UUID
    appreciated: bool
    contributed_at: Timestamp


class AskedAs(StrEnum):
    AUTHOR = "author"
    DUPLICATE_AUTHOR = "duplicate_author"
    SUPPORTER = "supporter"


class LookAgainFacts(EventBody):
    look_again_id: UUID = Field(description="uuid5(implementation_id, member_id)")
    implementation_id: UUID
    feedback_id: UUID
    community_id: UUID
    member_id: UUID
    round: int = Field(ge=1)
    asked_as: AskedAs


class LookAgainRequested(LookAgainFacts):
    """A member is asked whether the change does what was wanted."""

    topic: ClassVar[str] = "lookagain.requested"

    label: Label
    what_changed: ShortText
    see_it_at: ShortText
    due_at: Timestamp


class LookAgainAnswered(LookAgainFacts):
    """A member looked again. Either answer earns the same thanks."""

    topic: ClassVar[str] = "lookagain.answered"

    satisfied: bool
    late: bool = False


class LookAgainLapsed(LookAgainFacts):
    """No answer came in time, or the member could no longer be asked."""

    topic: ClassVar[str] = "lookagain.lapsed"

    not_askable: bool = False


class CampaignFacts(EventBody):
    campaign_id: UUID
    community_id: UUID
    objective_id: UUID


class CampaignLaunched(CampaignFacts):
    """A call for feedback on one objective began; its audience is frozen."""

    topic: ClassVar[str] = "campaign.launched"

    title: ShortText
    member_benefit: ShortText
    closes_at: Timestamp
    audience_size: int = Field(ge=0)


class CampaignClosed(CampaignFacts):
    """A call for feedback ended."""

    topic: ClassVar[str] = "campaign.closed"
