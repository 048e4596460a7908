"""Who is shown: members alone, rated and settled; and a closed season stays as it closed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coterie_contracts.member import MemberLeft
from coterie_contracts.reward import Badge, BadgeAwarded, MeritChanged
from coterie_recognition.domain.leaderboard import leaders
from coterie_recognition.store import facts

from .circle import Circle

END_OF_SEASON = datetime(2026, 6, 30, 22, tzinfo=UTC)


async def crowd(circle: Circle, n: int) -> list[UUID]:
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


async def bands(circle: Circle) -> dict[UUID, str | None]:
    """The band that each member was published with last."""
    return {e.data.member_id: e.data.band for e in await circle.published(MeritChanged)}


async def board(circle: Circle, season: str = "2026-Q2") -> dict[str, list[dict[str, object]]]:
    path = f"/communities/{circle.community_id}/leaderboard"
    answer = await circle.get(path, params={"season": season})
    assert answer.status_code == 200, answer.text
    found: dict[str, list[dict[str, object]]] = answer.json()
    return found


async def test_who_left_makes_the_circle_smaller_for_bands_and_ranks(circle: Circle) -> None:
    members = await crowd(circle, 10)
    assert None not in (await bands(circle)).values()
    assert len((await board(circle))["places"]) == 2

    await circle.h.deliver(circle.membership(MemberLeft, members[0]))
    await circle.h.run_tasks()

    assert set((await bands(circle)).values()) == {None}
    assert (await board(circle))["places"] == []
    own = await circle.get(f"/members/{members[1]}/merit", as_=circle.as_(members[1]))
    assert own.json()["band"] is None
    await circle.advance(60)
    await circle.h.run_tasks()
    assert Badge.SEASON_TOP not in {e.data.badge for e in await circle.published(BadgeAwarded)}


def test_outcomes_without_a_rating_make_no_place() -> None:
    settled = {UUID(int=n): 50 + n for n in range(1, 13)}

    assert [p.member_id.int for p in leaders(settled.items())] == [12, 11]
    unrated = {UUID(int=12), UUID(int=10)}
    assert [(p.rank, p.member_id.int) for p in leaders(settled.items(), unrated)] == [
        (1, 11),
        (2, 9),
    ]
    assert leaders(settled.items(), {UUID(int=n) for n in range(5, 13)}) == []


async def test_who_was_never_rated_is_not_on_the_leaderboard(circle: Circle) -> None:
    members = await crowd(circle, 12)
    (quiet,) = await circle.admit("quiet")
    for _ in range(4):
        item = uuid4()
        await circle.h.deliver(circle.implemented(item, quiet), circle.verified(item, quiet))
    await circle.h.run_tasks()
    own = (await circle.get(f"/members/{quiet}/merit", as_=circle.as_(quiet))).json()
    assert (own["merit"], own["provisional"]) == (0.95, False)

    places = (await board(circle))["places"]

    assert [(p["rank"], p["member_id"]) for p in places] == [
        (1, str(members[-1])),
        (2, str(members[-2])),
    ]


async def test_a_closed_season_counts_who_was_in_when_it_closed(circle: Circle) -> None:
    members = await crowd(circle, 10)
    then = circle.now
    await circle.advance(60)
    await circle.h.run_tasks()
    before = await bands(circle)
    top = [e for e in await circle.published(BadgeAwarded) if e.data.badge is Badge.SEASON_TOP]
    assert {e.time for e in top} == {END_OF_SEASON}

    await circle.h.deliver(
        *(circle.membership(MemberLeft, member) for member in (members[0], members[-1]))
    )
    known = circle.rated(uuid4(), members[4], members[5], 0.4, at=then, contributed_at=then)
    await circle.h.deliver(known)
    await circle.h.run_tasks()

    after = await bands(circle)
    assert {m: after[m] for m in members if m != members[4]} == {
        m: before[m] for m in members if m != members[4]
    }
    places = (await board(circle))["places"]
    assert [(p["rank"], p["member_id"]) for p in places] == [(2, str(members[-2]))]


async def test_a_closed_season_shows_what_it_closed_with_also_after_an_erasure(
    circle: Circle,
) -> None:
    ada, ben, cyd, dan = await circle.admit("ada", "ben", "cyd", "dan")
    await circle.h.deliver(
        *(circle.rated(uuid4(), ada, rater, 1.0) for rater in (ben, cyd, dan) for _ in range(2))
    )
    await circle.h.run_tasks()
    await circle.advance(60)
    await circle.h.run_tasks()
    path, season = f"/members/{ada}/merit", {"season": "2026-Q2"}
    before = (await circle.get(path, as_=circle.as_(ada), params=season)).json()
    published = len(await circle.published(MeritChanged))

    await circle.h.deliver(circle.erased(ben), circle.erased(cyd))
    await circle.h.run_tasks()

    after = (await circle.get(path, as_=circle.as_(ada), params=season)).json()
    assert (after["merit"], after["provisional"]) == (before["merit"], before["provisional"])
    assert before["merit"] > 0.5
    assert len(after["contributions"]) == 2
    assert len(await circle.published(MeritChanged)) == published
    async with circle.h.database.begin() as uow:
        seasons = await uow.rows(text("SELECT member_ids FROM merit_season"))
    assert all(not {ben, cyd} & set(row.member_ids) for row in seasons)
    assert any({ada, dan} <= set(row.member_ids) for row in seasons)


async def test_an_outcome_that_comes_late_names_nobody_who_was_erased(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    await circle.h.deliver(circle.erased(ben))

    await circle.h.deliver(circle.implemented(uuid4(), ada, 1, (ben,)))
    await circle.h.run_tasks()

    assert [b["thanks_to"] for b in (await board(circle))["built"]] == [[str(ada)]]
    async with circle.h.database.begin() as uow:
        (row,) = await uow.rows(text("SELECT members FROM outcome"))
    assert row.members == [ada]


async def test_an_erasure_waits_for_a_rating_under_way_and_takes_it(circle: Circle) -> None:
    ada, ben = await circle.admit("ada", "ben")
    rated, marked = circle.rated(uuid4(), ada, ben, 1.0), circle.appreciated(uuid4(), ben)
    async with circle.h.database.begin() as uow:
        await facts.give_way(uow)
        await facts.add_ratings(uow, [rated])
        await facts.add_appreciations(uow, [marked])
        erasing = asyncio.create_task(circle.h.deliver(circle.erased(ben)))
        await _somebody_waits(circle)
    await erasing

    assert await circle.h.dead_letters() == []
    async with circle.h.database.begin() as uow:
        assert await uow.rows(text("SELECT 1 FROM rating UNION SELECT 1 FROM appreciation")) == []


async def _somebody_waits(circle: Circle) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with asyncio.timeout(10):
        while True:
            async with circle.h.database.begin() as uow:
                if (await uow.execute(waiting)).scalar_one():
                    return


@pytest.mark.parametrize("season", ["9999-Q4", "0000-Q1", "0001-Q1", "2026-Q5", "soon", "٢٠٢٦-Q1"])
async def test_a_season_that_no_calendar_has_is_refused(circle: Circle, season: str) -> None:
    (ada,) = await circle.admit("ada")

    for path in (f"/members/{ada}/merit", f"/communities/{circle.community_id}/leaderboard"):
        answer = await circle.get(path, as_=circle.as_(ada), params={"season": season})
        assert answer.status_code == 422, answer.text
        assert answer.json()["type"] == "urn:coterie:problem:no-such-season"
