"""Events of applications, seats, members and invitations. Owner: membership.

Every `member.*` event but `member.erased` and `member.contact` carries all that a copy of the
member needs, so its fold is `latest`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from coterie_contracts.model import (
    CommunityId,
    EventBody,
    MemberId,
    OpenEnum,
    PersonId,
    Seated,
    Timestamp,
    TimeZone,
    Unit,
    Version,
)


class Verdict(OpenEnum):
    """`unknown`: no evidence yet; `waived`: staff let it pass."""

    MET = "met"
    UNMET = "unmet"
    UNKNOWN = "unknown"
    WAIVED = "waived"


class RequirementVerdict(BaseModel):
    """The verdict on one leaf of the requirements tree."""

    model_config = ConfigDict(frozen=True)

    requirement: str = Field(description="path of the leaf in the tree, for example `root/1/0`")
    kind: str = Field(description="of requirement, for example `purchase`")
    verdict: Verdict = Field(description="on this leaf alone")
    evidence: str | None = Field(default=None, description="reference, never the evidence itself")


class Admission(OpenEnum):
    """How a member came in."""

    APPLICATION = "application"
    SEAT_OFFER = "seat_offer"
    INVITATION = "invitation"
    UNKNOWN = "unknown"


class MemberStatus(OpenEnum):
    """`active` and `suspended` hold a seat; the others ended."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"
    RELEASED = "released"
    REMOVED = "removed"
    UNKNOWN = "unknown"


class ApplicationFacts(EventBody):
    key: ClassVar[str] = "application_id"

    application_id: UUID = Field(description="the application")
    community_id: CommunityId
    person_id: PersonId


class ApplicationSubmitted(ApplicationFacts):
    """Somebody applied; judged against the requirements version pinned here."""

    topic: ClassVar[str] = "application.submitted"
    sent_when: ClassVar[str] = (
        "somebody applies (`POST /communities/{id}/applications`) or redeems an invitation"
    )

    requirements_version: Version = Field(description="that it is judged against")
    invitation_id: UUID | None = Field(default=None, description="absent: nobody invited")


class ApplicationJudged(ApplicationFacts):
    """Verdicts on requirements were recorded."""

    topic: ClassVar[str] = "application.judged"
    sent_when: ClassVar[str] = (
        "an application is submitted, a verdict is brought (`POST "
        "/applications/{id}/verdicts`) or a manager approves it"
    )

    requirements_version: Version = Field(description="that it was judged against")
    verdicts: tuple[RequirementVerdict, ...] = Field(description="one for each leaf")
    satisfied: bool = Field(description="whether the whole tree is")


class ApplicationDeclined(ApplicationFacts):
    """An application was declined; the applicant can read why in membership."""

    topic: ClassVar[str] = "application.declined"
    sent_when: ClassVar[str] = (
        "a manager declines it (`POST /applications/{id}/decline`), or nobody brought the "
        "missing evidence within 30 days"
    )

    reapply_after: Timestamp | None = Field(description="absent: may apply again at once")


class ApplicationWaitlisted(ApplicationFacts):
    """The requirements are satisfied and no seat is free."""

    topic: ClassVar[str] = "application.waitlisted"
    sent_when: ClassVar[str] = (
        "the last requirement is met while the community is full; again when the place on the "
        "waitlist changes"
    )

    priority: Annotated[int, Unit("rank, the higher goes first")] = Field(
        description="before `enqueued_at` in the order of the waitlist"
    )
    enqueued_at: Timestamp = Field(description="since when the applicant waits")


class ApplicationWithdrawn(ApplicationFacts):
    """The applicant withdrew. An open seat offer, if any, is given up by `seat.lapsed`."""

    topic: ClassVar[str] = "application.withdrawn"
    sent_when: ClassVar[str] = (
        "the applicant withdraws it (`POST /applications/{id}/withdraw`) or is erased"
    )


class SeatOffered(Seated):
    """A free seat was offered to somebody on the waitlist, for a limited time."""

    topic: ClassVar[str] = "seat.offered"
    key: ClassVar[str] = "application_id"
    sent_when: ClassVar[str] = (
        "a seat is free and somebody waits; with a new deadline when the community goes live"
    )

    application_id: UUID = Field(description="the application")
    community_id: CommunityId
    person_id: PersonId
    expires_at: Timestamp = Field(description="the offer lapses then")


class SeatLapse(StrEnum):
    """`withdrawn`: the applicant withdrew or was declined."""

    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class SeatLapsed(Seated):
    """A seat offer was not taken and its seat is free again."""

    topic: ClassVar[str] = "seat.lapsed"
    key: ClassVar[str] = "application_id"
    sent_when: ClassVar[str] = (
        "the deadline of a seat offer passes, or its applicant withdraws or is declined"
    )

    application_id: UUID = Field(description="the application")
    community_id: CommunityId
    person_id: PersonId
    reason: SeatLapse = Field(description="why it lapsed")
    final: bool = Field(description="true: off the waitlist; false: the same place once more")


