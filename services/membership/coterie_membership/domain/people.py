"""The aggregates of membership as values; a change makes a new value with its counts moved on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from coterie_contracts.community import ClockMode, CommunityStatus, Objective
from coterie_contracts.member import MemberStatus, RequirementVerdict
from coterie_membership.domain.requirements import Dossier, Judgement
from coterie_membership.domain.seats import Seats

__all__ = [
    "Application",
    "ApplicationStatus",
    "Community",
    "Goal",
    "Invitation",
    "InvitationStatus",
    "Member",
]


class ApplicationStatus(StrEnum):
    SUBMITTED = "submitted"
    WAITLISTED = "waitlisted"
    OFFERED = "offered"
    ADMITTED = "admitted"
    DECLINED = "declined"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"

    @property
    def live(self) -> bool:
        return self in _LIVE


_LIVE = (ApplicationStatus.SUBMITTED, ApplicationStatus.WAITLISTED, ApplicationStatus.OFFERED)


class InvitationStatus(StrEnum):
    ISSUED = "issued"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Goal(BaseModel):
    """An objective as its community states it; the last four say how it is known to be met."""

    model_config = ConfigDict(frozen=True)

    objective_id: UUID
    title: str
    retired: bool = False
    measure: str | None = None
    baseline: str | None = None
    target: str | None = None
    by: datetime | None = None

    def fact(self) -> Objective:
        """What other services hear of it."""
        return Objective(objective_id=self.objective_id, title=self.title, retired=self.retired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """A circle. `founded` counts everybody ever let in, erased ones included."""

    community_id: UUID
    brand_id: UUID
    name: str
    purpose: str
    audience: str
    member_promise: str
    status: CommunityStatus
    time_zone: str
    quiet_from: time
    quiet_until: time
    clock: ClockMode
    seats: Seats
    requirements_version: int
    objectives: tuple[Goal, ...]
    founded: int = 0
    clock_told_at: datetime | None = None
    version: int = 1
    sequence: int = 0

    def changed(self, **changes: Any) -> Community:
        """A published change."""
        return replace(self, version=self.version + 1, sequence=self.sequence + 1, **changes)

    def with_seats(self, seats: Seats) -> Community:
        """A change that the seat log counts and the community's own sequence does not."""
        return replace(self, seats=seats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    application_id: UUID
    community_id: UUID
    person_id: UUID
    status: ApplicationStatus
    requirements_version: int
    dossier: Dossier
    verdicts: tuple[RequirementVerdict, ...]
    submitted_at: datetime
    time_zone: str
    locale: str
    email: str | None = None
    invitation_id: UUID | None = None
    priority: int = 0
    enqueued_at: datetime | None = None
    offer_expires_at: datetime | None = None
    lapses: int = 0
    reason: str | None = None
    reapply_after: datetime | None = None
    version: int = 0
    sequence: int = 0

    def changed(self, **changes: Any) -> Application:
        """A published change."""
        return replace(self, version=self.version + 1, sequence=self.sequence + 1, **changes)

    def admitted(self) -> Application:
        """In: a change that `member.admitted` publishes and this aggregate's own count does not."""
        status = ApplicationStatus.ADMITTED
        return replace(self, status=status, offer_expires_at=None, version=self.version + 1)

    def judged(self, judgement: Judgement) -> Application:
        return replace(self, verdicts=judgement.leaves)

    def with_dossier(self, dossier: Dossier) -> Application:
        return replace(self, dossier=dossier)

    def with_invitation(self, invitation_id: UUID, dossier: Dossier) -> Application:
        return replace(self, invitation_id=invitation_id, dossier=dossier)

    def facts(self) -> dict[str, UUID]:
        """The fields that every application event carries."""
        return {
            "application_id": self.application_id,
            "community_id": self.community_id,
            "person_id": self.person_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    member_id: UUID
    community_id: UUID
    person_id: UUID
    status: MemberStatus
    admitted_at: datetime
    time_zone: str
    locale: str
    founding_number: int
    until: datetime | None = None
    ended_at: datetime | None = None
    reapply_after: datetime | None = None
    handle: str | None = None
    about: str | None = None
    version: int = 0
    sequence: int = 0

    @property
    def seated(self) -> bool:
        return self.status in {MemberStatus.ACTIVE, MemberStatus.SUSPENDED}

    def changed(self, **changes: Any) -> Member:
        """A published change."""
        return replace(self, version=self.version + 1, sequence=self.sequence + 1, **changes)

    def with_profile(self, handle: str, about: str) -> Member:
        """Another profile: a change that is not published."""
        return replace(self, handle=handle, about=about, version=self.version + 1)

    def facts(self) -> dict[str, Any]:
        """The fields that every member event carries."""
        return {
            "member_id": self.member_id,
            "community_id": self.community_id,
            "person_id": self.person_id,
            "status": self.status,
            "admitted_at": self.admitted_at,
            "time_zone": self.time_zone,
            "locale": self.locale,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    invitation_id: UUID
    community_id: UUID
    issuer: str
    max_uses: int
    reserves_seat: bool
    expires_at: datetime
    status: InvitationStatus = InvitationStatus.ISSUED
    uses: int = 0
    version: int = 0
    sequence: int = 0

    @property
    def usable(self) -> bool:
        return self.status is InvitationStatus.ISSUED and self.uses < self.max_uses

    def usable_at(self, at: datetime) -> bool:
        return self.usable and at < self.expires_at

    @property
    def holds_seat(self) -> bool:
        return self.usable and self.reserves_seat

    def changed(self, **changes: Any) -> Invitation:
        """A published change."""
        return replace(self, version=self.version + 1, sequence=self.sequence + 1, **changes)
