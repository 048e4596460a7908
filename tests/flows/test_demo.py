"""The demo's season through the whole platform: what it must hold, and what the audit must see."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from coterie_contracts.feedback import FeedbackReopened
from coterie_contracts.member import MemberAdmitted, SeatLapsed
from coterie_contracts.notification import NotificationClass, NotificationSuppressed
from coterie_contracts.reward import HeldFor, RewardApproved, RewardHeld
from coterie_local.audit import RULES, audit
from coterie_local.audit.facts import Log
from coterie_local.story import story, tell
from coterie_local.tally import Tally, tally
from tests.audit.planters import PLANTERS
from tests.flows.seasons import Played

REASONS = (
    "relation",
    "unsubscribed",
    "cap",
    "ratio",
    "too_new",
    "gap",
    "open_look_again",
    "bad_news",
    "not_useful",
)


@pytest.fixture(scope="module")
def standing(season: Played) -> Tally:
    return tally(season.records)


@pytest.fixture(scope="module")
def log(season: Played) -> Log:
    return Log(season.records)


def test_the_audit_is_clean_and_every_rule_examined_facts(season: Played) -> None:
    report = audit(season.records)
    assert report.verdict == "clean", report.violations
    assert report.idle_rules == ()
    assert len(report.rules) == len(RULES)


def test_a_seat_offer_is_accepted_and_another_lapses(log: Log) -> None:
    assert "seat_offer" in {event.data.via for event in log.of(MemberAdmitted)}
    assert log.of(SeatLapsed)


@pytest.mark.parametrize("state", ["declined", "merged", "withdrawn", "verified", "unconfirmed"])
def test_feedback_ends_in_every_way(standing: Tally, state: str) -> None:
    assert standing.feedback[state] >= 1


def test_a_round_is_reopened(log: Log) -> None:
    assert log.of(FeedbackReopened)


def test_rewards_are_approved_by_hand_and_by_policy_rejected_and_held_for_lack_of_budget(
    log: Log, standing: Tally
) -> None:
    deciders = {event.data.approved_by.partition(":")[0] for event in log.of(RewardApproved)}
    assert deciders == {"person", "policy"}
    assert standing.rewards["rejected"] >= 1
    assert HeldFor.BUDGET in {event.data.reason for event in log.of(RewardHeld)}


@pytest.mark.parametrize("reason", REASONS)
def test_an_offer_is_withheld_for_each_of_the_guards_reasons(log: Log, reason: str) -> None:
    withheld = {
        event.data.reason.value
        for event in log.of(NotificationSuppressed)
        if event.data.notification_class is NotificationClass.OFFER
    }
    assert reason in withheld


def test_the_brief_shows_what_waits_what_was_confirmed_and_what_was_withheld_and_why(
    season: Played,
) -> None:
    brief = season.brief
    assert datetime.fromisoformat(brief["at"]).weekday() == 0
    waits = ("waitlist", "unanswered_count", "approvals_count", "held_rewards", "confirmed_count")
    assert [name for name in waits if not brief[name]] == []
    assert {one["notification_class"] for one in brief["withheld"]} == {"offer"}
    assert len(brief["withheld"]) >= 5
    assert "had bad news a short while ago" in brief["text"]


def test_a_dead_letter_is_redriven_and_none_stays_open(season: Played) -> None:
    assert season.redriven >= 1
    letters = [
        row for name, rows in season.tables.items() if name.endswith(".dead_letter") for row in rows
    ]
    assert letters
    assert all("'state': 'redriven'" in letter for letter in letters)


@pytest.mark.parametrize("rule", PLANTERS)
def test_a_violation_planted_in_the_season_is_named_by_its_rule_and_event(
    season: Played, rule: str
) -> None:
    assert audit(season.records).ok(require_facts=True)
    planted = PLANTERS[rule](season.records)
    found = {(one.rule, one.event_id) for one in audit(planted.records).violations}
    assert found == {(rule, planted.event_id)}


def test_the_first_suggestion_is_told_from_the_first_word_to_the_thanks(season: Played) -> None:
    text = tell(story(season.records, _first(season)))
    steps = (
        "made a suggestion",
        "wants this too",
        "It was built",
        "was asked to look again",
        "was told (look again)",
        "looked again: it is good now",
        "It is there and does what was wanted",
        "earned a reward",
        "was told (reward)",
    )
    places = [text.find(step) for step in steps]
    assert -1 not in places, [step for step in steps if step not in text]
    assert places == sorted(places)


def _first(season: Played) -> UUID:
    return next(iter(season.suggestions.values()))
