"""What is shown of an application."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from coterie_chassis.http import View
from coterie_contracts.member import RequirementVerdict, Verdict
from coterie_membership.domain.people import Application, ApplicationStatus, Member
from coterie_membership.domain.requirements import why

__all__ = ["ApplicationView", "VerdictView", "application_view"]


class VerdictView(View):
    requirement: str
    kind: str
    verdict: Verdict
    why: str


class ApplicationView(View):
    """`member_position` is what `Coterie-After` takes once somebody is admitted."""

    application_id: UUID
    community_id: UUID
    person_id: UUID
    member_id: UUID | None
    member_position: str | None
    status: ApplicationStatus
    submitted_at: datetime
    admitted_at: datetime | None
    priority: int
    enqueued_at: datetime | None
    offer_expires_at: datetime | None
    reason: str | None
    reapply_after: datetime | None
    verdicts: list[VerdictView]
    version: int


def application_view(application: Application, member: Member | None) -> ApplicationView:
    return ApplicationView(
        application_id=application.application_id,
        community_id=application.community_id,
        person_id=application.person_id,
        member_id=member.member_id if member else None,
        member_position=f"{member.member_id};{member.sequence}" if member else None,
        status=application.status,
        submitted_at=application.submitted_at,
        admitted_at=member.admitted_at if member else None,
        priority=application.priority,
        enqueued_at=application.enqueued_at,
        offer_expires_at=application.offer_expires_at,
        reason=application.reason,
        reapply_after=application.reapply_after,
        verdicts=[_verdict(verdict) for verdict in application.verdicts],
        version=application.version,
    )


def _verdict(verdict: RequirementVerdict) -> VerdictView:
    return VerdictView(
        requirement=verdict.requirement,
        kind=verdict.kind,
        verdict=verdict.verdict,
        why=why(verdict),
    )
