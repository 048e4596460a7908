"""Deadlines in: what membership does when time passes. It listens to no other service's events."""

from __future__ import annotations

from collections.abc import Sequence

from coterie_chassis.store import UnitOfWork
from coterie_chassis.sweeper import Deadline, sweeps
from coterie_contracts.member import MemberStatus, SeatLapse
from coterie_membership import store
from coterie_membership.domain import admission, belonging, founding
from coterie_membership.domain.decision import (
    INVITATION_EXPIRES,
    MEMBER_REINSTATED,
    SEAT_OFFER_LAPSES,
    Decision,
)
from coterie_membership.domain.people import ApplicationStatus, InvitationStatus

__all__ = ["end_suspensions", "expire_invitations", "lapse_seat_offers"]


@sweeps(SEAT_OFFER_LAPSES)
async def lapse_seat_offers(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """End seat offers that nobody accepted; the seat goes to the next in line."""
    for deadline in due:
        decision = await store.begin(uow, deadline.community_id)
        application = await store.application_by_id(uow, deadline.aggregate_id)
        if application is None or application.status is not ApplicationStatus.OFFERED:
            continue
        admission.lapse(decision, application, SeatLapse.EXPIRED)
        await _offer_and_save(uow, decision, deadline, passed_over=True)


@sweeps(INVITATION_EXPIRES)
async def expire_invitations(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """End invitations that ran out; a reserved seat goes to the waitlist."""
    for deadline in due:
        decision = await store.begin(uow, deadline.community_id)
        invitation = await store.invitation_by_id(uow, deadline.aggregate_id)
        if invitation is None or not invitation.usable:
            continue
        founding.end_invitation(decision, invitation, InvitationStatus.EXPIRED)
        await _offer_and_save(uow, decision, deadline)


@sweeps(MEMBER_REINSTATED)
async def end_suspensions(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Let members act again when their suspension is over."""
    for deadline in due:
        decision = await store.begin(uow, deadline.community_id)
        member = await store.member_by_id(uow, deadline.aggregate_id)
        if member is None or member.status is not MemberStatus.SUSPENDED:
            continue
        belonging.reinstate(decision, member)
        await store.save(uow, decision, deadline.cause)


async def _offer_and_save(
    uow: UnitOfWork, decision: Decision, deadline: Deadline, *, passed_over: bool = False
) -> None:
    """Applications changed by this decision are not in the waitlist's rows yet."""
    head = await store.waitlist(uow, deadline.community_id, decision.community.seats.free + 1)
    known = {waiting.application_id for waiting in head}
    head += [
        application
        for application in decision.applications.values()
        if application.application_id not in known
        and application.status is ApplicationStatus.WAITLISTED
    ]
    admission.offer_free_seats(
        decision,
        head,
        passed_over=deadline.aggregate_id if passed_over else None,
        at=deadline.due_at,
    )
    await store.save(uow, decision, deadline.cause)
