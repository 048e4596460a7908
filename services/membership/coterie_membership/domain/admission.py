"""From an application to a decision: taken in, judged, settled, declined, withdrawn.

Whoever satisfies the requirements version pinned at submission is in, or in line, at once; who
does not waits for a judgement. Evidence that nobody brings in 30 days ends the application.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from coterie_chassis.decisions import Draft, Refusal
from coterie_contracts.community import CommunityStatus
from coterie_contracts.member import (
    Admission,
    ApplicationDeclined,
    ApplicationSubmitted,
    ApplicationWithdrawn,
    SeatLapse,
)
from coterie_membership.domain.decision import EVIDENCE_EXPIRES, Decision
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Community,
    Invitation,
    Member,
)
from coterie_membership.domain.requirements import Dossier, Judgement
from coterie_membership.domain.seating import admit, advance_invited, enqueue, judged, lapse, redeem
from coterie_membership.domain.timing import Policy

__all__ = [
    "decline",
    "expire",
    "may_apply",
    "present_invitation",
    "settle",
    "standing",
    "submit",
    "withdraw",
]

NOBODY_COULD_TELL = (
    "Within 30 days nobody could tell whether you meet all requirements. "
    "You may apply again at any time."
)


def may_apply(
    community: Community,
    live: Application | None,
    declined_until: datetime | None,
    member: Member | None,
    banned_until: datetime | None,
    *,
    at: datetime,
) -> None:
    """Raises `Refusal` where the rulebook lets this person not apply now."""
    if community.status is not CommunityStatus.OPEN:
        raise Refusal("community-not-open", f"{community.name} takes no applications now.")
    if live is not None:
        raise Refusal("already-applied", "There is an application of yours that is still open.")
    if member is not None and member.seated:
        raise Refusal("already-a-member", "You are a member already.")
    waits = [
        until
        for until in (
            declined_until,
            banned_until,
            member.reapply_after if member is not None else None,
        )
        if until is not None and until > at
    ]
    if waits:
        raise Refusal("too-early-to-reapply", f"You may apply again from {max(waits):%Y-%m-%d} on.")


def standing(
    application: Application, dossier: Dossier, invitation: Invitation | None, *, at: datetime
) -> Dossier:
    """What counts now: an invitation that ended or that others used up lets nobody in any more.

    On the waitlist it does not matter: the invitation was used when its bearer joined the line.
    """
    if application.status is not ApplicationStatus.SUBMITTED or dossier.invited_by is None:
        return dossier
    if invitation is not None and invitation.usable_at(at):
        return dossier
    return dossier.model_copy(update={"invited_by": None})


def submit(
    decision: Decision,
    application: Application,
    judgement: Judgement,
    member: Member | None,
    invitation: Invitation | None,
    *,
    member_id: UUID,
    seat_is_left: bool,
    at: datetime,
) -> None:
    """Take an application in, judge it, and settle it at once where the tree is satisfied."""
    application = application.changed(status=ApplicationStatus.SUBMITTED)
    body = ApplicationSubmitted(
        **application.facts(),
        requirements_version=application.requirements_version,
        invitation_id=application.invitation_id,
    )
    decision.publish(Draft(application.application_id, body, application.sequence))
    _settle(
        decision,
        application,
        judgement,
        member,
        invitation,
        member_id=member_id,
        seat_is_left=seat_is_left,
        at=at,
    )
    key = EVIDENCE_EXPIRES, application.application_id
    if decision.applications[application.application_id].status is ApplicationStatus.SUBMITTED:
        decision.deadlines[key] = at + Policy.EVIDENCE_UNKNOWN


def settle(
    decision: Decision,
    application: Application,
    judgement: Judgement,
    member: Member | None,
    invitation: Invitation | None,
    *,
    member_id: UUID,
    seat_is_left: bool,
    at: datetime,
) -> None:
    """Judge an open application anew; `seat_is_left` once all who were ready had theirs."""
    if not application.status.live:
        raise Refusal("application-ended", "This application is not open any more.")
    if decision.community.status is CommunityStatus.CLOSED:
        raise Refusal("community-closed", "A closed community lets nobody in.")
    application = application.changed()
    _settle(
        decision,
        application,
        judgement,
        member,
        invitation,
        member_id=member_id,
        seat_is_left=seat_is_left,
        at=at,
    )


def present_invitation(
    decision: Decision,
    application: Application,
    member: Member | None,
    invitation: Invitation,
    *,
    member_id: UUID,
    at: datetime,
) -> None:
    """Use an invitation on the waitlist: its own seat at once, else a place ahead."""
    if application.status is not ApplicationStatus.WAITLISTED:
        raise Refusal("seat-offer-open", "A seat is offered to you; you need no invitation.")
    if invitation.holds_seat:
        admit(decision, application, member, Admission.INVITATION, member_id=member_id, at=at)
    else:
        decision.put(application)
        advance_invited(decision, application)
    redeem(decision, invitation, application)


def decline(
    decision: Decision, application: Application, reason: str, *, at: datetime
) -> Application:
    """Decline; the applicant reads `reason` and may apply again after 90 days."""
    return _decline(decision, application, reason, at + Policy.REAPPLY_AFTER_DECLINED)


def expire(decision: Decision, application: Application) -> None:
    """End an application whose evidence nobody brought; they may apply again at once."""
    _decline(decision, application, NOBODY_COULD_TELL, None)


def withdraw(decision: Decision, application: Application) -> None:
    """The applicant takes the application back; an open seat offer is given up."""
    application = _give_up_offer(decision, application)
    application = application.changed(status=ApplicationStatus.WITHDRAWN)
    body = ApplicationWithdrawn(**application.facts())
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)


def _settle(
    decision: Decision,
    application: Application,
    judgement: Judgement,
    member: Member | None,
    invitation: Invitation | None,
    *,
    member_id: UUID,
    seat_is_left: bool,
    at: datetime,
) -> None:
    application = judged(decision, application, judgement)
    if not judgement.satisfied or application.status is not ApplicationStatus.SUBMITTED:
        return
    if invitation is not None and not invitation.usable_at(at):
        invitation = None
    if invitation is not None and invitation.holds_seat:
        admit(decision, application, member, Admission.INVITATION, member_id=member_id, at=at)
    elif seat_is_left and decision.community.seats.free:
        admit(decision, application, member, Admission.APPLICATION, member_id=member_id, at=at)
    else:
        enqueue(decision, application, member, invited=invitation is not None, at=at)
    if invitation is not None:
        redeem(decision, invitation, application)


def _decline(
    decision: Decision, application: Application, reason: str, reapply_after: datetime | None
) -> Application:
    application = _give_up_offer(decision, application).changed(
        status=ApplicationStatus.DECLINED, reason=reason, reapply_after=reapply_after
    )
    body = ApplicationDeclined(**application.facts(), reapply_after=reapply_after)
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)
    return application


def _give_up_offer(decision: Decision, application: Application) -> Application:
    if not application.status.live:
        raise Refusal("application-ended", "This application is not open any more.")
    if application.status is ApplicationStatus.OFFERED:
        return lapse(decision, application, SeatLapse.WITHDRAWN)
    return application
