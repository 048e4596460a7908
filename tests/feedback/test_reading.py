"""The board, what became of mine, what changed, and what waits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from coterie_chassis.auth import Principal
from coterie_chassis.testing import Harness

from .world import HOUR, World, rule


async def pages(h: Harness, path: str, who: Principal, **params: Any) -> list[list[str]]:
    """All pages of a listing, as lists of suggestion ids."""
    found, cursor = [], None
    while True:
        given = {**params, **({"cursor": cursor} if cursor else {})}
        answer = await h.get(path, as_=who, params=given)
        assert answer.status_code == 200, answer.text
        found.append([one["feedback_id"] for one in answer.json()["items"]])
        if (cursor := answer.json()["next"]) is None:
            return found


async def test_the_board_by_date_comes_in_pages_newest_first(h: Harness, world: World) -> None:
    items = []
    for _ in range(5):
        world.now += HOUR
        items.append(str(await world.submit("ann")))

    found = await pages(h, f"/communities/{world.community_id}/board", world.who("bob"), limit=2)

    newest = items[::-1]
    assert found == [newest[:2], newest[2:4], newest[4:]]


async def test_the_board_by_support_weighs_importance(h: Harness, world: World) -> None:
    items = [await world.submit("ann") for _ in range(4)]
    await world.support(items[1], "bob", 3)
    await world.support(items[2], "bob", 1)
    await world.support(items[2], "cem", 1)
    await world.support(items[2], "dee", 2)
    await world.support(items[3], "cem", 1)

    path = f"/communities/{world.community_id}/board"
    found = await pages(h, path, world.who("bob"), limit=3, order="support")

    wanted = [str(items[n]) for n in (2, 1, 3, 0)]
    assert found == [wanted[:3], wanted[3:]]


async def test_a_page_is_stable_while_others_write(h: Harness, world: World) -> None:
    items = []
    for _ in range(4):
        world.now += HOUR
        items.append(str(await world.submit("ann")))
    path, who = f"/communities/{world.community_id}/board", world.who("bob")
    first = (await h.get(path, as_=who, params={"limit": 2})).json()
    world.now += HOUR
    await world.submit("cem")

    second = (await h.get(path, as_=who, params={"limit": 2, "cursor": first["next"]})).json()

    seen = [one["feedback_id"] for page in (first, second) for one in page["items"]]
    assert seen == items[::-1]


async def test_the_board_by_status(h: Harness, world: World) -> None:
    accepted, _ = await world.submit("ann"), await world.submit("ann")
    await world.staff(accepted, "accept", {"label": "Lights"})

    path = f"/communities/{world.community_id}/board"
    found = await pages(h, path, world.who("bob"), status="accepted")

    assert found == [[str(accepted)]]
    assert (await h.get(path, as_=world.who("bob"), params={"status": "x"})).status_code == 422


async def test_what_was_withdrawn_only_staff_see_on_the_board(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    await world.do("POST", f"/feedback/{item}/withdraw", as_=world.who("ann"), expect=200)
    path = f"/communities/{world.community_id}/board"

    assert await pages(h, path, world.who("bob")) == [[]]
    assert await pages(h, path, world.manager) == [[str(item)]]


@pytest.mark.parametrize("cursor", ["x", "e30", "eyJhdCI6MSwiaWQiOiJ4In0", "W10"])
@pytest.mark.parametrize("order", ["newest", "support"])
async def test_a_foreign_cursor_is_refused(
    h: Harness, world: World, cursor: str, order: str
) -> None:
    answer = await h.get(
        f"/communities/{world.community_id}/board",
        as_=world.who("ann"),
        params={"cursor": cursor, "order": order},
    )

    assert (answer.status_code, rule(answer)) == (422, "invalid-cursor")


async def test_you_asked_we_changed(h: Harness, world: World) -> None:
    root, twin = await world.submit("ann"), await world.submit("bob")
    await world.staff(twin, "merge", {"root_id": root})
    await world.staff(root, "accept", {"label": "Lights"})
    await world.staff(root, "plan")
    path = f"/communities/{world.community_id}/changes"
    assert (await h.get(path, as_=world.who("cem"))).json()["items"] == []

    await world.implement(root)

    (change,) = (await h.get(path, as_=world.who("cem"))).json()["items"]
    assert (change["label"], change["what_changed"]) == ("Lights", "New lights")
    assert change["thanks_to"] == [str(world.member_id(n)) for n in ("ann", "bob")]
    await world.answer("ann", False, expect=200)
    assert (await h.get(path, as_=world.who("cem"))).json()["items"] == [], "it is not there yet"


async def test_what_became_of_mine_shows_mine_alone(h: Harness, world: World) -> None:
    item = await world.built("ann", "bob")
    await world.submit("bob")

    path = f"/communities/{world.community_id}/mine"
    found = (await h.get(path, as_=world.who("ann"))).json()["items"]

    assert [(one["feedback_id"], one["status"]) for one in found] == [(str(item), "looking_again")]
    assert found[0]["built"]["see_it_at"] == "in your next order"


async def test_todo_names_the_command_that_settles_each_item(h: Harness, world: World) -> None:
    waits = await world.submit("ann")
    since = world.now
    world.now += HOUR
    accepted = await world.submit("ann")
    await world.staff(accepted, "accept", {"label": "x"})
    path = f"/communities/{world.community_id}/todo"

    found = (await h.get(path, as_=world.host)).json()
    by_member = await h.get(path, as_=world.who("ann"))

    assert [(one["method"], one["path"]) for one in found] == [
        ("POST", f"/feedback/{waits}/accept"),
        ("POST", f"/feedback/{accepted}/plan"),
    ]
    assert found[0]["since"] == since.isoformat().replace("+00:00", "Z")
    assert rule(by_member) == "staff-only"


async def test_open_look_agains_are_the_callers_own(h: Harness, world: World) -> None:
    item = await world.built("ann", "bob")

    (anns,), (bobs,) = await world.asked("ann"), await world.asked("bob")

    assert (anns["asked_as"], bobs["asked_as"]) == ("author", "supporter")
    assert {anns["feedback_id"], bobs["feedback_id"]} == {str(item)}
    assert await world.asked("cem") == []


async def test_an_unknown_item_is_not_found(h: Harness, world: World) -> None:
    for path in ("/feedback", "/look-agains", "/campaigns"):
        answer = await h.get(f"{path}/{UUID(int=1)}", as_=world.manager)
        assert (answer.status_code, rule(answer)) == (404, "not-found")


async def test_the_share_outside_the_objectives_is_shown_as_drift(h: Harness, world: World) -> None:
    path = f"/communities/{world.community_id}/summary"
    empty = (await h.get(path, as_=world.host)).json()
    body = {"community_id": world.community_id, "text": "Tea", "outside": True}
    for _ in range(2):
        await world.do("POST", "/feedback", body, as_=world.who("ann"), expect=201)
    items = [await world.submit("bob") for _ in range(5)]
    await world.staff(items[0], "accept", {"label": "Lights"})
    await world.staff(items[1], "merge", {"root_id": items[0]})
    await world.do("POST", f"/feedback/{items[2]}/withdraw", as_=world.who("bob"), expect=200)

    seen = (await h.get(path, as_=world.host)).json()
    by_member = await h.get(path, as_=world.who("ann"))

    assert (empty["drift"], empty["outside"], empty["by_status"]) == (None, 0, {})
    assert seen["by_status"] == {"accepted": 1, "duplicate": 1, "submitted": 4, "withdrawn": 1}
    assert seen["by_objective"] == [
        {
            "objective_id": str(world.objective.objective_id),
            "title": "Safer nights",
            "retired": False,
            "suggestions": 3,
        }
    ]
    assert (seen["outside"], seen["drift"]) == (2, 0.4)
    assert rule(by_member) == "staff-only"


async def test_who_may_not_act_is_asked_for_nothing(h: Harness, world: World) -> None:
    item = await world.submit("ann")
    path = f"/feedback/{item}/comments"
    await world.do("POST", path, {"text": "x"}, as_=world.who("cem"), expect=201)
    await h.deliver(world.suspended("bob"))

    seen = await world.see(item, world.who("bob"))

    assert (seen["asks"], [said["asks"] for said in seen["talk"]]) == (None, [None])
    assert (await world.see(item, world.who("dee")))["asks"] == "support"
