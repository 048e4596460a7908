"""Deadlines in: what membership does when time passes. It listens to no other service's events.

Deadlines are never cancelled, so each handler looks whether what it is about still stands.
Communities are locked in the order of their ids, whatever the order of the deadlines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coterie_chassis.store import UnitOfWork
from coterie_chassis.sweeper import Deadline, sweeps
from coterie_contracts.member import MemberStatus, SeatLapse
from coterie_membership import store
from coterie_membership.domain import admission, belonging, founding, seating
from coterie_membership.domain.decision import (
    EVIDENCE_EXPIRES,
    INVITATION_EXPIRES,
    MEMBER_REINSTATED,
    SEAT_OFFER_LAPSES,
)
from coterie_membership.domain.people import ApplicationStatus, InvitationStatus
from coterie_membership.domain.requirements import lacks_evidence

__all__ = ["end_suspensions", "expire_evidence", "expire_invitations", "lapse_seat_offers"]


@sweeps(SEAT_OFFER_LAPSES)
async def lapse_seat_offers(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """End seat offers that nobody accepted; the seat goes to the next in line."""
    for deadline in _by_community(due):
        decision = await store.begin(uow, deadline.community_id)
        application = await store.application_by_id(uow, deadline.aggregate_id)
        if application is None or application.status is not ApplicationStatus.OFFERED:
            continue
        if application.offer_expires_at is None or application.offer_expires_at > deadline.due_at:
            continue
        lapsed = seating.lapse(decision, application, SeatLapse.EXPIRED)
        await store.move_up(uow, decision, at=deadline.due_at, passed_over=lapsed)
        await store.save(uow, decision, deadline.cause)


@sweeps(INVITATION_EXPIRES)
async def expire_invitations(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """End invitations that ran out; a reserved seat goes to the waitlist."""
    for deadline in _by_community(due):
        decision = await store.begin(uow, deadline.community_id)
        invitation = await store.invitation_by_id(uow, deadline.aggregate_id)
        if invitation is None or not invitation.usable or invitation.usable_at(deadline.due_at):
            continue
        founding.end_invitation(decision, invitation, InvitationStatus.EXPIRED)
        await store.move_up(uow, decision, at=deadline.due_at)
        await store.save(uow, decision, deadline.cause)


@sweeps(MEMBER_REINSTATED)
async def end_suspensions(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Let members act again when their suspension is over."""
    for deadline in _by_community(due):
        decision = await store.begin(uow, deadline.community_id)
        member = await store.member_by_id(uow, deadline.aggregate_id)
        if member is None or member.status is not MemberStatus.SUSPENDED:
            continue
        if member.until is None or member.until > deadline.due_at:
            continue
        belonging.reinstate(decision, member)
        await store.save(uow, decision, deadline.cause)


@sweeps(EVIDENCE_EXPIRES)
async def expire_evidence(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """End applications whose evidence nobody brought; what hangs on a manager alone waits on."""
    for deadline in _by_community(due):
        decision = await store.begin(uow, deadline.community_id)
        application = await store.application_by_id(uow, deadline.aggregate_id)
        if application is None or application.status is not ApplicationStatus.SUBMITTED:
            continue
        version = application.requirements_version
        tree = await store.tree(uow, deadline.community_id, version)
        if lacks_evidence(tree, application.dossier, at=deadline.due_at):
            admission.expire(decision, application)
            await store.save(uow, decision, deadline.cause)


def _by_community(due: Iterable[Deadline]) -> list[Deadline]:
    return sorted(due, key=lambda deadline: (deadline.community_id, deadline.due_at))
