"""Across topics nothing is ordered: every pair of topics in both orders ends in the same state.

An order and its reverse hold every pair both ways; rotations add what comes first and last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from coterie_chassis import circle
from coterie_chassis.service import Service
from coterie_chassis.tables import community_clock, deadline
from coterie_chassis.testing import Harness, harness
from coterie_contracts import community, feedback, member, reward
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_contracts.topics import consumed_by
from coterie_notifications.service import service
from coterie_notifications.store import tables

from .world import DAY, HOUR, START, World, ledgered

MEMBERS = ("ana", "bo", "cy", "di", "ed", "fi", "jo")
BY_ARRIVAL = {
    "notification": {"recipient_sequence", "answers"},
    "pending": {"position"},
}
"""Places among the messages to one person, and what each step of the guard counted before it."""

Log = Iterator[Event[EventBody]]


def hours(start: datetime) -> Iterator[datetime]:
    return (start + n * HOUR for n in count(1))


def the_community(world: World) -> Log:
    at = hours(START - DAY)
    yield world.opened(next(at))
    yield world.opened(START + 10 * DAY, community.CommunityChanged, name="The Bike Shed")
    yield world.seated(community.CapacityChanged, world.community_id, next(at), previous_capacity=8)
    for end in (member.InvitationExpired, member.InvitationRevoked, member.InvitationRedeemed):
        id_ = uuid4()
        terms = {"max_uses": 1, "expires_at": START + 13 * DAY, "reserves_seat": True}
        yield world.seated(member.InvitationIssued, id_, next(at), invitation_id=id_, **terms)
        if end is member.InvitationRedeemed:
            body = end(
                invitation_id=id_, community_id=world.community_id, application_id=uuid4(), uses=1
            )
            yield world.event(body, id_, next(at))
        else:
            yield world.seated(end, id_, next(at), invitation_id=id_)


def the_applicants(world: World) -> Log:
    at = hours(START - DAY)
    ids = {name: uuid4() for name in ("gus", "hal", "ida", "jo")}

    def said(body: type[member.ApplicationFacts], name: str, **more: Any) -> Event[EventBody]:
        return world.application(body, name, next(at), ids[name], **more)

    def seat(body: type[Any], name: str, **more: Any) -> Event[EventBody]:
        facts = {"application_id": ids[name], "person_id": world.who(name).person_id}
        return world.seated(body, ids[name], next(at), **facts, **more)

    for name in ids:
        yield said(member.ApplicationSubmitted, name, requirements_version=1)
    yield said(member.ApplicationDeclined, "gus", reapply_after=START + 90 * DAY)
    for name in ("hal", "ida", "jo"):
        yield said(member.ApplicationWaitlisted, name, priority=0, enqueued_at=START)
    yield said(member.ApplicationWithdrawn, "hal")
    for name in ("ida", "jo"):
        yield seat(member.SeatOffered, name, expires_at=START + 3 * DAY)
    yield seat(member.SeatLapsed, "ida", reason=member.SeatLapse.EXPIRED, final=False)
    yield world.admitted("jo", next(at), application_id=ids["jo"])


def the_members(world: World) -> Log:
    at = hours(START + DAY)
    yield from (world.admitted(name, START) for name in MEMBERS if name != "jo")
    for name in MEMBERS:
        body = member.MemberContact(
            member_id=world.member_id(name), community_id=world.community_id, email="a@example.org"
        )
        yield world.event(body, world.member_id(name), START)
    for name in ("bo", "ed"):
        yield world.suspended(name, next(at))
    yield world.standing(member.MemberReinstated, "bo", "active", next(at))
    yield world.left("cy", next(at))
    yield world.admitted("cy", next(at))
    yield world.standing(member.MemberReleased, "di", "released", next(at))
    until = START + 90 * DAY
    yield world.standing(member.MemberRemoved, "ed", "removed", next(at), reapply_after=until)
    yield world.erased("fi", next(at))


def what_members_said(world: World, name: str) -> Log:
    """Six hours apart, so that nobody is told more in a day than goes unbundled."""
    at = (START + DAY + n * 7 * HOUR for n in count(1))
    deeds: tuple[tuple[type[feedback.FeedbackFacts], dict[str, Any]], ...] = (
        (feedback.FeedbackAccepted, {"label": "Bells"}),
        (feedback.FeedbackPlanned, {"label": "Bells"}),
        (feedback.FeedbackDeclined, {}),
        (feedback.FeedbackWithdrawn, {}),
        (feedback.FeedbackMerged, {"root_id": uuid4()}),
        (feedback.FeedbackVerified, _round()),
    )
    for body, more in deeds:
        id_ = uuid4()
        yield world.suggestion(feedback.FeedbackSubmitted, name, next(at), id_)
        yield world.suggestion(body, name, next(at), id_, **more)
    for end in (feedback.LookAgainAnswered, feedback.LookAgainLapsed, None):
        id_ = uuid4()
        yield world.asked(name, next(at), id_)
        if end is not None:
            more = {"satisfied": True} if end is feedback.LookAgainAnswered else {}
            yield world.look_again(end, name, next(at), id_, **more)
    yield from _voices(world, name, next(at))


def _round() -> dict[str, Any]:
    return {
        "implementation_id": uuid4(),
        "round": 1,
        "implemented_at": START + DAY,
        "by": feedback.VerifiedBy.AUTHOR,
    }


def _voices(world: World, name: str, at: datetime) -> Log:
    who, item = world.member_id(name), uuid4()
    about = {"feedback_id": item, "community_id": world.community_id}
    bodies: dict[UUID, EventBody] = {}
    id_ = uuid4()
    bodies[id_] = feedback.FeedbackSupported(support_id=id_, **about, member_id=who, importance=2)
    id_ = uuid4()
    bodies[id_] = feedback.CommentPosted(comment_id=id_, **about, author_id=who)
    id_ = uuid4()
    bodies[id_] = feedback.ContributionRated(
        rating_id=id_,
        contribution_id=item,
        contribution_kind=feedback.ContributionKind.FEEDBACK,
        community_id=world.community_id,
        author_id=uuid4(),
        rater_id=who,
        value=1.0,
        rated_at=at,
        contributed_at=START,
    )
    yield from (world.event(body, id_, at) for id_, body in bodies.items())


def what_they_earned(world: World, name: str) -> Log:
    at = (START + 9 * DAY + n * 7 * HOUR for n in count(1))
    badge_id = uuid4()
    badge = reward.BadgeAwarded(
        badge_id=badge_id,
        member_id=world.member_id(name),
        community_id=world.community_id,
        badge=reward.Badge.HELPFUL_TESTER,
    )
    yield world.event(badge, badge_id, next(at))
    proposed = {"amount_minor": 500, "currency": "EUR", "needs_approval": True}
    ends: tuple[tuple[type[reward.RewardFacts], dict[str, Any]], ...] = (
        (reward.RewardRejected, {}),
        (reward.RewardApproved, {**ledgered(), "approved_by": "policy"}),
        (reward.RewardExpired, ledgered()),
    )
    for body, more in ends:
        id_, then = uuid4(), next(at)
        yield world.reward(reward.RewardProposed, name, then, id_, **proposed)
        yield world.reward(reward.RewardHeld, name, then, id_, reason=reward.HeldFor.BUDGET)
        then = next(at)
        yield world.reward(body, name, then, id_, **more)
        if body is reward.RewardApproved:
            yield world.reward(reward.RewardIssued, name, then, id_, **ledgered())
    budget_id = uuid4()
    exhausted = reward.BudgetExhausted(
        budget_id=budget_id,
        community_id=world.community_id,
        available_minor=0,
        currency="EUR",
    )
    yield world.event(exhausted, budget_id, next(at))


def by_topic(world: World) -> dict[str, list[Event[EventBody]]]:
    """What happened in one circle, by topic, each topic in its own order."""
    log = [*the_community(world), *the_members(world), *the_applicants(world)]
    for name in ("ana", "bo", "fi"):
        log += [*what_members_said(world, name), *what_they_earned(world, name)]
    log.append(world.campaign(START + 6 * HOUR))
    now = START + 20 * DAY
    moved = community.ClockAdvanced(community_id=world.community_id, mode=world.clock, now=now)
    log.append(world.event(moved, world.community_id, now))
    topics: dict[str, list[Event[EventBody]]] = {}
    for event in log:
        topics.setdefault(event.topic, []).append(event)
    return topics


async def state(h: Harness) -> dict[str, list[str]]:
    """All that the service holds, but what counts arrivals and what was drawn at random."""
    found = {}
    every = (*tables.metadata.sorted_tables, *circle.metadata.sorted_tables)
    async with h.database.begin() as uow:
        for table in (*every, community_clock, deadline):
            left_out = BY_ARRIVAL.get(table.name, set())
            columns = [column for column in table.columns if column.name not in left_out]
            rows = await uow.rows(select(*columns))
            found[table.name] = sorted(str(tuple(row)) for row in rows)
    return found


async def test_every_pair_of_topics_in_both_orders_ends_alike(
    fresh_database: Callable[[Service], Awaitable[str]], world: World
) -> None:
    topics = by_topic(world)
    names = [topic.name for topic in consumed_by("notifications")]
    assert set(names) == set(topics)

    async def played(order: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        async with harness(service, await fresh_database(service)) as h:
            for name in order:
                await h.deliver(*topics[name])
            before = await state(h)
            await h.sweep()
            assert await h.dead_letters() == []
            return before, await state(h)

    expected = await played(list(topics))
    assert [len(expected[0][name]) for name in ("pending", "contact", "broadcast")] == [0, 6, 1]
    assert len(expected[0]["notification"]) > 60
    assert not [row for row in expected[0]["notification"] if "bundled" in row]

    for n in range(0, len(names), 11):
        rotated = names[n:] + names[:n]
        for order in (rotated, rotated[::-1]):
            found = await played(order)
            for part, wanted in zip(found, expected, strict=True):
                for table, rows in wanted.items():
                    assert part[table] == rows, (table, order)
