"""Offers through HTTP and PostgreSQL: the guard's promises hold however they arrive."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from coterie_chassis.auth import Role
from coterie_chassis.testing import person
from coterie_contracts import feedback, member, reward
from coterie_contracts.envelope import Event, encode
from coterie_contracts.model import EventBody
from coterie_contracts.notification import (
    Channel,
    NotificationDigested,
    NotificationMarked,
    NotificationSent,
    NotificationSuppressed,
    OfferPublished,
)
from coterie_local.audit.facts import Log
from coterie_local.audit.rules.offers import (
    figures_are_the_derived_ones,
    offers_keep_the_cap,
    offers_keep_the_ratio,
)
from coterie_local.log import Record
from coterie_notifications.domain.notices import notices_of
from coterie_notifications.store.tables import ledger
from coterie_notifications.telling import CHANNELS, tell

from .world import DAY, HOUR, START, World, ledgered

LATER = START + 40 * DAY


async def faults(world: World) -> list[str]:
    """What the auditor finds in what was published, by its rules for offers."""
    records = []
    for offset, event in enumerate(await world.h.published()):
        message = encode(event)
        records.append(
            Record(message.topic, 0, offset, 0, message.key, message.headers, message.value)
        )
    log = Log(records)
    rules = (offers_keep_the_cap, offers_keep_the_ratio, figures_are_the_derived_ones)
    found = [fault for rule in rules for fault in rule(log)]
    assert found, "the auditor examined nothing"
    return [str(fault) for fault in found if fault is not None]


async def test_an_offer_carries_every_figure_of_the_guard(world: World) -> None:
    await world.populate("ana")
    await world.give_value("ana", 4, LATER)
    result = await world.offer(LATER)
    assert (result["sent"], result["withheld"], result["audience_size"]) == (1, {}, 1)
    sent = (await world.h.published(NotificationSent))[-1].data
    assert (sent.window_days, sent.count_before, sent.cap) == (28, 0, 2)
    assert (sent.offers_before, sent.value_count) == (0, 4)
    assert (sent.ratio_limit, sent.ratio_window_days) == (0.25, 28)
    assert sent.counted_as_offer
    assert (sent.policy_version, sent.time_zone) == (1, "Europe/Berlin")
    assert sent.sent_at == LATER
    assert sent.recipient_sequence == 5
    assert (await world.h.published(OfferPublished))[0].data.audience_size == 1
    assert await faults(world) == []


async def test_fifty_offers_at_once_never_exceed_the_cap(world: World) -> None:
    await world.populate("ana")
    policy = {"offer_cap": 3, "offer_gap_days": 0, "offer_ratio": 1.0}
    path = f"/communities/{world.community_id}/guard-policy"
    answer = await world.h.put(path, policy, as_=world.manager, at=LATER - 3 * DAY)
    assert answer.status_code == 200, answer.text
    await world.give_value("ana", 8, LATER)
    results = await asyncio.gather(*(world.offer(LATER, key=f"offer {n}") for n in range(50)))
    assert sum(result["sent"] for result in results) == 3
    offers = [
        e for e in await world.h.published(NotificationSent) if e.data.notification_class == "offer"
    ]
    assert sorted(e.data.count_before or 0 for e in offers) == [0, 1, 2]
    held = await world.h.published(NotificationSuppressed)
    assert Counter(e.data.reason for e in held) == {"cap": 47}
    assert await faults(world) == []


async def tell_and_lose(world: World, event: Event[EventBody]) -> None:
    """Tell of an event in a transaction that does not commit."""
    async with world.h.database.begin() as uow:
        assert len(await tell(uow, notices_of(event))) == 1
        raise ConnectionError


async def test_what_was_not_surely_sent_is_not_told_and_counts_nowhere(world: World) -> None:
    """The inbox is the only channel, and it is written where the message is counted."""
    assert CHANNELS == (Channel.INBOX,)
    await world.populate("ana")
    accepted = world.accepted("ana", LATER - HOUR)
    with pytest.raises(ConnectionError):
        await tell_and_lose(world, accepted)
    fatigue = await world.h.get(f"/members/{world.member_id('ana')}/fatigue", as_=world.who("ana"))
    assert (fatigue.json()["personal"]["count"], fatigue.json()["value_messages"]) == (0, 0)
    assert await world.templates("ana") == ["member_admitted"]

    await world.give_value("ana", 4, LATER)
    assert (await world.offer(LATER))["sent"] == 1
    sent = (await world.h.published(NotificationSent))[-1].data
    assert (sent.value_count, sent.recipient_sequence) == (4, 5)


async def test_low_priority_is_told_once_in_the_inbox_and_in_no_digest(world: World) -> None:
    await world.populate("ana")
    badge = reward.BadgeAwarded(
        badge_id=uuid4(),
        member_id=world.member_id("ana"),
        community_id=world.community_id,
        badge=reward.Badge.FIRST_FEEDBACK,
    )
    await world.h.deliver(world.event(badge, badge.badge_id, START + DAY))
    await world.offer(START + 8 * DAY)
    await world.h.sweep()
    (item,) = [i for i in await world.inbox("ana") if i["template"] == "badge"]
    assert item["reason"] == "digest_pending"
    assert await world.h.published(NotificationDigested) == []


async def test_two_communities_of_a_brand_share_one_cap_for_a_person(world: World) -> None:
    other = World(world.h, brand_id=world.brand_id)
    for each in (world, other):
        await each.populate("ana")
        policy = {"offer_cap": 1, "offer_gap_days": 0}
        path = f"/communities/{each.community_id}/guard-policy"
        await world.h.put(path, policy, as_=each.manager, at=START + HOUR)
        await each.give_value("ana", 8, LATER)
    results = await asyncio.gather(world.offer(LATER), other.offer(LATER))
    assert sorted(result["sent"] for result in results) == [0, 1]
    assert await faults(world) == []


async def test_another_brand_has_its_own_cap(world: World) -> None:
    other = World(world.h)
    assert other.brand_id != world.brand_id
    for each in (world, other):
        await each.populate("ana")
        await each.give_value("ana", 4, LATER)
        assert (await each.offer(LATER))["sent"] == 1


async def test_a_preview_says_of_each_member_what_publishing_then_does(world: World) -> None:
    await world.populate("fine", "gap", "ratio", "asked", "bad", "off", "gone")
    for name in ("fine", "gap", "asked", "bad", "off", "gone"):
        await world.give_value(name, 8, LATER - 6 * DAY)
    others = ("fine", "asked", "bad", "off", "gone")
    for name in others:
        await prefer(world, name, ["offer/inbox"])
    assert (await world.offer(LATER - 5 * DAY))["sent"] == 1
    for name in others:
        await prefer(world, name, ["offer/inbox"] if name == "off" else [])
    await world.h.deliver(
        world.asked("asked", LATER - HOUR),
        world.suggestion(feedback.FeedbackDeclined, "bad", LATER - HOUR),
        world.suspended("gone", LATER - HOUR),
    )
    path = f"/communities/{world.community_id}/offers/preview"
    body = {"title": "t", "member_benefit": "b"}
    with world.h.statements() as counter:
        preview = (await world.h.post(path, body, as_=world.manager, at=LATER)).json()
    assert counter.count <= 25, counter.statements
    assert {one["member_id"]: one["reason"] for one in preview["members"]} == {
        str(world.member_id("fine")): "sent",
        str(world.member_id("gap")): "gap",
        str(world.member_id("ratio")): "ratio",
        str(world.member_id("asked")): "open_look_again",
        str(world.member_id("bad")): "bad_news",
        str(world.member_id("off")): "unsubscribed",
        str(world.member_id("gone")): "relation",
    }
    before = len(await world.h.published())
    result = await world.offer(LATER)
    assert (result["sent"], result["withheld"]) == (1, preview["withheld"])
    assert len(await world.h.published()) == before + 1 + preview["audience_size"]
    assert await faults(world) == []


async def prefer(world: World, name: str, unsubscribed: list[str]) -> None:
    path = f"/members/{world.member_id(name)}/preferences"
    wish = {"unsubscribed": unsubscribed}
    answer = await world.h.put(path, wish, as_=world.who(name))
    assert answer.status_code == 200, answer.text


async def test_the_third_offer_in_28_days_is_withheld(world: World) -> None:
    await world.populate("ana")
    await world.give_value("ana", 16, LATER)
    for days in (0, 12):
        assert (await world.offer(LATER + days * DAY))["sent"] == 1
    assert (await world.offer(LATER + 28 * DAY - HOUR))["withheld"] == {"cap": 1}
    await world.give_value("ana", 16, LATER + 28 * DAY)
    assert (await world.offer(LATER + 28 * DAY))["sent"] == 1
    assert await faults(world) == []


async def test_a_member_of_thirteen_days_gets_no_offer(world: World) -> None:
    await world.populate("ana", at=LATER - 13 * DAY)
    await world.give_value("ana", 8, LATER)
    assert (await world.offer(LATER))["withheld"] == {"too_new": 1}
    assert (await world.offer(LATER + DAY))["sent"] == 1


async def test_no_offer_for_a_day_after_a_rejected_reward(world: World) -> None:
    await world.populate("ana")
    await world.give_value("ana", 8, LATER)
    await world.h.deliver(world.reward(reward.RewardRejected, "ana", LATER, uuid4()))
    assert (await world.offer(LATER + 23 * HOUR))["withheld"] == {"bad_news": 1}
    assert (await world.offer(LATER + 24 * HOUR))["sent"] == 1


async def test_an_expired_offer_is_withheld_and_its_preview_refused(world: World) -> None:
    await world.populate("ana")
    await world.give_value("ana", 8, LATER)
    result = await world.offer(LATER, expires_at=(LATER - HOUR).isoformat())
    assert result["withheld"] == {"expired": 1}
    body = {"title": "t", "member_benefit": "b", "expires_at": (LATER - HOUR).isoformat()}
    path = f"/communities/{world.community_id}/offers/preview"
    answer = await world.h.post(path, body, as_=world.manager)
    assert answer.json()["type"] == "urn:coterie:problem:offer-expired"


async def test_not_useful_pauses_and_twice_turns_off_until_turned_on(world: World) -> None:
    await world.populate("ana")
    me, member_id = world.who("ana"), world.member_id("ana")
    at = LATER
    for _ in range(2):
        await world.give_value("ana", 8, at)
        assert (await world.offer(at))["sent"] == 1
        item = next(i for i in await world.inbox("ana") if i["notification_class"] == "offer")
        path = f"/notifications/{item['id']}/mark"
        answer = await world.h.post(path, {"mark": "not_useful"}, as_=me, at=at + HOUR)
        assert answer.status_code == 200, answer.text
        again = await world.h.post(path, {"mark": "not_useful"}, as_=me, at=at + 2 * HOUR)
        assert again.status_code == 200
        await world.give_value("ana", 8, at + 29 * DAY)
        assert (await world.offer(at + 29 * DAY))["withheld"] == {"not_useful": 1}
        at += 31 * DAY
    assert len(await world.h.published(NotificationMarked)) == 2
    await world.give_value("ana", 8, at)
    assert (await world.offer(at))["withheld"] == {"not_useful": 1}
    path = f"/members/{member_id}/preferences"
    view = (await world.h.get(path, as_=me)).json()
    assert "twice" in view["offers_paused_because"]
    wish = {"unsubscribed": [], "resume_offers": True}
    view = (await world.h.put(path, wish, as_=me, at=at + HOUR)).json()
    assert view["offers_paused_because"] is None
    assert (await world.offer(at + 2 * HOUR))["sent"] == 1
    assert await faults(world) == []


async def test_what_a_member_calls_an_advert_counts_as_an_offer(world: World) -> None:
    await world.populate("ana")
    await world.give_value("ana", 5, LATER)
    item = (await world.inbox("ana"))[0]
    path = f"/notifications/{item['id']}/mark"
    done = await world.h.post(path, {"mark": "advert"}, as_=world.who("ana"), at=LATER)
    assert done.status_code == 200, done.text
    result = await world.offer(LATER + HOUR)
    assert result["withheld"] == {"ratio": 1}
    fatigue = await world.h.get(f"/members/{world.member_id('ana')}/fatigue", as_=world.who("ana"))
    assert fatigue.json()["offers"] == {"count": 1, "cap": 2, "window_days": 28}
    assert fatigue.json()["value_messages"] == 4
    assert fatigue.json()["offer_now"]["step"] == "ratio"
    assert await faults(world) == []


async def test_an_account_message_that_a_member_calls_an_advert_counts_as_an_offer_too(
    world: World,
) -> None:
    await world.populate("ana")
    id_, me = uuid4(), world.who("ana")
    told = world.reward(
        reward.RewardApproved, "ana", LATER - DAY, id_, approved_by="policy", **ledgered()
    )
    await world.h.deliver(told)
    await world.give_value("ana", 8, LATER)
    item = next(i for i in await world.inbox("ana") if i["template"] == "reward")
    before = await world.h.get(f"/members/{world.member_id('ana')}/fatigue", as_=me)
    assert (before.json()["offers"]["count"], before.json()["value_messages"]) == (0, 8)

    path = f"/notifications/{item['id']}/mark"
    for _ in range(2):
        done = await world.h.post(path, {"mark": "advert"}, as_=me, at=LATER)
        assert (done.status_code, done.json()["called_advert"]) == (200, True), done.text
    other = await world.h.post(path, {"mark": "not_useful"}, as_=me)
    assert other.json()["type"] == "urn:coterie:problem:not-an-offer"

    assert len(await world.h.published(NotificationMarked)) == 1
    after = await world.h.get(f"/members/{world.member_id('ana')}/fatigue", as_=me)
    assert (after.json()["offers"]["count"], after.json()["value_messages"]) == (1, 8)
    assert (await world.offer(LATER + HOUR))["withheld"] == {"gap": 1}
    await world.give_value("ana", 4, LATER + 10 * DAY)
    assert (await world.offer(LATER + 10 * DAY))["sent"] == 1
    (sent,) = [
        e for e in await world.h.published(NotificationSent) if e.data.notification_class == "offer"
    ]
    assert (sent.data.count_before, sent.data.offers_before, sent.data.value_count) == (1, 1, 12)
    assert await faults(world) == []
    await world.h.deliver(world.erased("ana", LATER + 11 * DAY))
    async with world.h.database.begin() as uow:
        assert await uow.rows(select(ledger)) == []


async def test_only_a_members_own_message_that_reached_them_can_be_marked(world: World) -> None:
    await world.populate("ana")
    await world.offer(LATER)
    await world.h.deliver(
        world.application(
            member.ApplicationSubmitted, "ana", LATER, uuid4(), requirements_version=1
        )
    )
    withheld = (await world.h.published(NotificationSuppressed))[-1].data.notification_id
    as_applicant = next(
        i["id"] for i in await world.inbox("ana") if i["template"] == "application_received"
    )

    for id_ in (withheld, as_applicant):
        path = f"/notifications/{id_}/mark"
        answer = await world.h.post(path, {"mark": "advert"}, as_=world.who("ana"))
        assert answer.json()["type"] == "urn:coterie:problem:not-markable"
        assert (await world.h.post(path, {"mark": "nice"}, as_=world.who("ana"))).status_code == 422


async def test_an_unsubscribe_commits_before_it_answers_and_the_next_send_sees_it(
    world: World,
) -> None:
    await world.populate("ana")
    await world.give_value("ana", 4, LATER)
    assert (await world.offer(LATER))["sent"] == 1
    item = next(i for i in await world.inbox("ana") if i["notification_class"] == "offer")
    link = item["unsubscribe"]
    assert (await world.h.client.get(link)).status_code == 405
    empty = await world.h.client.post(link)
    assert empty.status_code == 400
    forged = link[:-2] + ("AA" if not link.endswith("AA") else "BB")
    form = {"content": b"List-Unsubscribe=One-Click"}
    assert (await world.h.client.post(forged, **form)).status_code == 404
    for _ in range(2):
        assert (await world.h.client.post(link, **form)).status_code == 200
    later = LATER + 11 * DAY
    await world.give_value("ana", 4, later)
    assert (await world.offer(later))["withheld"] == {"unsubscribed": 1}


@pytest.mark.parametrize("missing", ["member_benefit", "title"])
async def test_an_offer_without_a_benefit_for_the_member_is_refused(
    world: World, missing: str
) -> None:
    await world.populate("ana")
    body = {"title": "t", "member_benefit": "b"}
    del body[missing]
    path = f"/communities/{world.community_id}/offers"
    answer = await world.h.post(path, body, as_=world.manager)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_managers_of_this_community_publish_offers(world: World) -> None:
    await world.populate("ana")
    body = {"title": "t", "member_benefit": "b"}
    path = f"/communities/{world.community_id}/offers"
    stranger = person("eve", Role.MANAGER, brand=uuid4())
    host = person("hugo", Role.HOST, brand=world.brand_id)
    assert (await world.h.post(path, body, as_=stranger)).status_code == 404
    assert (await world.h.post(path, body, as_=host)).status_code == 403
    assert (await world.h.post(path, body, as_=world.who("ana"))).status_code == 403
    assert (await world.h.post(path, body, as_=None)).status_code == 401


async def test_the_same_idempotency_key_publishes_an_offer_once(world: World) -> None:
    await world.populate("ana")
    await world.give_value("ana", 8, LATER)
    first = await world.offer(LATER, key="spring")
    second = await world.offer(LATER + timedelta(minutes=1), key="spring")
    assert first == second
    assert len(await world.h.published(OfferPublished)) == 1


async def test_a_late_value_message_never_breaks_what_the_auditor_derives(world: World) -> None:
    """Events of other topics arrive late: an offer was decided before, sent later in time."""
    await world.populate("ana")
    await world.give_value("ana", 4, LATER)
    await world.offer(LATER)
    await world.give_value("ana", 5, LATER - 2 * DAY)
    await world.give_value("ana", 9, LATER + 11 * DAY)
    await world.offer(LATER + 11 * DAY)
    assert await faults(world) == []
