"""What is shown of an application."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from coterie_chassis.http import View
from coterie_contracts.member import Verdict
from coterie_membership.domain.explaining import explained
from coterie_membership.domain.people import Application, ApplicationStatus, Member
from coterie_membership.domain.requirements import Requirement

__all__ = ["ApplicationView", "VerdictView", "application_view"]


class VerdictView(View):
    requirement: str
    kind: str
    verdict: Verdict
    evidence: str | None = Field(description="a reference to what staff found, never that itself")
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


def application_view(
    application: Application, tree: Requirement, member: Member | None
) -> ApplicationView:
    """An application as it is shown; `tree` are the requirements that it is judged by."""
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
        verdicts=[
            VerdictView(**verdict.model_dump(), why=why)
            for verdict, why in zip(
                application.verdicts, explained(tree, application.verdicts), strict=True
            )
        ],
        version=application.version,
    )
