"""A community's own life: founded, opened, paused, closed; objectives, capacity, invitations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Draft, Refusal
from coterie_contracts.community import (
    AdmissionPolicyChanged,
    CapacityChanged,
    CommunityChanged,
    CommunityOpened,
    CommunityStatus,
)
from coterie_contracts.member import InvitationExpired, InvitationIssued, InvitationRevoked
from coterie_membership.domain.decision import INVITATION_EXPIRES, Decision
from coterie_membership.domain.people import Community, Goal, Invitation, InvitationStatus
from coterie_membership.domain.requirements import Requirement, faults, leaves

__all__ = [
    "change_objectives",
    "change_requirements",
    "check_objectives",
    "check_open",
    "close",
    "end_invitation",
    "invite",
    "open_community",
    "pause",
    "publish_change",
    "resize",
]

_MAX_OBJECTIVES: Final = 2


def open_community(decision: Decision) -> None:
    """Take applications from now on. A community has one or two objectives when it is open."""
    community = decision.community
    if community.status is CommunityStatus.CLOSED:
        raise Refusal("community-closed", "A closed community stays closed.")
    if community.status is CommunityStatus.OPEN:
        return
    check_objectives(community.objectives)
    first = community.status is CommunityStatus.DRAFT
    community = community.changed(status=CommunityStatus.OPEN)
    decision.community = community
    body = CommunityOpened if first else CommunityChanged
    decision.publish(Draft(community.community_id, body(**_facts(community)), community.sequence))


def pause(decision: Decision) -> None:
    """Take no applications for a while; members stay."""
    if decision.community.status is CommunityStatus.PAUSED:
        return
    if decision.community.status is not CommunityStatus.OPEN:
        raise Refusal("community-not-open", "Only an open community can be paused.")
    decision.community = decision.community.changed(status=CommunityStatus.PAUSED)
    publish_change(decision)


def close(decision: Decision) -> None:
    """End a community for good."""
    if decision.community.status is CommunityStatus.CLOSED:
        return
    decision.community = decision.community.changed(status=CommunityStatus.CLOSED)
    publish_change(decision)


def change_objectives(decision: Decision, objectives: Sequence[Goal]) -> None:
    """Set the objectives; what stood before and is not named any more is retired."""
    known = {objective.objective_id: objective for objective in decision.community.objectives}
    named = {objective.objective_id for objective in objectives}
    retired = [o.model_copy(update={"retired": True}) for i, o in known.items() if i not in named]
    both = (*retired, *objectives)
    check_objectives(both)
    if set(both) == set(decision.community.objectives):
        return
    decision.community = decision.community.changed(objectives=both)
    publish_change(decision)


def change_requirements(decision: Decision, tree: Requirement) -> int:
    """A new version of the entry requirements; returns its number."""
    if found := faults(tree):
        raise Refusal("unusable-requirements", "; ".join(found) + ".", status=422)
    version = decision.community.requirements_version + 1
    decision.community = decision.community.changed(requirements_version=version)
    publish_change(decision)
    body = AdmissionPolicyChanged(
        community_id=decision.community.community_id,
        requirements_version=version,
        requirement_kinds=tuple(sorted({leaf.kind for _, leaf in leaves(tree)})),
    )
    community = decision.community
    decision.publish(Draft(community.community_id, body, community.sequence))
    return version


def resize(decision: Decision, capacity: int) -> None:
    """Another capacity; a lower one evicts nobody."""
    previous = decision.community.seats
    if capacity == previous.capacity:
        return
    seats = previous.resize(capacity)
    decision.community = decision.community.changed(seats=seats)
    community = decision.community
    body = CapacityChanged(
        **seats.facts(),
        community_id=community.community_id,
        previous_capacity=previous.capacity,
    )
    decision.publish(Draft(community.community_id, body, community.sequence))
    publish_change(decision)


def invite(decision: Decision, invitation: Invitation) -> None:
    """Issue an invitation. One for a single person holds a free seat, if there is one."""
    if decision.community.status is CommunityStatus.CLOSED:
        raise Refusal("community-closed", "A closed community lets nobody in.")
    seats = decision.community.seats
    reserves_seat = invitation.max_uses == 1 and seats.free > 0
    seats = seats.take() if reserves_seat else seats.keep()
    decision.community = decision.community.with_seats(seats)
    invitation = invitation.changed(reserves_seat=reserves_seat)
    body = InvitationIssued(
        **seats.facts(),
        invitation_id=invitation.invitation_id,
        community_id=invitation.community_id,
        max_uses=invitation.max_uses,
        expires_at=invitation.expires_at,
        reserves_seat=invitation.reserves_seat,
    )
    decision.publish(Draft(invitation.invitation_id, body, invitation.sequence))
    decision.deadlines[INVITATION_EXPIRES, invitation.invitation_id] = invitation.expires_at
    decision.put(invitation)


def end_invitation(decision: Decision, invitation: Invitation, ending: InvitationStatus) -> None:
    """Revoke or expire an invitation; a seat that it holds is free again."""
    if not invitation.usable:
        raise Refusal("invitation-ended", "This invitation has ended already.")
    seats = decision.community.seats
    seats = seats.release() if invitation.holds_seat else seats.keep()
    decision.community = decision.community.with_seats(seats)
    invitation = invitation.changed(status=ending)
    body = InvitationExpired if ending is InvitationStatus.EXPIRED else InvitationRevoked
    facts: dict[str, UUID] = {
        "invitation_id": invitation.invitation_id,
        "community_id": invitation.community_id,
    }
    event = body(**seats.facts(), **facts)
    decision.publish(Draft(invitation.invitation_id, event, invitation.sequence))
    decision.put(invitation)


def check_not_over(invitation: Invitation, at: datetime) -> None:
    """Raises `Refusal` for an invitation that cannot be used at `at`."""
    if not invitation.usable_at(at):
        raise Refusal("invitation-ended", "This invitation can not be used any more.")


def publish_change(decision: Decision) -> None:
    """Tell copies of the community how it now is."""
    community = decision.community
    body = CommunityChanged(**_facts(community))
    decision.publish(Draft(community.community_id, body, community.sequence))


def check_open(community: Community) -> None:
    """Raises `Refusal` unless seats are offered now."""
    if community.status is not CommunityStatus.OPEN:
        raise Refusal("community-not-open", f"{community.name} offers no seats now; open it first.")


def check_objectives(objectives: Sequence[Goal]) -> None:
    """Raises `Refusal` unless these are one or two, each once, and those that were retired."""
    live = [objective for objective in objectives if not objective.retired]
    if len({objective.objective_id for objective in live}) < len(live):
        raise Refusal("objective-named-twice", "Each objective is named once.", status=422)
    if not live:
        raise Refusal("no-objective", "A community exists for one or two objectives.")
    if len(live) > _MAX_OBJECTIVES:
        raise Refusal(
            "too-many-objectives",
            "A community has two objectives at most; retire one before you add another.",
        )


def _facts(community: Community) -> dict[str, object]:
    return {
        "community_id": community.community_id,
        "name": community.name,
        "status": community.status,
        "time_zone": community.time_zone,
        "quiet_from": community.quiet_from,
        "quiet_until": community.quiet_until,
        "clock": community.clock,
        "capacity": community.seats.capacity,
        "objectives": tuple(goal.fact() for goal in community.objectives),
        "requirements_version": community.requirements_version,
    }
