"""Offers under changed policies and after members' marks."""

from __future__ import annotations

from uuid import UUID

from coterie_contracts.notification import GuardPolicyChanged, NotificationMarked, NotificationSent
from coterie_local.audit import audit

from .builder import named
from .season import Season


def season_with_value(messages: int) -> Season:
    season = Season()
    for number in range(messages):
        season.tell("ana", "personal", f"note_{number}", None)
    return season


def sent_event_ids(season: Season, template: str) -> list[UUID]:
    return [
        UUID(record.header("ce_id") or "")
        for record in season.records
        if record.topic == NotificationSent.topic
        and f'"template":"{template}"'.encode() in (record.value or b"")
    ]


def mark(season: Season, notification_id: UUID) -> None:
    body = NotificationMarked(
        notification_id=notification_id,
        community_id=season.community_id,
        member_id=season.member_id("ana"),
        mark="advert",
        sent_at=season.at,
    )
    season.publish(named("mark", notification_id), body)


def set_policy(season: Season, version: int, cap: int) -> None:
    body = GuardPolicyChanged(
        community_id=season.community_id,
        policy_version=version,
        offer_cap=cap,
        offer_window_days=28,
        offer_ratio=0.25,
        offer_gap_days=10,
        community_cap=3,
        community_window_days=7,
        personal_cap_per_day=4,
    )
    season.publish(named("guard", season.community_id), body)


def test_a_marked_advert_counts_as_an_offer_and_no_longer_as_value() -> None:
    season = season_with_value(12)
    notification_id = season.tell("ana", "personal", "sneaky", None)
    mark(season, notification_id)
    season.offer("ana", before=1, value=12)
    assert audit(season.records).violations == ()
    season.offer("ana", before=1, value=13)
    rules = {one.rule for one in audit(season.records).violations}
    assert rules == {"guard-figures", "offer-cap"}


def test_a_mark_made_after_an_offer_does_not_make_that_offer_a_fault() -> None:
    season = season_with_value(12)
    notification_id = season.tell("ana", "personal", "sneaky", None)
    season.offer("ana", before=0, value=13)
    season.offer("ana", before=1, value=13)
    mark(season, notification_id)
    assert audit(season.records).violations == ()


def test_an_offer_under_a_policy_that_is_no_longer_in_force_is_named() -> None:
    season = season_with_value(4)
    set_policy(season, 2, cap=0)
    season.offer("ana", before=0, value=4)
    (event_id,) = sent_event_ids(season, "offer")
    assert ("offer-cap", event_id) in {
        (one.rule, one.event_id) for one in audit(season.records).violations
    }


def test_the_cap_of_the_policy_in_force_is_the_one_that_counts() -> None:
    season = season_with_value(4)
    set_policy(season, 2, cap=0)
    season.offer("ana", before=0, value=4, policy_version=2, cap=0)
    assert [one.rule for one in audit(season.records).violations] == ["offer-cap"]


def test_an_offer_that_states_another_limit_than_the_policy_is_named() -> None:
    season = season_with_value(4)
    season.offer("ana", before=0, value=4, cap=5)
    assert [one.rule for one in audit(season.records).violations] == ["guard-figures"]


def test_several_community_messages_of_one_day_are_one_of_value() -> None:
    season = season_with_value(3)
    for _ in range(3):
        season.tell("ana", "community", "news", None)
    season.offer("ana", before=0, value=6)
    assert [one.rule for one in audit(season.records).violations] == ["guard-figures"]


def test_a_message_that_holds_an_offer_is_one_and_is_of_no_value() -> None:
    season = season_with_value(8)
    season.tell("ana", "personal", "digest", None, counted_as_offer=True)
    season.offer("ana", before=1, value=8)
    assert audit(season.records).violations == ()
    season.offer("ana", before=2, value=9)
    rules = {one.rule for one in audit(season.records).violations}
    assert rules == {"offer-cap", "offer-ratio", "guard-figures"}
