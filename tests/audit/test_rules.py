"""Where each rule draws its line: what looks alike and is fine, what is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from coterie_contracts.feedback import FeedbackAccepted, FeedbackSubmitted
from coterie_contracts.member import Admission, MemberLeft
from coterie_contracts.notification import NotificationSent
from coterie_contracts.reward import RewardApproved, RewardIssued
from coterie_local.audit import audit
from coterie_local.audit.rules.privacy import looks_personal
from coterie_local.log import Record

from .forgery import changed, facts_of, swapped
from .season import Season, clean_log


def broken(records: list[Record]) -> set[tuple[str, UUID | None]]:
    return {(one.rule, one.event_id) for one in audit(records).violations}


@pytest.mark.parametrize(
    "text",
    [
        "write to ana.b+c@mail.example.co.uk",
        "+49 170 1234567",
        "call +1 (415) 555-2671 today",
        "tel 0170/1234567",
        "(030) 901820 55",
        "415-555-2671",
    ],
)
def test_addresses_and_numbers_look_personal(text: str) -> None:
    assert looks_personal(text)


@pytest.mark.parametrize(
    "text",
    [
        "in your next order",
        "https://example.org/changes/20260112345678",
        "release 2026.11.23, build 1234567890",
        "2026-11-23T10:00:00.123456Z",
        "019c03fb-3240-898d-93ae-a9c32c4199f2",
        "person:019c03fb-3240-898d-93ae-a9c32c4199f2",
        "order:100200300400",
        "00-9303c8aa13274b63335e3f40af682ed0-0160286921733156-01",
        "in our shop from 01.03.2026 12:30 to 03.04.2026",
        "Version 10.20.30 from 0.9.1",
        "room 101 @ noon",
    ],
)
def test_links_ids_dates_and_versions_do_not(text: str) -> None:
    assert looks_personal(text) is None


def test_a_field_that_no_model_has_is_named() -> None:
    records = clean_log()
    fact = facts_of(records, FeedbackSubmitted)[0]
    log = swapped(records, fact.record, changed(fact.record, body_text="It drips"))
    assert broken(log) == {("personal-data", fact.event.id)}


def test_an_actor_with_a_name_is_no_pseudonym() -> None:
    records = clean_log()
    fact = facts_of(records, FeedbackAccepted)[0]
    log = swapped(records, fact.record, changed(fact.record, {"ce_actor": "Ana"}))
    assert broken(log) == {("personal-data", fact.event.id)}


def test_a_lost_event_in_the_middle_is_an_incomplete_log() -> None:
    records = clean_log()
    lost = facts_of(records, FeedbackAccepted)[0].record
    report = audit([record for record in records if record != lost])
    assert "aggregate-sequence" in {one.rule for one in report.violations}
    assert not report.complete


def test_a_partition_that_lost_its_middle_is_an_incomplete_log() -> None:
    records = clean_log()
    later = facts_of(records, NotificationSent)[-1].record
    report = audit(swapped(records, later, replace(later, offset=later.offset + 1)))
    assert [one.rule for one in report.violations] == ["partitions"]


def test_a_seat_of_nobody_cannot_be_left() -> None:
    records = clean_log()
    fact = facts_of(records, MemberLeft)[0]
    nobody = str(Season().member_id("nobody"))
    log = swapped(records, fact.record, changed(fact.record, member_id=nobody))
    assert ("seats-held", fact.event.id) in broken(log)


def test_admission_from_a_seat_offer_that_nobody_made_takes_a_seat() -> None:
    season = Season()
    season.open()
    season.apply("ana")
    season.admit("ana", Admission.SEAT_OFFER, 0)
    assert [one.rule for one in audit(season.records).violations] == ["seats-held"]


def test_an_issue_of_another_amount_than_approved_is_named() -> None:
    records = clean_log()
    fact = facts_of(records, RewardIssued)[0]
    log = swapped(records, fact.record, changed(fact.record, amount_minor=499))
    assert ("budget-balances", fact.event.id) in broken(log)


def test_one_reward_with_two_ids_is_named_even_when_each_step_is_there_once() -> None:
    records = clean_log()
    fact = facts_of(records, RewardApproved)[0]
    other = "00000000-0000-5000-8000-000000000001"
    log = swapped(records, fact.record, changed(fact.record, reward_id=other))
    assert ("reward-once", fact.event.id) in broken(log)


def test_messages_of_one_instant_count_in_the_order_of_their_sequence() -> None:
    records = clean_log()
    first = next(
        fact for fact in facts_of(records, NotificationSent) if fact.event.data.template == "offer"
    )
    before = next(
        fact
        for fact in facts_of(records, NotificationSent)
        if fact.event.data.recipient_sequence == first.event.data.recipient_sequence - 1
        and fact.event.data.recipient_id == first.event.data.recipient_id
    )
    at_once = changed(first.record, sent_at=before.event.data.sent_at.isoformat())
    assert broken(swapped(records, first.record, at_once)) == set()


def test_the_window_opens_just_after_its_first_instant() -> None:
    records = clean_log()
    offers = [f for f in facts_of(records, NotificationSent) if f.event.data.template == "offer"]
    second, third = offers[1], offers[2]
    assert third.event.data.count_before == 0
    edge = second.event.data.sent_at + timedelta(days=28)
    for at, counts in ((edge, False), (edge - timedelta(microseconds=1), True)):
        log = swapped(records, third.record, changed(third.record, sent_at=at.isoformat()))
        texts = [one.explanation for one in audit(log).violations]
        assert any("before it in its window" in text for text in texts) is counts


def test_the_last_seat_may_be_taken_and_not_one_more() -> None:
    season = Season()
    season.open()
    for name in ("ana", "ben"):
        season.apply(name)
        season.admit(name, Admission.APPLICATION, 1)
    assert (season.held, season.capacity) == (2, 2)
    assert audit(season.records).violations == ()
    season.apply("cem")
    season.admit("cem", Admission.APPLICATION, 1)
    assert [one.rule for one in audit(season.records).violations] == ["seat-capacity"]


def test_lowering_the_capacity_below_the_held_seats_is_no_fault_and_taking_one_then_is() -> None:
    season = Season()
    season.play()
    assert season.held > season.capacity
    assert audit(season.records).violations == ()
    season.apply("fay")
    season.admit("fay", Admission.APPLICATION, 1)
    assert [one.rule for one in audit(season.records).violations] == ["seat-capacity"]
