"""Merit through the service: what is published, what is shown, and that nothing else moves it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from coterie_contracts.reward import BadgeAwarded, MeritChanged
from coterie_recognition.handlers import refold

from .circle import Circle


async def crowd(circle: Circle, n: int = 12) -> list[UUID]:
    """`n` members of whom each was rated by all others, the later ones better."""
    members = await circle.admit(*(f"member {i}" for i in range(n)))
    await circle.h.deliver(
        *(
            circle.rated(uuid4(), author, rater, i / n)
            for i, author in enumerate(members)
            for rater in members
            if rater != author
        )
    )
    await circle.h.run_tasks()
    return members


async def test_a_fold_of_the_same_set_publishes_nothing(circle: Circle) -> None:
    await crowd(circle)
    before = len(await circle.published(MeritChanged))
    assert before == 12
    async with circle.h.database.begin() as uow:
        await uow.execute(
            text("INSERT INTO merit_dirty (community_id, at) VALUES (:c, :at)"),
            {"c": circle.community_id, "at": circle.now},
        )

    await circle.h.run_tasks()

    assert len(await circle.published(MeritChanged)) == before


async def test_a_set_is_read_once_for_many_ratings(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    await circle.h.run_tasks()
    for _ in range(5):
        await circle.h.deliver(circle.rated(uuid4(), ada, ben, 1.0))

    with circle.h.statements() as counter:
        await circle.h.run_tasks()
    reads = [s for s in counter.statements if "DISTINCT ON (contribution_id, rater_id)" in s]
    assert len(reads) == 1
    with circle.h.statements() as counter:
        await circle.h.run_tasks()
    assert not any("FROM rating" in s for s in counter.statements)


async def test_a_turn_that_took_its_time_leaves_the_rest_and_goes_on_with_who_waits_longest(
    circle: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted((uuid4() for _ in range(3)), reverse=True)
    circles = [Circle(circle.h, circle.now, ids=(id_, uuid4())) for id_ in ids]
    people = []
    for each in circles:
        await each.open()
        people.append(await each.admit("ada", "ben"))
    await circle.h.run_tasks()
    for each, (ada, ben) in zip(circles, people, strict=True):
        await each.h.deliver(each.rated(uuid4(), ada, ben, 1.0))

    monkeypatch.setattr(refold, "_TURN_S", -1.0)
    for _ in circles:
        await circle.h.run_tasks()

    told = [event.community_id for event in await circle.h.published(MeritChanged)]
    assert told == ids


async def test_the_order_and_cut_of_ratings_do_not_matter(circle: Circle) -> None:
    other = Circle(circle.h, circle.now)
    await other.open()
    ends = []
    for each, size in ((circle, 1), (other, 7)):
        members = await each.admit(*(f"m{i}" for i in range(5)))
        things = [(UUID(int=n), n % 5) for n in range(1, 11)]
        events = [
            each.rated(thing, members[author], members[rater], (rater + step) % 4 / 4)
            for thing, author in things
            for rater in range(5)
            for step in (0, 1)
        ]
        events = [
            replace(e, data=e.data.model_copy(update={"rated_at": e.time + timedelta(seconds=n)}))
            for n, e in enumerate(events)
        ]
        random.Random(size).shuffle(events)
        for start in range(0, len(events), size):
            await each.h.deliver(*events[start : start + size])
        await each.h.run_tasks()
        answers = [await each.get(f"/members/{m}/merit", as_=each.as_(m)) for m in members]
        ends.append([(a.json()["merit"], a.json()["quality"]) for a in answers])

    assert ends[0] == ends[1]
    assert len({merit for merit, _ in ends[0]}) > 1


async def test_the_latest_rating_of_a_rater_stands_whichever_comes_first(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    thing, later = uuid4(), circle.now + timedelta(hours=1)
    await circle.h.deliver(circle.rated(thing, ada, ben, 0.0, at=later))
    await circle.h.run_tasks()
    worse = (await circle.published(MeritChanged))[-1].data.merit

    await circle.h.deliver(circle.rated(thing, ada, ben, 1.0))
    await circle.h.run_tasks()

    assert worse < 0.5
    assert len(await circle.published(MeritChanged)) == 1


async def test_ratings_after_the_close_leave_a_season_as_it_was(circle: Circle) -> None:
    members = await crowd(circle)
    thing, then = uuid4(), circle.now
    await circle.h.deliver(circle.rated(thing, members[0], members[1], 1.0))
    await circle.advance(60)
    await circle.h.run_tasks()
    closed = {e.data.member_id: e.data for e in await circle.published(MeritChanged)}
    assert {data.season for data in closed.values()} == {"2026-Q2"}
    before = len(await circle.published(MeritChanged))

    await circle.h.deliver(
        *(
            circle.rated(thing, members[0], r, value, at=circle.now, contributed_at=then)
            for r, value in ((members[1], 0.0), (members[2], 0.0))
        )
    )
    await circle.h.run_tasks()
    assert len(await circle.published(MeritChanged)) == before

    in_time = circle.rated(thing, members[0], members[3], 0.0, at=then, contributed_at=then)
    await circle.h.deliver(in_time)
    await circle.h.run_tasks()
    assert len(await circle.published(MeritChanged)) > before


async def test_a_closed_seasons_top_band_gets_its_badge_and_no_open_ones(circle: Circle) -> None:
    members = await crowd(circle)
    assert "season_top" not in {e.data.badge for e in await circle.published(BadgeAwarded)}

    await circle.advance(60)
    await circle.h.run_tasks()

    top = [e.data for e in await circle.published(BadgeAwarded) if e.data.badge == "season_top"]
    assert {(data.member_id, data.season) for data in top} == {
        (members[-1], "2026-Q2"),
        (members[-2], "2026-Q2"),
    }


async def test_the_leaderboard_shows_the_top_fifth_and_a_small_circle_what_was_built(
    circle: Circle,
) -> None:
    small = Circle(circle.h, circle.now)
    await small.open()
    (ada,) = await small.admit("ada")
    await small.h.deliver(small.implemented(uuid4(), ada))
    await small.h.run_tasks()
    members = await crowd(circle)

    path = f"/communities/{circle.community_id}/leaderboard"
    board = (await circle.get(path, as_=circle.as_(members[0]))).json()
    quiet = (await small.get(f"/communities/{small.community_id}/leaderboard")).json()

    assert [p["member_id"] for p in board["places"]] == [str(members[-1]), str(members[-2])]
    assert quiet["places"] == []
    assert [(b["label"], b["thanks_to"]) for b in quiet["built"]] == [
        ("Longer opening hours", [str(ada)])
    ]


async def test_only_the_member_reads_their_merit_and_never_who_said_what(circle: Circle) -> None:
    members = await crowd(circle)
    path = f"/members/{members[3]}/merit"

    own = await circle.get(path, as_=circle.as_(members[3]))
    assert own.status_code == 200
    assert own.json()["contributions"]
    assert "One person" not in own.text
    for other in members:
        assert (str(other) in own.text) == (other == members[3])
    assert (await circle.get(path, as_=circle.as_(members[4]))).status_code == 404
    assert (await circle.get(path)).json()["type"] == "urn:coterie:problem:member-alone"
    bad = await circle.get(path, as_=circle.as_(members[3]), params={"season": "soon"})
    assert bad.status_code == 422


async def test_appreciation_lifts_and_can_be_taken_back(circle: Circle) -> None:
    ada, _ = await circle.admit("ada", "ben")
    thing = uuid4()
    await circle.h.deliver(circle.appreciated(thing, ada))
    await circle.h.run_tasks()
    await circle.h.deliver(circle.appreciated(thing, ada, yes=False))
    await circle.h.run_tasks()

    merits = [e.data.merit for e in await circle.published(MeritChanged)]
    assert len(merits) == 2
    assert merits[0] > merits[1] == 0.5


async def test_the_erased_are_forgotten_in_any_order(circle: Circle) -> None:
    ada, ben, cyd = await circle.admit("ada", "ben", "cyd")
    thing = uuid4()
    early = circle.rated(thing, ada, ben, 1.0)
    await circle.h.deliver(early, circle.rated(thing, ada, cyd, 1.0))
    await circle.h.run_tasks()

    await circle.h.deliver(circle.erased(ben))
    late = replace(early, id=uuid7(), data=early.data.model_copy(update={"value": 0.5}))
    await circle.h.deliver(late, circle.rated(uuid4(), ben, ada, 1.0))
    await circle.h.run_tasks()

    async with circle.h.database.begin() as uow:
        for table, column in (
            ("rating", "rater_id"),
            ("rating", "author_id"),
            ("merit_standing", "member_id"),
            ("badge", "member_id"),
            ("badge_evidence", "member_id"),
        ):
            left = text(f"SELECT 1 FROM {table} WHERE {column} = :id")  # noqa: S608 - names of ours
            assert await uow.rows(left, {"id": ben}) == []
    own = await circle.get(f"/members/{ada}/merit", as_=circle.as_(ada))
    assert [c["voices"] for c in own.json()["contributions"]] == [1.0]


async def test_facts_before_their_community_is_known_are_folded_when_it_is(
    circle: Circle,
) -> None:
    late = Circle(circle.h, circle.now)
    ada = late.someone("ada")
    item = uuid4()
    await late.h.deliver(late.implemented(item, ada), late.verified(item, ada))
    await late.h.run_tasks()
    assert await late.published(MeritChanged) == []

    await late.open()
    await late.admit("ada")
    await late.h.run_tasks()

    assert [e.data.merit for e in await late.published(MeritChanged)] == [0.72]
    assert {r["status"] for r in await late.rewards("Early access")} == {"issued"}