class MemberFacts(EventBody):
    key: ClassVar[str] = "member_id"

    member_id: MemberId
    community_id: CommunityId
    person_id: PersonId
    status: MemberStatus = Field(description="after this event")
    admitted_at: Timestamp = Field(description="the latest time of being let in")
    time_zone: TimeZone
    locale: str = Field(min_length=2, max_length=35, description="BCP 47 tag")


class MemberAdmitted(Seated, MemberFacts):
    """Somebody took a seat."""

    topic: ClassVar[str] = "member.admitted"
    sent_when: ClassVar[str] = (
        "the requirements are met and a seat is free, a seat offer is accepted, or an "
        "invitation that holds a seat is redeemed"
    )

    via: Admission = Field(description="the way in")
    application_id: UUID = Field(description="the application that led here")
    requirements_version: Version = Field(description="that was satisfied")


class MemberSuspended(MemberFacts):
    """A member may not act until `until`; the seat stays held."""

    topic: ClassVar[str] = "member.suspended"
    sent_when: ClassVar[str] = (
        "a manager suspends (`POST /members/{id}/suspend`); with a new `until` when the "
        "community goes live"
    )

    until: Timestamp = Field(description="reinstated then, if not before")


class MemberReinstated(MemberFacts):
    """A suspension ended."""

    topic: ClassVar[str] = "member.reinstated"
    sent_when: ClassVar[str] = (
        "a manager reinstates (`POST /members/{id}/reinstate`), or `until` passes"
    )


class MemberLeft(Seated, MemberFacts):
    """A member left on their own."""

    topic: ClassVar[str] = "member.left"
    sent_when: ClassVar[str] = "the member leaves (`POST /members/{id}/leave`)"


class MemberReleased(Seated, MemberFacts):
    """A membership was ended kindly: no ban, first on the waitlist for a while."""

    topic: ClassVar[str] = "member.released"
    sent_when: ClassVar[str] = "a manager releases the member (`POST /members/{id}/release`)"


class MemberRemoved(Seated, MemberFacts):
    """A member was removed and may not apply again before `reapply_after`."""

    topic: ClassVar[str] = "member.removed"
    sent_when: ClassVar[str] = "a manager removes the member (`POST /members/{id}/remove`)"

    reapply_after: Timestamp = Field(description="no application is taken before")


class MemberErased(Seated):
    """A person asked to be forgotten: every service drops what it holds, in any order of events."""

    topic: ClassVar[str] = "member.erased"
    key: ClassVar[str] = "member_id"
    sent_when: ClassVar[str] = (
        "a member or an applicant asks to be erased (`POST /members/{id}/erase`, `POST "
        "/applications/{id}/erase`)"
    )

    member_id: MemberId
    community_id: CommunityId
    person_id: PersonId


class MemberContact(EventBody):
    """How to reach a member; the only event with personal data, on a compacted topic.

    A tombstone (null value) follows erasure. Read by notifications alone.
    """

    topic: ClassVar[str] = "member.contact"
    key: ClassVar[str] = "member_id"
    sent_when: ClassVar[str] = "somebody is admitted; as a tombstone when they are erased"

    member_id: MemberId
    community_id: CommunityId
    email: str | None = Field(
        default=None, max_length=254, description="personal data; absent: none given"
    )


class InvitationFacts(EventBody):
    key: ClassVar[str] = "invitation_id"

    invitation_id: UUID = Field(description="the invitation; its token stands in no event")
    community_id: CommunityId


class InvitationIssued(Seated, InvitationFacts):
    """An invitation was issued; a reserving one holds a seat until redeemed or ended."""

    topic: ClassVar[str] = "invitation.issued"
    sent_when: ClassVar[str] = (
        "a manager invites (`POST /communities/{id}/invitations`); with a new deadline when "
        "the community goes live"
    )

    max_uses: Annotated[int, Unit("uses")] = Field(ge=1, description="applicants that it lets in")
    expires_at: Timestamp = Field(description="of no use after that")
    reserves_seat: bool = Field(description="whether it holds a seat for its guest")


class InvitationRedeemed(InvitationFacts):
    """An invitation was used by an applicant; `member.admitted` moves its seat."""

    topic: ClassVar[str] = "invitation.redeemed"
    sent_when: ClassVar[str] = "an applicant uses it (`POST /invitations/{token}/redeem`)"

    application_id: UUID = Field(description="whose application used it")
    uses: Annotated[int, Unit("uses")] = Field(ge=1, description="so far, this one included")


class InvitationExpired(Seated, InvitationFacts):
    """An invitation ran out; a seat that it held is free again."""

    topic: ClassVar[str] = "invitation.expired"
    sent_when: ClassVar[str] = "`expires_at` passes before it was used up"


class InvitationRevoked(Seated, InvitationFacts):
    """Staff took an invitation back; a seat that it held is free again."""

    topic: ClassVar[str] = "invitation.revoked"
    sent_when: ClassVar[str] = "a manager revokes it (`POST /invitations/{id}/revoke`)"
