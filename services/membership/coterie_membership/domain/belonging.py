"""A member's time inside: suspended, reinstated, leaving, released, removed, forgotten.

Suspending and reinstating move no seat. Whoever goes frees exactly one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Draft, Refusal
from coterie_contracts.member import (
    MemberContact,
    MemberErased,
    MemberLeft,
    MemberReinstated,
    MemberReleased,
    MemberRemoved,
    MemberStatus,
    MemberSuspended,
)
from coterie_membership.domain.decision import MEMBER_REINSTATED, Decision
from coterie_membership.domain.people import Member
from coterie_membership.domain.timing import Policy

__all__ = ["contact", "end", "erase", "reinstate", "suspend"]

_ENDINGS: Final = {
    MemberStatus.LEFT: Policy.REAPPLY_AFTER_LEFT,
    MemberStatus.RELEASED: Policy.REAPPLY_AFTER_LEFT,
    MemberStatus.REMOVED: Policy.REAPPLY_AFTER_REMOVED,
}


def suspend(decision: Decision, member: Member, until: datetime | None, *, at: datetime) -> None:
    """Stop a member from acting, 14 days unless `until` says otherwise."""
    if member.status is MemberStatus.SUSPENDED and until is not None and member.until == until:
        return
    if member.status is not MemberStatus.ACTIVE:
        raise Refusal("not-active", "Only an active member can be suspended.")
    until = until or at + Policy.SUSPENSION
    if until <= at:
        raise Refusal("suspension-in-the-past", "The suspension would be over already.")
    member = member.changed(status=MemberStatus.SUSPENDED, until=until)
    body = MemberSuspended(**member.facts(), until=until)
    decision.publish(Draft(member.member_id, body, member.sequence))
    decision.deadlines[MEMBER_REINSTATED, member.member_id] = until
    decision.put(member)


def reinstate(decision: Decision, member: Member) -> None:
    """End a suspension."""
    if member.status is not MemberStatus.SUSPENDED:
        raise Refusal("not-suspended", "This member is not suspended.")
    member = member.changed(status=MemberStatus.ACTIVE, until=None)
    body = MemberReinstated(**member.facts())
    decision.publish(Draft(member.member_id, body, member.sequence))
    decision.put(member)


def end(decision: Decision, member: Member, ending: MemberStatus, *, at: datetime) -> None:
    """End a membership as `left`, `released` or `removed`; the seat is free again.

    Who leaves while suspended waits as long as the suspension would have lasted.
    """
    if not member.seated:
        raise Refusal("not-a-member", "This membership has ended already.")
    seats = decision.community.seats.release()
    decision.community = decision.community.with_seats(seats)
    reapply_after = at + _ENDINGS[ending]
    if ending is not MemberStatus.RELEASED:
        reapply_after = max(reapply_after, member.until or reapply_after)
    member = member.changed(status=ending, until=None, ended_at=at, reapply_after=reapply_after)
    body: MemberLeft | MemberReleased | MemberRemoved
    if ending is MemberStatus.LEFT:
        body = MemberLeft(**member.facts(), **seats.facts())
    elif ending is MemberStatus.RELEASED:
        body = MemberReleased(**member.facts(), **seats.facts())
    else:
        body = MemberRemoved(**member.facts(), **seats.facts(), reapply_after=reapply_after)
    decision.publish(Draft(member.member_id, body, member.sequence))
    decision.put(member)


def contact(decision: Decision, member: Member, email: str | None) -> None:
    """Tell notifications how to reach a member; the only event with personal data."""
    body = MemberContact(member_id=member.member_id, community_id=member.community_id, email=email)
    decision.publish(Draft(member.member_id, body))


def erase(decision: Decision, person_id: UUID, member_id: UUID, member: Member | None) -> None:
    """Forget a person: a held seat is freed, contact data gets its tombstone."""
    held = member is not None and member.seated
    seats = decision.community.seats
    seats = seats.release() if held else seats.keep()
    decision.community = decision.community.with_seats(seats)
    community_id = decision.community.community_id
    body = MemberErased(
        member_id=member_id, community_id=community_id, person_id=person_id, **seats.facts()
    )
    sequence = member.sequence + 1 if member is not None else 1
    gone = MemberContact(member_id=member_id, community_id=community_id)
    decision.publish(Draft(member_id, body, sequence), Draft(member_id, gone, tombstone=True))
