"""Inboxes, guard steps, wishes and limits over HTTP."""

from __future__ import annotations

from dataclasses import replace

from coterie_chassis.testing import Harness
from coterie_contracts import feedback
from coterie_contracts.community import ClockMode
from coterie_contracts.notification import (
    GuardPolicyChanged,
    NotificationSent,
    PreferenceChanged,
)

from .world import DAY, HOUR, START, World


async def test_the_inbox_comes_in_pages_newest_first_without_gaps(world: World) -> None:
    await world.populate("ana")
    await world.give_value("ana", 23, START + 10 * DAY)
    path = f"/communities/{world.community_id}/inbox"
    seen: list[str] = []
    params: dict[str, object] = {"limit": 5}
    while True:
        page = (await world.h.get(path, as_=world.who("ana"), params=params)).json()
        seen += [item["sent_at"] for item in page["items"]]
        if page["next"] is None:
            break
        params = {"limit": 5, "cursor": page["next"]}
    assert len(seen) == 24
    assert seen == sorted(seen, reverse=True)


async def test_a_member_sees_their_own_notices_alone(world: World) -> None:
    await world.populate("ana", "bo")
    await world.h.deliver(world.accepted("ana", START + DAY))
    assert await world.templates("bo") == ["member_admitted"]
    (mine,) = [i for i in await world.inbox("ana") if i["template"] == "feedback_accepted"]
    for path in ("", "/guard"):
        answer = await world.h.get(f"/notifications/{mine['id']}{path}", as_=world.who("bo"))
        assert answer.status_code == 404
    mark = {"mark": "advert"}
    answer = await world.h.post(f"/notifications/{mine['id']}/mark", mark, as_=world.who("bo"))
    assert answer.status_code == 404
    wish = {"unsubscribed": []}
    path = f"/members/{world.member_id('ana')}/preferences"
    assert (await world.h.put(path, wish, as_=world.who("bo"))).status_code == 404


async def test_every_step_of_the_guard_can_be_read_by_recipient_and_staff(world: World) -> None:
    await world.populate("ana")
    await world.h.deliver(world.accepted("ana", START + DAY))
    (item,) = [i for i in await world.inbox("ana") if i["template"] == "feedback_accepted"]
    for who in (world.who("ana"), world.manager):
        view = (await world.h.get(f"/notifications/{item['id']}/guard", as_=who)).json()
        assert (view["outcome"], view["reason"]) == ("sent", "sent")
        assert [step["step"] for step in view["steps"]] == [
            "relation",
            "subscription",
            "freshness",
            "cap",
            "ratio",
            "rest",
            "quiet_hours",
            "priority",
            "send",
        ]
    stranger = World(world.h).manager
    answer = await world.h.get(f"/notifications/{item['id']}/guard", as_=stranger)
    assert answer.status_code == 404


async def test_the_fifth_personal_message_of_a_day_is_bundled_and_still_there(
    world: World,
) -> None:
    await world.populate("ana")
    events = [world.accepted("ana", START + DAY + n * HOUR) for n in range(6)]
    await world.h.deliver(*events)
    reasons = [i["reason"] for i in await world.inbox("ana") if i["template"] != "member_admitted"]
    assert reasons == ["bundled", "bundled", "sent", "sent", "sent", "sent"]
    bundled = [e.data for e in await world.h.published(NotificationSent)][-1]
    assert (bundled.reason, bundled.count_before, bundled.cap) == ("bundled", 5, 4)


async def test_account_messages_cannot_be_turned_off(world: World) -> None:
    await world.populate("ana")
    path = f"/members/{world.member_id('ana')}/preferences"
    wish = {"unsubscribed": ["account/inbox"]}
    answer = await world.h.put(path, wish, as_=world.who("ana"))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:coterie:problem:account-stays-on"


async def test_a_lost_race_for_preferences_is_refused_and_a_repeat_publishes_nothing(
    world: World,
) -> None:
    await world.populate("ana")
    path = f"/members/{world.member_id('ana')}/preferences"
    me, wish = world.who("ana"), {"unsubscribed": ["personal/inbox"]}
    first = await world.h.put(path, wish, as_=me, if_match=0)
    assert (first.status_code, first.json()["version"]) == (200, 1)
    assert (await world.h.put(path, wish, as_=me)).json()["version"] == 1
    assert (await world.h.put(path, wish, as_=me, if_match=0)).status_code == 412
    (changed,) = await world.h.published(PreferenceChanged)
    assert changed.data.unsubscribed == ("personal/inbox",)
    await world.h.deliver(world.accepted("ana", START + DAY))
    assert await world.templates("ana") == ["member_admitted"]


