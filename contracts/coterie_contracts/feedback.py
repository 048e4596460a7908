"""Events of feedback, comments, look-agains and campaigns. Owner: feedback.

Supports, ratings and comments are aggregates of their own, so a popular item is not one hot key.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final
from uuid import UUID

from pydantic import Field

from coterie_contracts.model import (
    CommunityId,
    EventBody,
    FeedbackId,
    MemberId,
    OpenEnum,
    ShortText,
    Timestamp,
    Unit,
    UnitInterval,
)

Label = Annotated[
    str, Field(min_length=1, max_length=80, description="staff's name for it; no personal data")
]
Round = Annotated[int, Field(ge=1), Unit("round, the first is 1")]
_ROUND: Final = "implementations of this suggestion so far, this one included"
_ONE_ROUND: Final = "the implementation that this round is about"
_DUPLICATES: Final = "member ids: who suggested the same"


class ContributionKind(OpenEnum):
    """What `contribution_id` is the id of."""

    FEEDBACK = "feedback"
    COMMENT = "comment"
    UNKNOWN = "unknown"


class FeedbackFacts(EventBody):
    key: ClassVar[str] = "feedback_id"

    feedback_id: FeedbackId
    community_id: CommunityId
    author_id: UUID = Field(description="member id")
    objective_id: UUID | None = Field(description="absent: outside the objectives")


class FeedbackSubmitted(FeedbackFacts):
    """A member suggested something."""

    topic: ClassVar[str] = "feedback.submitted"
    sent_when: ClassVar[str] = "a member suggests something (`POST /feedback`)"

    campaign_id: UUID | None = Field(default=None, description="the campaign that it answers")


class FeedbackAccepted(FeedbackFacts):
    """Staff took a suggestion up and named it."""

    topic: ClassVar[str] = "feedback.accepted"
    sent_when: ClassVar[str] = "staff accept it (`POST /feedback/{id}/accept`)"

    label: Label


class FeedbackPlanned(FeedbackFacts):
    """Staff plan to build it."""

    topic: ClassVar[str] = "feedback.planned"
    sent_when: ClassVar[str] = "staff plan it (`POST /feedback/{id}/plan`)"

    label: Label


class FeedbackDeclined(FeedbackFacts):
    """Staff decided against it; the author reads the reason in feedback."""

    topic: ClassVar[str] = "feedback.declined"
    sent_when: ClassVar[str] = "staff decline it with a reason (`POST /feedback/{id}/decline`)"


class FeedbackWithdrawn(FeedbackFacts):
    """The author took it back before it was accepted."""

    topic: ClassVar[str] = "feedback.withdrawn"
    sent_when: ClassVar[str] = "its author withdraws it (`POST /feedback/{id}/withdraw`)"


class FeedbackMerged(FeedbackFacts):
    """A duplicate was joined to its root; duplicates form a star of depth one."""

    topic: ClassVar[str] = "feedback.merged"
    sent_when: ClassVar[str] = "staff call it a duplicate (`POST /feedback/{id}/merge`)"

    root_id: UUID = Field(description="the suggestion that it is a duplicate of")


class FeedbackUnmerged(FeedbackFacts):
    """A duplicate stands on its own again."""

    topic: ClassVar[str] = "feedback.unmerged"
    sent_when: ClassVar[str] = "staff take a merge back (`POST /feedback/{id}/unmerge`)"

    root_id: UUID = Field(description="the suggestion that it was a duplicate of")


class SupportFacts(EventBody):
    key: ClassVar[str] = "support_id"

    support_id: UUID = Field(description="uuid5(feedback_id, member_id)")
    feedback_id: FeedbackId
    community_id: CommunityId
    member_id: MemberId


class FeedbackSupported(SupportFacts):
    """A member wants this too. Feeds priority, never merit."""

    topic: ClassVar[str] = "feedback.supported"
    sent_when: ClassVar[str] = (
        "a member supports it or changes how important it is (`PUT /feedback/{id}/support`)"
    )

    importance: Annotated[int, Unit("1 to 3, 3 matters most")] = Field(
        ge=1, le=3, description="to this member; replaces what they said before"
    )


class FeedbackUnsupported(SupportFacts):
    """A member took their support back."""

    topic: ClassVar[str] = "feedback.unsupported"
    sent_when: ClassVar[str] = "a member takes the support back (`DELETE /feedback/{id}/support`)"


class FeedbackImplemented(FeedbackFacts):
    """The product changed because of a suggestion; look-agains begin."""

    topic: ClassVar[str] = "feedback.implemented"
    sent_when: ClassVar[str] = (
        "staff say what changed and where to see it (`POST /feedback/{id}/implement`); once a round"
    )

    implementation_id: UUID = Field(description=_ONE_ROUND)
    round: Round = Field(description=_ROUND)
    duplicate_author_ids: tuple[UUID, ...] = Field(default=(), description=_DUPLICATES)
    label: Label
    what_changed: ShortText
    see_it_at: ShortText = Field(description='a link, a place, "in your next order"')
    release: str | None = Field(
        default=None, max_length=80, description="that holds the change, for example `2026.2`"
    )


class VerifiedBy(OpenEnum):
    """Whose word ended the round; `deadline`: nobody's."""

    AUTHOR = "author"
    SUPPORTERS = "supporters"
    MANAGER = "manager"
    DEADLINE = "deadline"
    UNKNOWN = "unknown"


