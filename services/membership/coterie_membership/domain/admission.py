"""From an application to a seat: judged, admitted or waitlisted, offered, accepted, lapsed.

A freed seat goes to the waitlist by (priority desc, enqueued_at, id). Whoever lets an offer lapse
once keeps their place, and the seat goes to the next one first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Draft, Refusal
from coterie_contracts.community import CommunityStatus
from coterie_contracts.member import (
    Admission,
    ApplicationDeclined,
    ApplicationJudged,
    ApplicationSubmitted,
    ApplicationWaitlisted,
    ApplicationWithdrawn,
    InvitationRedeemed,
    MemberAdmitted,
    MemberStatus,
    SeatLapse,
    SeatLapsed,
    SeatOffered,
)
from coterie_membership.domain.decision import (
    INVITATION_EXPIRES,
    SEAT_OFFER_LAPSES,
    Decision,
)
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Community,
    Invitation,
    InvitationStatus,
    Member,
)
from coterie_membership.domain.requirements import Dossier, Judgement
from coterie_membership.domain.timing import Policy, offer_end

__all__ = [
    "accept_seat",
    "decline",
    "lapse",
    "may_apply",
    "offer_free_seats",
    "prioritise",
    "rejudge",
    "settle",
    "submit",
    "withdraw",
]

PRIORITY_INVITED: Final = 100
PRIORITY_RELEASED: Final = 200


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


def submit(
    decision: Decision,
    application: Application,
    judgement: Judgement,
    member: Member | None,
    invitation: Invitation | None,
    *,
    member_id: UUID,
    waitlist_empty: bool,
    at: datetime,
) -> None:
    """Take an application in, judge it, and settle it at once where the tree is satisfied."""
    application = application.changed(status=ApplicationStatus.SUBMITTED).judged(judgement)
    body = ApplicationSubmitted(
        **_facts(application),
        requirements_version=application.requirements_version,
        invitation_id=application.invitation_id,
    )
    decision.publish(Draft(application.application_id, body, application.sequence))
    settle(
        decision,
        application,
        judgement,
        member,
        invitation,
        member_id=member_id,
        waitlist_empty=waitlist_empty,
        at=at,
    )


def settle(
    decision: Decision,
    application: Application,
    judgement: Judgement,
    member: Member | None,
    invitation: Invitation | None,
    *,
    member_id: UUID,
    waitlist_empty: bool,
    at: datetime,
) -> None:
    """Publish the verdicts; admit or waitlist where they satisfy the requirements."""
    application = application.judged(judgement)
    body = ApplicationJudged(
        **_facts(application),
        requirements_version=application.requirements_version,
        verdicts=judgement.leaves,
        satisfied=judgement.satisfied,
    )
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)
    if not judgement.satisfied or application.status is not ApplicationStatus.SUBMITTED:
        return
    if invitation is not None and invitation.holds_seat:
        _admit(decision, application, member, Admission.INVITATION, member_id=member_id, at=at)
        _redeem(decision, invitation, application)
    elif waitlist_empty and decision.community.seats.free:
        _admit(decision, application, member, Admission.APPLICATION, member_id=member_id, at=at)
        if invitation is not None and invitation.usable:
            _redeem(decision, invitation, application)
    else:
        _waitlist(decision, application, member, invited=invitation is not None, at=at)


def rejudge(
    decision: Decision,
    application: Application,
    dossier: Dossier,
    judgement: Judgement,
    *,
    member: Member | None,
    invitation: Invitation | None,
    member_id: UUID,
    waitlist_empty: bool,
    at: datetime,
) -> None:
    """Judge an open application again after something new is known of the applicant."""
    if not application.status.live:
        raise Refusal("application-ended", "This application is not open any more.")
    settle(
        decision,
        application.changed().with_dossier(dossier),
        judgement,
        member,
        invitation,
        member_id=member_id,
        waitlist_empty=waitlist_empty,
        at=at,
    )


def prioritise(decision: Decision, application: Application, priority: int) -> None:
    """Move somebody on the waitlist; published as their new place."""
    application = application.changed(priority=priority)
    assert application.enqueued_at is not None  # noqa: S101 - who is waitlisted has a place
    body = ApplicationWaitlisted(
        **_facts(application), priority=priority, enqueued_at=application.enqueued_at
    )
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)


def offer_free_seats(
    decision: Decision, waitlist: Sequence[Application], *, passed_over: UUID | None, at: datetime
) -> None:
    """Offer what is free to the waitlist, in its order; `passed_over` comes last this time."""
    if decision.community.status is not CommunityStatus.OPEN:
        return
    ordered = [a for a in waitlist if a.application_id != passed_over]
    ordered += [a for a in waitlist if a.application_id == passed_over]
    for waiting in ordered:
        if not decision.community.seats.free:
            return
        current = decision.applications.get(waiting.application_id, waiting)
        if current.status is ApplicationStatus.WAITLISTED:
            _offer(decision, current, at=at)


def accept_seat(
    decision: Decision,
    application: Application,
    member: Member | None,
    invitation: Invitation | None,
    *,
    member_id: UUID,
    at: datetime,
) -> None:
    """Turn an open seat offer into membership. Raises `Refusal` once it is over."""
    if application.status is not ApplicationStatus.OFFERED:
        raise Refusal("no-seat-offer", "There is no seat offer to accept here.")
    if application.offer_expires_at is not None and at >= application.offer_expires_at:
        raise Refusal("seat-offer-over", "This seat offer has ended.")
    decision.deadlines[SEAT_OFFER_LAPSES, application.application_id] = None
    _admit(decision, application, member, Admission.SEAT_OFFER, member_id=member_id, at=at)
    if invitation is not None and invitation.usable:
        _redeem(decision, invitation, application)


def lapse(decision: Decision, application: Application, reason: SeatLapse) -> Application:
    """End a seat offer that was not taken; returns the application as it then is."""
    final = application.lapses >= 1 or reason is SeatLapse.WITHDRAWN
    seats = decision.community.seats.release()
    decision.community = decision.community.with_seats(seats)
    status = ApplicationStatus.LAPSED if final else ApplicationStatus.WAITLISTED
    application = application.changed(
        status=status, lapses=application.lapses + 1, offer_expires_at=None
    )
    body = SeatLapsed(**_facts(application), **seats.facts(), reason=reason, final=final)
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.deadlines[SEAT_OFFER_LAPSES, application.application_id] = None
    decision.put(application)
    return application


def decline(
    decision: Decision, application: Application, reason: str, *, at: datetime
) -> Application:
    """Decline; the applicant reads `reason` and may apply again after 90 days."""
    if not application.status.live:
        raise Refusal("application-ended", "This application is not open any more.")
    if application.status is ApplicationStatus.OFFERED:
        application = lapse(decision, application, SeatLapse.WITHDRAWN)
    reapply_after = at + Policy.REAPPLY_AFTER_DECLINED
    application = application.changed(
        status=ApplicationStatus.DECLINED, reason=reason, reapply_after=reapply_after
    )
    body = ApplicationDeclined(**_facts(application), reapply_after=reapply_after)
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)
    return application


def withdraw(decision: Decision, application: Application) -> None:
    """The applicant takes the application back; an open seat offer is given up."""
    if not application.status.live:
        raise Refusal("application-ended", "This application is not open any more.")
    if application.status is ApplicationStatus.OFFERED:
        application = lapse(decision, application, SeatLapse.WITHDRAWN)
    application = application.changed(status=ApplicationStatus.WITHDRAWN)
    body = ApplicationWithdrawn(**_facts(application))
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)


def _admit(
    decision: Decision,
    application: Application,
    former: Member | None,
    via: Admission,
    *,
    member_id: UUID,
    at: datetime,
) -> None:
    community = decision.community
    seats = community.seats.take() if via is Admission.APPLICATION else community.seats.keep()
    if former is None:
        community = replace(community, founded=community.founded + 1)
    decision.community = community.with_seats(seats)
    member = Member(
        member_id=member_id,
        community_id=application.community_id,
        person_id=application.person_id,
        status=MemberStatus.ACTIVE,
        admitted_at=at,
        time_zone=application.time_zone,
        locale=application.locale,
        founding_number=former.founding_number if former else decision.community.founded,
        handle=former.handle if former else None,
        about=former.about if former else None,
        version=former.version if former else 0,
        sequence=former.sequence if former else 0,
    ).changed()
    application = application.changed(status=ApplicationStatus.ADMITTED, offer_expires_at=None)
    body = MemberAdmitted(
        **member.facts(),
        **seats.facts(),
        via=via,
        application_id=application.application_id,
        requirements_version=application.requirements_version,
    )
    decision.publish(Draft(member.member_id, body, member.sequence))
    decision.put(application, member)


def _waitlist(
    decision: Decision,
    application: Application,
    former: Member | None,
    *,
    invited: bool,
    at: datetime,
) -> None:
    priority = max(application.priority, PRIORITY_INVITED if invited else 0)
    if (
        former is not None
        and former.status is MemberStatus.RELEASED
        and former.ended_at is not None
        and at - former.ended_at <= Policy.RELEASED_GOES_FIRST
    ):
        priority = max(priority, PRIORITY_RELEASED)
    application = application.changed(
        status=ApplicationStatus.WAITLISTED, priority=priority, enqueued_at=at
    )
    body = ApplicationWaitlisted(**_facts(application), priority=priority, enqueued_at=at)
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)


def _offer(decision: Decision, application: Application, *, at: datetime) -> None:
    seats = decision.community.seats.take()
    decision.community = decision.community.with_seats(seats)
    expires_at = offer_end(at, application.time_zone)
    application = application.changed(status=ApplicationStatus.OFFERED, offer_expires_at=expires_at)
    body = SeatOffered(**_facts(application), **seats.facts(), expires_at=expires_at)
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.deadlines[SEAT_OFFER_LAPSES, application.application_id] = expires_at
    decision.put(application)


def _redeem(decision: Decision, invitation: Invitation, application: Application) -> None:
    uses = invitation.uses + 1
    used_up = uses >= invitation.max_uses
    invitation = invitation.changed(
        uses=uses, status=InvitationStatus.REDEEMED if used_up else invitation.status
    )
    body = InvitationRedeemed(
        invitation_id=invitation.invitation_id,
        community_id=invitation.community_id,
        application_id=application.application_id,
        uses=uses,
    )
    decision.publish(Draft(invitation.invitation_id, body, invitation.sequence))
    if used_up:
        decision.deadlines[INVITATION_EXPIRES, invitation.invitation_id] = None
    decision.put(invitation)


def _facts(application: Application) -> dict[str, UUID]:
    return {
        "application_id": application.application_id,
        "community_id": application.community_id,
        "person_id": application.person_id,
    }
