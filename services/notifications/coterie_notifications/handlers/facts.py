"""Facts in: each is kept by its own identity, in any order, before anybody is told anything.

These are what the guard and the brief ask about; none of them notifies.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.decisions import member_id_of
from coterie_chassis.store import UnitOfWork
from coterie_contracts import community, feedback, member, reward
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody, Seated
from coterie_notifications.deadlines import (
    ANSWER_AFTER,
    ANSWER_REMINDER,
    INVITATION_REMINDER,
    REMIND_AFTER,
    REMINDER,
    SEAT_REMINDER,
    USE_AFTER,
)
from coterie_notifications.store import facts
from coterie_notifications.store.recipients import erased_among

STANDINGS: Final = (
    member.MemberAdmitted,
    member.MemberSuspended,
    member.MemberReinstated,
    member.MemberLeft,
    member.MemberReleased,
    member.MemberRemoved,
)
_BAD_NEWS: Final = (
    feedback.FeedbackDeclined,
    member.MemberSuspended,
    member.MemberRemoved,
    reward.RewardRejected,
)


@handles(*STANDINGS, fold=Fold.EVERY)
async def keep_standings(events: Batch[member.MemberFacts], uow: UnitOfWork) -> None:
    """Keep what each member was from when on."""
    rows = [
        {
            "member_id": event.data.member_id,
            "sequence": event.sequence or 0,
            "community_id": event.data.community_id,
            "since": event.time,
            "status": event.data.status.value,
        }
        for event in events
    ]
    await facts.merge_standings(uow, rows)


@handles(
    community.CapacityChanged,
    member.SeatOffered,
    member.SeatLapsed,
    member.MemberAdmitted,
    member.MemberLeft,
    member.MemberReleased,
    member.MemberRemoved,
    member.MemberErased,
    member.InvitationIssued,
    member.InvitationExpired,
    member.InvitationRevoked,
    fold=Fold.EVERY,
)
async def count_seats(events: Batch[Seated], uow: UnitOfWork) -> None:
    """Keep how many seats were held after each change."""
    rows = [
        {
            "community_id": event.community_id,
            "seat_sequence": event.data.seat_sequence,
            "at": event.time,
            "capacity": event.data.capacity,
            "held": event.data.seats_held,
        }
        for event in events
        if event.community_id is not None
    ]
    await facts.save_seat_counts(uow, rows)


@handles(
    member.ApplicationWaitlisted,
    member.ApplicationDeclined,
    member.ApplicationWithdrawn,
    member.SeatOffered,
    member.SeatLapsed,
    member.MemberAdmitted,
    fold=Fold.EVERY,
)
async def follow_waitlist(events: Batch[Any], uow: UnitOfWork) -> None:
    """Keep who waits for a seat and whom one is offered."""
    people = {member_id_of(e.data.community_id, e.data.person_id) for e in events}
    erased = await erased_among(uow, people)
    rows = []
    for event in events:
        data = event.data
        if member_id_of(data.community_id, data.person_id) in erased:
            continue
        row = {
            "id": data.application_id,
            "community_id": data.community_id,
            "person_id": data.person_id,
            _waitlist_time(data): event.time,
        }
        if isinstance(data, member.SeatOffered):
            row["offer_expires_at"] = data.expires_at
            half = event.time + (data.expires_at - event.time) / 2
            uow.schedule(SEAT_REMINDER, data.application_id, data.community_id, half)
        rows.append(row)
    await facts.merge_applications(uow, rows)


def _waitlist_time(data: EventBody) -> str:
    match data:
        case member.ApplicationWaitlisted():
            return "waitlisted_at"
        case member.SeatOffered():
            return "offered_at"
        case member.SeatLapsed(final=False):
            return "lapsed_at"
        case _:
            return "ended_at"


@handles(
    member.InvitationIssued,
    member.InvitationRedeemed,
    member.InvitationExpired,
    member.InvitationRevoked,
    fold=Fold.EVERY,
)
async def follow_invitations(events: Batch[member.InvitationFacts], uow: UnitOfWork) -> None:
    """Keep which invitations nobody has used, and remind the staff on day 7."""
    rows = []
    for event in events:
        data = event.data
        row: dict[str, Any] = {"id": data.invitation_id, "community_id": data.community_id}
        if isinstance(data, member.InvitationIssued):
            row |= {"issued_at": event.time, "expires_at": data.expires_at}
            if (remind_at := event.time + USE_AFTER) < data.expires_at:
                uow.schedule(INVITATION_REMINDER, data.invitation_id, data.community_id, remind_at)
        else:
            row["settled_at"] = event.time
        rows.append(row)
    await facts.merge_invitations(uow, rows)


@handles(
    feedback.FeedbackSubmitted,
    feedback.FeedbackAccepted,
    feedback.FeedbackPlanned,
    feedback.FeedbackDeclined,
    feedback.FeedbackMerged,
    feedback.FeedbackWithdrawn,
    feedback.FeedbackVerified,
    fold=Fold.EVERY,
)
async def follow_suggestions(events: Batch[feedback.FeedbackFacts], uow: UnitOfWork) -> None:
    """Keep which suggestions wait for an answer and which members confirmed.

    The staff are reminded of those that have waited for five days.
    """
    for event in events:
        if isinstance(event.data, feedback.FeedbackSubmitted):
            id_, community_id = event.data.feedback_id, event.data.community_id
            uow.schedule(ANSWER_REMINDER, id_, community_id, event.time + ANSWER_AFTER)
    await facts.merge_suggestions(uow, [_suggestion(event) for event in events])


def _suggestion(event: Event[feedback.FeedbackFacts]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": event.data.feedback_id,
        "community_id": event.data.community_id,
        "label": getattr(event.data, "label", None),
    }
    match event.data:
        case feedback.FeedbackSubmitted():
            row["submitted_at"] = event.time
        case feedback.FeedbackVerified(by=by):
            row |= {"verified_at": event.time, "verified_by": by.value}
        case _:
            row["answered_at"] = event.time
    return row


@handles(
    reward.RewardProposed,
    reward.RewardHeld,
    reward.RewardApproved,
    reward.RewardRejected,
    reward.RewardIssued,
    reward.RewardExpired,
    fold=Fold.EVERY,
)
async def follow_rewards(events: Batch[reward.RewardFacts], uow: UnitOfWork) -> None:
    """Keep which rewards wait for a manager, or for money, codes or time."""
    await facts.merge_rewards(uow, [_reward(event) for event in events])


def _reward(event: Event[reward.RewardFacts]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": event.data.reward_id,
        "community_id": event.data.community_id,
        "item_name": event.data.item_name,
    }
    match event.data:
        case reward.RewardProposed(needs_approval=needed):
            row |= {"proposed_at": event.time, "needs_approval": needed}
        case reward.RewardHeld():
            row["held_at"] = event.time
        case _:
            row["settled_at"] = event.time
    return row


@handles(
    feedback.LookAgainRequested,
    feedback.LookAgainAnswered,
    feedback.LookAgainLapsed,
    fold=Fold.EVERY,
)
async def follow_look_agains(events: Batch[feedback.LookAgainFacts], uow: UnitOfWork) -> None:
    """Keep which members are asked to look again, and remind them on day 7."""
    rows = []
    for event in events:
        data = event.data
        row: dict[str, Any] = {
            "id": data.look_again_id,
            "community_id": data.community_id,
            "member_id": data.member_id,
        }
        if isinstance(data, feedback.LookAgainRequested):
            row |= {"requested_at": event.time, "due_at": data.due_at, "params": _asked(data)}
            if (remind_at := event.time + REMIND_AFTER) < data.due_at:
                uow.schedule(REMINDER, data.look_again_id, data.community_id, remind_at)
        else:
            row["closed_at"] = event.time
        rows.append(row)
    await facts.merge_look_agains(uow, rows)


def _asked(data: feedback.LookAgainRequested) -> dict[str, str]:
    return {
        "label": data.label,
        "what_changed": data.what_changed,
        "see_it_at": data.see_it_at,
        "due_at": data.due_at.isoformat(),
    }


@handles(
    feedback.FeedbackSubmitted,
    feedback.LookAgainAnswered,
    feedback.CommentPosted,
    feedback.FeedbackSupported,
    feedback.ContributionRated,
    fold=Fold.EVERY,
)
async def note_activity(events: Batch[Any], uow: UnitOfWork) -> None:
    """Keep when each member was last active, for the brief's dormant seats."""
    rows = [
        {"member_id": who, "community_id": event.data.community_id, "active_at": event.time}
        for event in events
        if (who := _active_member(event.data)) is not None
    ]
    await facts.merge_member_facts(uow, rows)


def _active_member(data: Any) -> UUID | None:
    match data:
        case feedback.ContributionRated():
            return data.rater_id
        case feedback.FeedbackSubmitted() | feedback.CommentPosted():
            return data.author_id
        case _:
            who: UUID = data.member_id
            return who


@handles(*_BAD_NEWS, fold=Fold.EVERY)
async def note_bad_news(events: Batch[Any], uow: UnitOfWork) -> None:
    """Keep when each member last had bad news: no offer for a day."""
    rows = [
        {
            "member_id": getattr(event.data, "member_id", None) or event.data.author_id,
            "community_id": event.data.community_id,
            "bad_news_at": event.time,
        }
        for event in events
    ]
    await facts.merge_member_facts(uow, rows)


@handles(member.MemberContact, fold=Fold.LATEST)
async def keep_contacts(events: Batch[member.MemberContact], uow: UnitOfWork) -> None:
    """Keep how to reach members, for channels that leave the platform."""
    rows = [
        {
            "member_id": event.data.member_id,
            "community_id": event.data.community_id,
            "email": event.data.email,
            "sequence": event.sequence or 0,
        }
        for event in events
    ]
    await facts.merge_contacts(uow, rows)