class RoundFacts(FeedbackFacts):
    implementation_id: UUID = Field(description=_ONE_ROUND)
    round: Round = Field(description=_ROUND)
    duplicate_author_ids: tuple[UUID, ...] = Field(default=(), description=_DUPLICATES)
    implemented_at: Timestamp = Field(description="when this round began")
    by: VerifiedBy = Field(description="whose word ended the round")


class FeedbackVerified(RoundFacts):
    """Those who asked for it confirmed the change."""

    topic: ClassVar[str] = "feedback.verified"
    sent_when: ClassVar[str] = (
        "the author is satisfied, or at the deadline most of the asked supporters are"
    )


class FeedbackReopened(RoundFacts):
    """The author looked again and it is not there yet."""

    topic: ClassVar[str] = "feedback.reopened"
    sent_when: ClassVar[str] = (
        "the author is not satisfied, or a manager reopens it (`POST /feedback/{id}/reopen`)"
    )


class FeedbackUnconfirmed(RoundFacts):
    """The round ended without a confirmation.

    `by` tells why: `deadline`, nobody said enough; `supporters`, most who answered were not
    satisfied; `author`, the author objected in a round that only a manager reopens. The last two
    are objections, silence is none.
    """

    topic: ClassVar[str] = "feedback.unconfirmed"
    sent_when: ClassVar[str] = (
        "the deadline of the round passes without a confirmation, there was nobody to ask, or "
        "the author objects after the third round"
    )

    not_askable: bool = Field(default=False, description="there was nobody to ask")


class CommentPosted(EventBody):
    """Somebody commented."""

    topic: ClassVar[str] = "comment.posted"
    key: ClassVar[str] = "comment_id"
    sent_when: ClassVar[str] = "a member or staff comment (`POST /feedback/{id}/comments`)"

    comment_id: UUID = Field(description="the comment; its text stands in no event")
    feedback_id: FeedbackId
    community_id: CommunityId
    author_id: UUID | None = Field(description="member id; absent: written by staff as `team`")


class ContributionRated(EventBody):
    """A member said how much a contribution helped; the latest per rater stands."""

    topic: ClassVar[str] = "contribution.rated"
    key: ClassVar[str] = "rating_id"
    sent_when: ClassVar[str] = (
        "a member rates somebody else's contribution (`PUT /contributions/{id}/rating`)"
    )

    rating_id: UUID = Field(description="uuid5(contribution_id, `rating:` and rater_id)")
    contribution_id: UUID = Field(description="a `feedback_id` or a `comment_id`")
    contribution_kind: ContributionKind = Field(description="which of them")
    community_id: CommunityId
    author_id: UUID = Field(description="member id of who is rated")
    rater_id: UUID = Field(description="member id; never shown to the author")
    value: UnitInterval = Field(description="how much it helped")
    rated_at: Timestamp = Field(description="the latest of a rater and contribution stands")
    contributed_at: Timestamp = Field(description="decides the season")


