"""Whom a batch of events tells of something; then those who asked to be forgotten are.

A notice is decided at its event's time, with the recipient's standing at that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.decisions import Cause
from coterie_chassis.store import UnitOfWork
from coterie_contracts import community, feedback, member
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_notifications.deadlines import BRIEF, BRIEF_AT, MONDAY
from coterie_notifications.domain.notice import Notice
from coterie_notifications.domain.notices import TOLD, notices_of, to_person
from coterie_notifications.domain.quiet_hours import next_local, zone_of
from coterie_notifications.store import erasure, facts
from coterie_notifications.store.notices import take_postponed
from coterie_notifications.store.recipients import audience_at
from coterie_notifications.telling import tell

_COMMUNITIES: Final = (community.CommunityOpened, community.CommunityChanged)


@handles(*_COMMUNITIES, fold=Fold.EVERY)
async def schedule_briefs(events: Batch[community.CommunityFacts], uow: UnitOfWork) -> None:
    """A brief every Monday at nine, in the community's zone, from its opening until it is closed.

    One that is due already stays due: on a driven clock events run ahead of deadlines. Where a
    change came before the opening, the opening sets the first Monday back.
    """
    due = await facts.scheduled_briefs(uow, {event.data.community_id for event in events})
    for event in events:
        data = event.data
        if data.status is community.CommunityStatus.CLOSED:
            continue
        zone = zone_of(data.time_zone, data.time_zone)
        monday = next_local(event.time, MONDAY, BRIEF_AT, zone)
        known, opens = due.get(data.community_id), isinstance(data, community.CommunityOpened)
        if known is not None and not (opens and monday < known):
            continue
        due[data.community_id] = monday
        uow.schedule(BRIEF, data.community_id, data.community_id, monday)


@handles(
    *TOLD,
    feedback.CampaignLaunched,
    *_COMMUNITIES,
    member.MemberErased,
    fold=Fold.EVERY,
)
async def tell_people(events: Sequence[Event[EventBody]], uow: UnitOfWork) -> None:
    """Put what a batch brings before the guard; then forget who asked to be forgotten."""
    notices = [notice for event in events for notice in notices_of(event)]
    notices += await _campaigns(events, uow)
    notices += await take_postponed(uow, _seen(events))
    await tell(uow, notices)
    await erasure.forget(
        uow,
        (
            (event.data.community_id, event.data.person_id, event.data.member_id)
            for event in events
            if isinstance(event.data, member.MemberErased)
        ),
    )


def _seen(events: Iterable[Event[EventBody]]) -> set[UUID]:
    """The members and communities that these events make known."""
    return {
        event.data.member_id if isinstance(event.data, member.MemberFacts) else event.subject
        for event in events
        if isinstance(event.data, (member.MemberFacts, community.CommunityFacts))
    }


async def _campaigns(events: Sequence[Event[EventBody]], uow: UnitOfWork) -> list[Notice]:
    """Notices of campaigns to their audience, and of earlier ones to members seen only now."""
    launched = [
        (event, event.data) for event in events if isinstance(event.data, feedback.CampaignLaunched)
    ]
    audiences = await audience_at(
        uow, [(data.campaign_id, data.community_id, event.time) for event, data in launched]
    )
    calls = [_call(event, data) for event, data in launched]
    sizes = [data.audience_size for _, data in launched]
    await facts.keep_campaigns(uow, list(zip(calls, sizes, strict=True)))
    admitted = [
        (event.data.member_id, event.data.community_id, event.data.admitted_at)
        for event in events
        if isinstance(event.data, member.MemberAdmitted)
    ]
    late = await facts.campaigns_since(uow, admitted)
    notices = [
        replace(call, recipient_id=who) for call in calls for who in audiences[call.cause_id]
    ]
    return notices + [replace(call, recipient_id=who) for who, call in late]


def _call(event: Event[Any], data: feedback.CampaignLaunched) -> Notice:
    return to_person(
        "campaign",
        Cause.of(event),
        data.community_id,
        data.community_id,
        cause_id=data.campaign_id,
        about=data.campaign_id,
        expires_at=data.closes_at,
        params={
            "title": data.title,
            "member_benefit": data.member_benefit,
            "closes_at": data.closes_at.isoformat(),
        },
    )
