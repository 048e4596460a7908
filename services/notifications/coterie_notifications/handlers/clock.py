"""A community that goes live: reminders that stood in its driven past begin anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from coterie_chassis import circle
from coterie_chassis.circle import Community, Member
from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.store import UnitOfWork
from coterie_contracts.community import ClockAdvanced
from coterie_notifications.deadlines import (
    ANSWER_AFTER,
    ANSWER_REMINDER,
    BRIEF,
    BRIEF_AT,
    INVITATION_REMINDER,
    MONDAY,
    REMIND_AFTER,
    REMINDER,
    SEAT_REMINDER,
    USE_AFTER,
)
from coterie_notifications.domain.quiet_hours import QuietHours, next_local, zone_of
from coterie_notifications.store import facts

_SEAT_OFFER: Final = timedelta(hours=72)


@handles(ClockAdvanced, fold=Fold.EVERY)
async def restart_reminders(events: Batch[ClockAdvanced], uow: UnitOfWork) -> None:
    """Give what staff and members are reminded of its whole time again; the brief, its Monday.

    Other services give what is open its whole time again too, and publish nothing of it.
    """
    live = await circle.going_live(events, uow)
    if not live:
        return
    now = {id_: event.data.now for id_, event in live.items()}
    places = await circle.communities(uow, live)
    waiting = await facts.open_deadlines(uow, places)
    await _restart_look_agains(uow, waiting.get(REMINDER, ()), places, now)
    await _restart_seat_offers(uow, waiting.get(SEAT_REMINDER, ()), now)
    await _restart_invitations(uow, waiting.get(INVITATION_REMINDER, ()), now)
    for row in waiting.get(ANSWER_REMINDER, ()):
        at = now[row.community_id] + ANSWER_AFTER
        uow.schedule(ANSWER_REMINDER, row.aggregate_id, row.community_id, at)
    for row in waiting.get(BRIEF, ()):
        zone = zone_of(places[row.community_id].time_zone, "UTC")
        at = next_local(now[row.community_id], MONDAY, BRIEF_AT, zone)
        uow.schedule(BRIEF, row.aggregate_id, row.community_id, at)


async def _restart_look_agains(
    uow: UnitOfWork,
    waiting: Sequence[Any],
    places: Mapping[UUID, Community],
    now: Mapping[UUID, datetime],
) -> None:
    asked = await facts.open_look_agains(uow, [row.aggregate_id for row in waiting])
    people = await circle.members(uow, {one.member_id for one in asked.values()})
    rows = []
    for id_, one in sorted(asked.items()):
        at = now[one.community_id]
        due_at = _due_again(one, at, places[one.community_id], people.get(one.member_id))
        params = {**one.params, "due_at": due_at.isoformat()}
        keys = {"id": id_, "community_id": one.community_id, "member_id": one.member_id}
        rows.append({**keys, "due_at": due_at, "params": params})
        uow.schedule(REMINDER, id_, one.community_id, at + REMIND_AFTER)
    await facts.merge_look_agains(uow, rows)


def _due_again(one: Any, at: datetime, place: Community, member: Member | None) -> datetime:
    """The end of the same time, counted like the first from outside of quiet hours."""
    zone = zone_of(member.time_zone if member else None, place.time_zone)
    quiet = QuietHours(place.quiet_from, place.quiet_until)
    began = quiet.not_before(one.requested_at, zone) or one.requested_at
    begins: datetime = quiet.not_before(at, zone) or at
    lasts: timedelta = one.due_at - began
    return begins + lasts


async def _restart_seat_offers(
    uow: UnitOfWork, waiting: Sequence[Any], now: Mapping[UUID, datetime]
) -> None:
    """Nobody is told a later end than the real one, which may be stretched to a morning."""
    offers = await facts.seat_offers(uow, [row.aggregate_id for row in waiting])
    rows = []
    for id_, one in sorted(offers.items()):
        at = now[one.community_id]
        lasts = min(one.offer_expires_at - one.offered_at, _SEAT_OFFER)
        keys = {"id": id_, "community_id": one.community_id}
        rows.append({**keys, "offer_expires_at": at + lasts})
        uow.schedule(SEAT_REMINDER, id_, one.community_id, at + lasts / 2)
    await facts.merge_applications(uow, rows)


async def _restart_invitations(
    uow: UnitOfWork, waiting: Sequence[Any], now: Mapping[UUID, datetime]
) -> None:
    unused = await facts.unused_invitations(uow, [row.aggregate_id for row in waiting])
    rows = []
    for id_, one in sorted(unused.items()):
        at = now[one.community_id]
        keys = {"id": id_, "community_id": one.community_id}
        rows.append({**keys, "expires_at": at + (one.expires_at - one.issued_at)})
        uow.schedule(INVITATION_REMINDER, id_, one.community_id, at + USE_AFTER)
    await facts.merge_invitations(uow, rows)
