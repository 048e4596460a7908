"""From a driven clock to the wall clock: what is open starts anew, what is over stays over.

The driven clock may stand years back. Had it run on to today, every open seat offer would lapse
and every invitation expire in one blink; so each gets its whole term again from now on. A
suspension goes on for what was left of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from coterie_chassis.decisions import Draft
from coterie_contracts.community import ClockAdvanced, ClockMode
from coterie_contracts.member import InvitationIssued, MemberSuspended, SeatOffered
from coterie_membership.domain.decision import (
    EVIDENCE_EXPIRES,
    INVITATION_EXPIRES,
    MEMBER_REINSTATED,
    SEAT_OFFER_LAPSES,
    Decision,
)
from coterie_membership.domain.founding import publish_change
from coterie_membership.domain.people import Application, ApplicationStatus, Invitation, Member
from coterie_membership.domain.timing import Policy, offer_end

__all__ = ["go_live", "push_clock"]


def push_clock(decision: Decision, now: datetime) -> None:
    """Tell every service that the driven clock stands at `now`; once for one instant."""
    community = decision.community
    if community.clock_told_at is not None and now <= community.clock_told_at:
        return
    _tell(decision, ClockMode.DRIVEN, now)


def go_live(
    decision: Decision,
    applications: Sequence[Application],
    invitations: Sequence[Invitation],
    suspended: Sequence[Member],
    *,
    stood_at: datetime,
    now: datetime,
) -> None:
    """Switch to the wall clock; `stood_at` is where the driven clock stood."""
    _tell(decision, ClockMode.WALL, now)
    publish_change(decision)
    for application in applications:
        if application.status is ApplicationStatus.OFFERED:
            _restart_offer(decision, application, now)
        else:
            key = EVIDENCE_EXPIRES, application.application_id
            decision.deadlines[key] = now + Policy.EVIDENCE_UNKNOWN
    for invitation in invitations:
        _restart_invitation(decision, invitation, now)
    for member in suspended:
        if member.until is not None:
            _go_on_with_suspension(decision, member, now + (member.until - stood_at))


def _tell(decision: Decision, mode: ClockMode, now: datetime) -> None:
    community = decision.community.changed(clock=mode, clock_told_at=now)
    decision.community = community
    body = ClockAdvanced(community_id=community.community_id, mode=mode, now=now)
    decision.publish(Draft(community.community_id, body, community.sequence))


def _restart_offer(decision: Decision, application: Application, now: datetime) -> None:
    """The seat stays held; only the time to accept it is new."""
    seats = decision.community.seats.keep()
    decision.community = decision.community.with_seats(seats)
    expires_at = offer_end(now, application.time_zone)
    application = application.changed(offer_expires_at=expires_at)
    body = SeatOffered(**application.facts(), **seats.facts(), expires_at=expires_at)
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.deadlines[SEAT_OFFER_LAPSES, application.application_id] = expires_at
    decision.put(application)


def _restart_invitation(decision: Decision, invitation: Invitation, now: datetime) -> None:
    seats = decision.community.seats.keep()
    decision.community = decision.community.with_seats(seats)
    invitation = invitation.changed(expires_at=now + Policy.INVITATION)
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


def _go_on_with_suspension(decision: Decision, member: Member, until: datetime) -> None:
    member = member.changed(until=until)
    body = MemberSuspended(**member.facts(), until=until)
    decision.publish(Draft(member.member_id, body, member.sequence))
    decision.deadlines[MEMBER_REINSTATED, member.member_id] = until
    decision.put(member)
