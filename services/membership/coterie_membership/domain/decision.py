"""What a decision changes and publishes, gathered so that one transaction writes it at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from coterie_chassis.decisions import Draft
from coterie_membership.domain.people import Application, Community, Invitation, Member

__all__ = [
    "EVIDENCE_EXPIRES",
    "INVITATION_EXPIRES",
    "MEMBER_REINSTATED",
    "SEAT_OFFER_LAPSES",
    "Decision",
]

SEAT_OFFER_LAPSES = "seat_offer.lapse"
INVITATION_EXPIRES = "invitation.expire"
MEMBER_REINSTATED = "member.reinstate"
EVIDENCE_EXPIRES = "evidence.expire"


@dataclass(slots=True)
class Decision:
    """The community as it is after all so far, changed aggregates by id, drafts in order.

    Later steps of one decision see what earlier ones did. A deadline is set and never cancelled:
    a sweep may have taken it already and wait for the community, so it has to look in any case.
    What no longer applies finds nothing to do.
    """

    community: Community
    applications: dict[UUID, Application] = field(default_factory=dict)
    members: dict[UUID, Member] = field(default_factory=dict)
    invitations: dict[UUID, Invitation] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)
    deadlines: dict[tuple[str, UUID], datetime] = field(default_factory=dict)

    def put(self, *changed: Application | Member | Invitation) -> None:
        for value in changed:
            if isinstance(value, Application):
                self.applications[value.application_id] = value
            elif isinstance(value, Member):
                self.members[value.member_id] = value
            else:
                self.invitations[value.invitation_id] = value

    def publish(self, *drafts: Draft) -> None:
        self.drafts.extend(drafts)