class ContributionAppreciated(EventBody):
    """Staff marked a contribution as appreciated, or took that back."""

    topic: ClassVar[str] = "contribution.appreciated"
    key: ClassVar[str] = "uuid5(contribution_id, 'appreciated')"
    sent_when: ClassVar[str] = (
        "staff mark a contribution or take the mark back (`POST /contributions/{id}/appreciate`)"
    )

    contribution_id: UUID = Field(description="a `feedback_id` or a `comment_id`")
    contribution_kind: ContributionKind = Field(description="which of them")
    community_id: CommunityId
    author_id: UUID = Field(description="member id")
    appreciated: bool = Field(description="false: the mark was taken back")
    contributed_at: Timestamp = Field(description="decides the season")


class AskedAs(StrEnum):
    """Why this member is asked; an author's word decides a round."""

    AUTHOR = "author"
    DUPLICATE_AUTHOR = "duplicate_author"
    SUPPORTER = "supporter"


class LookAgainFacts(EventBody):
    key: ClassVar[str] = "look_again_id"

    look_again_id: UUID = Field(description="uuid5(implementation_id, member_id)")
    implementation_id: UUID = Field(description=_ONE_ROUND)
    feedback_id: FeedbackId
    community_id: CommunityId
    member_id: MemberId
    round: Round = Field(description=_ROUND)
    asked_as: AskedAs = Field(description="why this member is asked")


class LookAgainRequested(LookAgainFacts):
    """A member is asked whether the change does what was wanted."""

    topic: ClassVar[str] = "lookagain.requested"
    sent_when: ClassVar[str] = (
        "an implementation begins a round, to each who is asked; with a new deadline when the "
        "community goes live"
    )

    label: Label
    what_changed: ShortText
    see_it_at: ShortText
    due_at: Timestamp = Field(description="an answer after that is late")


class LookAgainAnswered(LookAgainFacts):
    """A member looked again. Either answer earns the same thanks."""

    topic: ClassVar[str] = "lookagain.answered"
    sent_when: ClassVar[str] = "the member answers (`POST /look-agains/{id}/answer`)"

    satisfied: bool = Field(description="whether the change does what was wanted")
    late: bool = Field(default=False, description="true: the round was over")


class LookAgainLapsed(LookAgainFacts):
    """No answer came in time, or the member could no longer be asked."""

    topic: ClassVar[str] = "lookagain.lapsed"
    sent_when: ClassVar[str] = (
        "`due_at` passes, or the member leaves, is removed or erased before answering"
    )

    not_askable: bool = Field(default=False, description="true: the member could not be asked")


class CampaignFacts(EventBody):
    key: ClassVar[str] = "campaign_id"

    campaign_id: UUID = Field(description="the campaign")
    community_id: CommunityId
    objective_id: UUID = Field(description="the one objective that it asks about")


class CampaignLaunched(CampaignFacts):
    """A call for feedback on one objective began; its audience is frozen."""

    topic: ClassVar[str] = "campaign.launched"
    sent_when: ClassVar[str] = (
        "staff launch it (`POST /campaigns/{id}/launch`); with a new deadline when the "
        "community goes live"
    )

    title: ShortText
    member_benefit: ShortText
    closes_at: Timestamp = Field(description="it ends by itself then")
    audience_size: Annotated[int, Unit("members")] = Field(ge=0, description="frozen at launch")


class CampaignClosed(CampaignFacts):
    """A call for feedback ended."""

    topic: ClassVar[str] = "campaign.closed"
    sent_when: ClassVar[str] = (
        "staff close it (`POST /campaigns/{id}/close`), or `closes_at` passes"
    )
