"""Deadlines: reminders of a seat offer and of a look-again, and the Monday brief."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from coterie_chassis import circle
from coterie_chassis.circle import Community
from coterie_chassis.decisions import derived_id
from coterie_chassis.store import UnitOfWork
from coterie_chassis.sweeper import Deadline, sweeps
from coterie_contracts.community import ClockMode, CommunityStatus
from coterie_notifications.deadlines import BRIEF, BRIEF_AT, MONDAY, REMINDER, SEAT_REMINDER
from coterie_notifications.domain.brief import wording
from coterie_notifications.domain.notice import Notice, Relation
from coterie_notifications.domain.notices import to_person, to_staff
from coterie_notifications.domain.quiet_hours import next_local, zone_of
from coterie_notifications.store.briefs import brief_of
from coterie_notifications.store.facts import open_look_agains, open_seat_offers
from coterie_notifications.telling import tell


@sweeps(SEAT_REMINDER)
async def remind_of_seat_offers(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Remind at half time those whose seat offer is still open."""
    ids = [deadline.aggregate_id for deadline in due]
    offers = await open_seat_offers(uow, ids, max(deadline.due_at for deadline in due))
    await tell(
        uow,
        [
            to_person(
                "seat_offer_reminder",
                deadline.cause,
                row.community_id,
                row.person_id,
                row.person_id,
                relation=Relation.APPLICANT,
                about=row.id,
                params={"expires_at": row.offer_expires_at.isoformat()},
            )
            for deadline in due
            if (row := offers.get(deadline.aggregate_id)) is not None
        ],
    )


@sweeps(REMINDER)
async def remind_to_look_again(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Remind, once, those who have not answered by the deadline's own time."""
    asked = await open_look_agains(uow, [deadline.aggregate_id for deadline in due])
    notices = []
    for deadline in due:
        row = asked.get(deadline.aggregate_id)
        if row is None or (row.closed_at is not None and row.closed_at <= deadline.due_at):
            continue
        notices.append(
            to_person(
                "look_again_reminder",
                deadline.cause,
                row.community_id,
                row.member_id,
                cause_id=row.id,
                about=row.id,
                expires_at=row.due_at,
                params=row.params,
            )
        )
    await tell(uow, notices)


@sweeps(BRIEF)
async def send_monday_briefs(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Tell the staff what a manager wants to know, and set the next Monday."""
    communities = await circle.communities(uow, [deadline.community_id for deadline in due])
    notices: list[Notice] = []
    for deadline in due:
        community = communities.get(deadline.community_id)
        if community is None or community.status is CommunityStatus.CLOSED:
            continue
        brief = await brief_of(uow, community, deadline.due_at)
        if brief.says_something:
            notices.append(
                to_staff(
                    "monday_brief",
                    deadline.cause,
                    community.community_id,
                    cause_id=derived_id(BRIEF, community.community_id, deadline.due_at),
                    params={"community": community.name, "brief": wording(brief)},
                )
            )
        uow.schedule(
            BRIEF,
            community.community_id,
            community.community_id,
            next_brief(community, _not_missed(deadline, uow.now)),
        )
    await tell(uow, notices)


def next_brief(community: Community, after: datetime) -> datetime:
    """The first Monday at nine after `after`, in the community's zone."""
    return next_local(after, MONDAY, BRIEF_AT, zone_of(community.time_zone, community.time_zone))


def _not_missed(deadline: Deadline, now: datetime) -> datetime:
    """Live staff get one brief after an outage and not one for each Monday of it."""
    if deadline.cause.clock is ClockMode.DRIVEN:
        return deadline.due_at
    return max(deadline.due_at, now)
