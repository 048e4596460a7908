"""Who gets a seat next: admitted, waiting, offered a seat, taking it or letting it lapse.

A freed seat goes to the waitlist by (priority desc, enqueued_at, id). Whoever lets an offer lapse
once keeps their place, and the seat goes to the next one first. An invitation is used up in the
transaction that gives its bearer a seat or a place in the line, so it never serves two.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Draft, Refusal
from coterie_contracts.community import CommunityStatus
from coterie_contracts.member import (
    Admission,
    ApplicationJudged,
    ApplicationWaitlisted,
    InvitationRedeemed,
    MemberAdmitted,
    MemberStatus,
    SeatLapse,
    SeatLapsed,
    SeatOffered,
)
from coterie_membership.domain.decision import SEAT_OFFER_LAPSES, Decision
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Invitation,
    InvitationStatus,
    Member,
)
from coterie_membership.domain.requirements import Judgement
from coterie_membership.domain.timing import Policy, offer_end

__all__ = [
    "accept_seat",
    "admit",
    "enqueue",
    "judged",
    "lapse",
    "offer_if_ready",
    "prioritise",
    "redeem",
]

PRIORITY_INVITED: Final = 100
PRIORITY_RELEASED: Final = 200


def admit(
    decision: Decision,
    application: Application,
    former: Member | None,
    via: Admission,
    *,
    member_id: UUID,
    at: datetime,
) -> None:
    """Make a member. Only `application` takes a new seat; the others hold theirs already."""
    if decision.community.status is CommunityStatus.CLOSED:
        raise Refusal("community-closed", "A closed community lets nobody in.")
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
    body = MemberAdmitted(
        **member.facts(),
        **seats.facts(),
        via=via,
        application_id=application.application_id,
        requirements_version=application.requirements_version,
    )
    decision.publish(Draft(member.member_id, body, member.sequence))
    decision.put(application.admitted(), member)


def enqueue(
    decision: Decision,
    application: Application,
    former: Member | None,
    *,
    invited: bool,
    at: datetime,
) -> None:
    """Put somebody who satisfies the requirements on the waitlist."""
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
    _tell_place(decision, application)


def prioritise(decision: Decision, application: Application, priority: int) -> None:
    """Move somebody on the waitlist; published as their new place."""
    if application.status is not ApplicationStatus.WAITLISTED:
        raise Refusal("not-waitlisted", "Only who waits for a seat has a place to move.")
    if priority != application.priority:
        _tell_place(decision, application.changed(priority=priority))


def advance_invited(decision: Decision, application: Application) -> None:
    """Move somebody who waits and has now been invited ahead of the uninvited."""
    prioritise(decision, application, max(application.priority, PRIORITY_INVITED))


def redeem(decision: Decision, invitation: Invitation, application: Application) -> None:
    """Use an invitation once."""
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
    decision.put(invitation)


def offer_if_ready(
    decision: Decision, application: Application, judgement: Judgement, *, at: datetime
) -> None:
    """Offer a free seat to somebody who waits, unless their evidence has run out meanwhile.

    Who is not ready keeps the place, and hears on which requirement it hangs.
    """
    if not judgement.satisfied:
        if application.verdicts != judgement.leaves:
            judged(decision, application.changed(), judgement)
        return
    seats = decision.community.seats.take()
    decision.community = decision.community.with_seats(seats)
    expires_at = offer_end(at, application.time_zone)
    application = application.changed(
        status=ApplicationStatus.OFFERED, offer_expires_at=expires_at
    ).judged(judgement)
    body = SeatOffered(**application.facts(), **seats.facts(), expires_at=expires_at)
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.deadlines[SEAT_OFFER_LAPSES, application.application_id] = expires_at
    decision.put(application)


def accept_seat(
    decision: Decision,
    application: Application,
    former: Member | None,
    *,
    member_id: UUID,
    at: datetime,
) -> None:
    """Turn an open seat offer into membership. Raises `Refusal` once it is over."""
    if application.status is not ApplicationStatus.OFFERED:
        raise Refusal("no-seat-offer", "There is no seat offer to accept here.")
    if application.offer_expires_at is not None and at >= application.offer_expires_at:
        raise Refusal("seat-offer-over", "This seat offer has ended.")
    admit(decision, application, former, Admission.SEAT_OFFER, member_id=member_id, at=at)


def lapse(decision: Decision, application: Application, reason: SeatLapse) -> Application:
    """End a seat offer that was not taken; returns the application as it then is."""
    final = application.lapses >= 1 or reason is SeatLapse.WITHDRAWN
    seats = decision.community.seats.release()
    decision.community = decision.community.with_seats(seats)
    status = ApplicationStatus.LAPSED if final else ApplicationStatus.WAITLISTED
    application = application.changed(
        status=status, lapses=application.lapses + 1, offer_expires_at=None
    )
    body = SeatLapsed(**application.facts(), **seats.facts(), reason=reason, final=final)
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)
    return application


def judged(decision: Decision, application: Application, judgement: Judgement) -> Application:
    """Publish verdicts as part of the application's latest change."""
    application = application.judged(judgement)
    body = ApplicationJudged(
        **application.facts(),
        requirements_version=application.requirements_version,
        verdicts=judgement.leaves,
        satisfied=judgement.satisfied,
    )
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)
    return application


def _tell_place(decision: Decision, application: Application) -> None:
    assert application.enqueued_at is not None  # noqa: S101 - who is waitlisted has a place
    body = ApplicationWaitlisted(
        **application.facts(), priority=application.priority, enqueued_at=application.enqueued_at
    )
    decision.publish(Draft(application.application_id, body, application.sequence))
    decision.put(application)
