"""Events of applications, seats, members and invitations. Owner: membership.

Every `member.*` event but `member.erased` and `member.contact` carries all that a copy of the
member needs, so its fold is `latest`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from coterie_contracts.model import EventBody, OpenEnum, Seated, Timestamp, TimeZone


class Verdict(OpenEnum):
    MET = "met"
    UNMET = "unmet"
    UNKNOWN = "unknown"
    WAIVED = "waived"


class RequirementVerdict(BaseModel):
    """The verdict on one leaf of the requirements tree."""

    model_config = ConfigDict(frozen=True)

    requirement: str = Field(description="path of the leaf in the tree, for example `root/1/0`")
    kind: str
    verdict: Verdict
    evidence: str | None = Field(default=None, description="reference, never the evidence itself")


class Admission(OpenEnum):
    """How a member came in."""

    APPLICATION = "application"
    SEAT_OFFER = "seat_offer"
    INVITATION = "invitation"
    UNKNOWN = "unknown"


class MemberStatus(OpenEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"
    RELEASED = "released"
    REMOVED = "removed"
    UNKNOWN = "unknown"


class ApplicationFacts(EventBody):
    application_id: UUID
    community_id: UUID
    person_id: UUID


class ApplicationSubmitted(ApplicationFacts):
    """Somebody applied; judged against the requirements version pinned here."""

    topic: ClassVar[str] = "application.submitted"

    requirements_version: int = Field(ge=1)
    invitation_id: UUID | None = None


class ApplicationJudged(ApplicationFacts):
    """Verdicts on requirements were recorded."""

    topic: ClassVar[str] = "application.judged"

    requirements_version: int = Field(ge=1)
    verdicts: tuple[RequirementVerdict, ...]
    satisfied: bool


class ApplicationDeclined(ApplicationFacts):
    """An application was declined; the applicant can read why in membership."""

    topic: ClassVar[str] = "application.declined"

    reapply_after: Timestamp | None


class ApplicationWaitlisted(ApplicationFacts):
    """The requirements are satisfied and no seat is free."""

    topic: ClassVar[str] = "application.waitlisted"

    priority: int
    enqueued_at: Timestamp


class ApplicationWithdrawn(ApplicationFacts):
    """The applicant withdrew. An open seat offer, if any, is given up by `seat.lapsed`."""

    topic: ClassVar[str] = "application.withdrawn"


class SeatOffered(Seated):
    """A free seat was offered to somebody on the waitlist, for a limited time."""

    topic: ClassVar[str] = "seat.offered"

    application_id: UUID
    community_id: UUID
    person_id: UUID
    expires_at: Timestamp


class SeatLapse(StrEnum):
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class SeatLapsed(Seated):
    """A seat offer was not taken and its seat is free again."""

    topic: ClassVar[str] = "seat.lapsed"

    application_id: UUID
    community_id: UUID
    person_id: UUID
    reason: SeatLapse
    final: bool = Field(description="true: off the waitlist; false: the same place once more")


class MemberFacts(EventBody):
    member_id: UUID
    community_id: UUID
    person_id: UUID
    status: MemberStatus
    admitted_at: Timestamp
    time_zone: TimeZone
    locale: str = Field(min_length=2, max_length=35, description="BCP 47 tag")


class MemberAdmitted(Seated, MemberFacts):
    """Somebody took a seat."""

    topic: ClassVar[str] = "member.admitted"

    via: Admission
    application_id: UUID
    requirements_version: int = Field(ge=1)


class MemberSuspended(MemberFacts):
    """A member may not act until `until`; the seat stays held."""

    topic: ClassVar[str] = "member.suspended"

    until: Timestamp


class MemberReinstated(MemberFacts):
    """A suspension ended."""

    topic: ClassVar[str] = "member.reinstated"


class MemberLeft(Seated, MemberFacts):
    """A member left on their own."""

    topic: ClassVar[str] = "member.left"


class MemberReleased(Seated, MemberFacts):
    """A membership was ended kindly: no ban, first on the waitlist for a while."""

    topic: ClassVar[str] = "member.released"


class MemberRemoved(Seated, MemberFacts):
    """A member was removed and may not apply again before `reapply_after`."""

    topic: ClassVar[str] = "member.removed"

    reapply_after: Timestamp


class MemberErased(Seated):
    """A person asked to be forgotten: every service drops what it holds, in any order of events."""

    topic: ClassVar[str] = "member.erased"

    member_id: UUID
    community_id: UUID
    person_id: UUID


class MemberContact(EventBody):
    """How to reach a member; the only event with personal data, on a compacted topic.

    A tombstone (null value) follows erasure. Read by notifications alone.
    """

    topic: ClassVar[str] = "member.contact"

    member_id: UUID
    community_id: UUID
    email: str | None = Field(default=None, max_length=254)


class InvitationFacts(EventBody):
    invitation_id: UUID
    community_id: UUID


class InvitationIssued(Seated, InvitationFacts):
    """An invitation was issued; a reserving one holds a seat until redeemed or ended."""

    topic: ClassVar[str] = "invitation.issued"

    max_uses: int = Field(ge=1)
    expires_at: Timestamp
    reserves_seat: bool


class InvitationRedeemed(InvitationFacts):
    """An invitation was used by an applicant; `member.admitted` moves its seat."""

    topic: ClassVar[str] = "invitation.redeemed"

    application_id: UUID
    uses: int = Field(ge=1)


class InvitationExpired(Seated, InvitationFacts):
    """An invitation ran out; a seat that it held is free again."""

    topic: ClassVar[str] = "invitation.expired"


class InvitationRevoked(Seated, InvitationFacts):
    """Staff took an invitation back; a seat that it held is free again."""

    topic: ClassVar[str] = "invitation.revoked"