async def test_a_policy_change_is_an_event_with_an_author_and_versions(world: World) -> None:
    await world.populate("ana")
    path = f"/communities/{world.community_id}/guard-policy"
    default = (await world.h.get(path, as_=world.who("ana"))).json()
    assert (default["version"], default["offer_cap"], default["offer_ratio"]) == (1, 2, 0.25)
    changed = await world.h.put(path, {"offer_cap": 1}, as_=world.manager, if_match=1)
    assert (changed.json()["version"], changed.json()["offer_cap"]) == (2, 1)
    same = await world.h.put(path, {"offer_cap": 1}, as_=world.manager)
    assert same.json()["version"] == 2
    (event,) = await world.h.published(GuardPolicyChanged)
    assert event.actor == world.manager.actor
    assert (event.data.policy_version, event.data.offer_cap, event.sequence) == (2, 1, 1)
    assert (await world.h.put(path, {}, as_=world.manager, if_match=1)).status_code == 412
    assert (await world.h.put(path, {}, as_=world.who("ana"))).status_code == 403
    for body in ({"guard": "off"}, {"offer_cap": -1}, {"offer_ratio": 2}, {"offer_cap": 10_000}):
        assert (await world.h.put(path, body, as_=world.manager)).status_code == 422


async def test_a_replayed_cause_rebuilds_the_inbox_and_nothing_else(h: Harness) -> None:
    world = World(h, clock=ClockMode.WALL)
    await world.populate("ana")
    await h.deliver(replace(world.accepted("ana", START + DAY), replayed=True))
    assert "feedback_accepted" in await world.templates("ana")
    (sent,) = [e for e in await h.published(NotificationSent) if e.replayed]
    assert sent.data.channel == "inbox"


async def test_a_driven_community_lives_on_its_own_clock_in_the_past(world: World) -> None:
    await world.populate("ana")
    await world.give_value("ana", 4, START + 40 * DAY)
    await world.offer(START + 40 * DAY)
    for event in await world.h.published(NotificationSent):
        assert event.time == event.data.sent_at < START + 41 * DAY
        assert event.clock is ClockMode.DRIVEN
        assert event.data.channel == "inbox"


async def test_an_unknown_zone_falls_back_to_the_communitys_and_says_so(world: World) -> None:
    await world.h.deliver(world.opened(), world.admitted("ana", time_zone="Mars/Olympus"))
    (item,) = await world.inbox("ana")
    view = (await world.h.get(f"/notifications/{item['id']}/guard", as_=world.manager)).json()
    assert view["time_zone"] == "Europe/Berlin"
    quiet = next(step for step in view["steps"] if step["step"] == "quiet_hours")
    assert "the recipient's is unknown" in quiet["says"]


async def test_a_suggestion_declined_is_told_without_blame(world: World) -> None:
    await world.populate("ana")
    await world.h.deliver(world.suggestion(feedback.FeedbackDeclined, "ana", START + DAY))
    item = (await world.inbox("ana"))[0]
    assert item["title"] == "We decided against a suggestion of yours"


async def test_staff_read_what_was_withheld_and_why_without_the_words(world: World) -> None:
    await world.populate("ana", "bo")
    await world.offer(START + DAY)
    path = f"/communities/{world.community_id}/decisions"
    first = await world.h.get(path, as_=world.manager, params={"outcome": "suppressed", "limit": 1})
    page = first.json()
    assert len(page["items"]) == 1
    params = {"outcome": "suppressed", "cursor": page["next"]}
    second = (await world.h.get(path, as_=world.manager, params=params)).json()
    assert second["next"] is None
    items = page["items"] + second["items"]
    assert {item["recipient_id"] for item in items} == {
        str(world.member_id("ana")),
        str(world.member_id("bo")),
    }
    assert {item["reason"] for item in items} == {"ratio"}
    assert not {"text", "title"} & set(items[0])
    steps = await world.h.get(f"/notifications/{items[0]['id']}/guard", as_=world.manager)
    assert steps.json()["steps"][-1] == {
        "step": "ratio",
        "passed": False,
        "says": "0 + 1 offers to 0 messages of value in 28 d, at most 0.25 of them",
    }
    assert (await world.h.get(path, as_=world.who("ana"))).status_code == 403
    bad = await world.h.get(path, as_=world.manager, params={"cursor": "e30"})
    assert (bad.status_code, bad.json()["type"]) == (422, "urn:coterie:problem:invalid-cursor")
