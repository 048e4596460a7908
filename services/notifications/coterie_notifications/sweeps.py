"""Deadlines: reminders of what was offered, asked or left unanswered, and the Monday brief."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from coterie_chassis import circle
from coterie_chassis.circle import Community
from coterie_chassis.decisions import derived_id
from coterie_chassis.store import UnitOfWork
from coterie_chassis.sweeper import Deadline, sweeps
from coterie_contracts.community import ClockMode, CommunityStatus
from coterie_notifications.deadlines import (
    ANSWER_REMINDER,
    BRIEF,
    BRIEF_AT,
    INVITATION_REMINDER,
    MONDAY,
    REMINDER,
    SEAT_REMINDER,
)
from coterie_notifications.domain.brief import wording
from coterie_notifications.domain.notice import Notice, Relation
from coterie_notifications.domain.notices import to_person, to_staff
from coterie_notifications.domain.quiet_hours import next_local, zone_of
from coterie_notifications.store.briefs import brief_of
from coterie_notifications.store.facts import (
    open_look_agains,
    open_seat_offers,
    unanswered,
    unused_invitations,
)
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
    notices = [
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
        for deadline, row in _still_open(due, asked)
    ]
    await tell(uow, notices)


@sweeps(ANSWER_REMINDER)
async def remind_to_answer(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Remind the staff, once, of suggestions that nobody has answered."""
    waiting = await unanswered(uow, [deadline.aggregate_id for deadline in due])
    await _remind_staff("suggestion_waits", _still_open(due, waiting), uow)


@sweeps(INVITATION_REMINDER)
async def remind_of_invitations(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    """Remind the staff, once, of invitations that nobody has used.

    They alone can: whom an invitation was handed to is known to them and not to the platform.
    """
    unused = await unused_invitations(uow, [deadline.aggregate_id for deadline in due])
    await _remind_staff("invitation_waits", _still_open(due, unused), uow)


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


def _still_open(due: Sequence[Deadline], found: Mapping[UUID, Any]) -> list[tuple[Deadline, Any]]:
    """Each deadline with its row, where that was not closed by the deadline's own time."""
    pairs = [(deadline, found.get(deadline.aggregate_id)) for deadline in due]
    return [
        (deadline, row)
        for deadline, row in pairs
        if row is not None and (row.closed_at is None or row.closed_at > deadline.due_at)
    ]


async def _remind_staff(
    template: str, waiting: Sequence[tuple[Deadline, Any]], uow: UnitOfWork
) -> None:
    communities = await circle.communities(uow, {row.community_id for _, row in waiting})
    notices = []
    for deadline, row in waiting:
        community = communities.get(row.community_id)
        if community is not None and community.status is CommunityStatus.CLOSED:
            continue
        expires_at = getattr(row, "expires_at", None)
        notices.append(
            to_staff(
                template,
                deadline.cause,
                row.community_id,
                cause_id=row.id,
                about=row.id,
                params={"expires_at": expires_at.isoformat()} if expires_at else {},
            )
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
