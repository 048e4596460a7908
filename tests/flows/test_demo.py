"""The demo's season through the whole platform: what it must hold, and what the audit must see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psutil
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

COTERIE = Path(sys.executable).parent / "coterie"
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


@pytest.fixture
def mark() -> Iterator[dict[str, str]]:
    """An environment by which every process of a test can be found."""
    name, value = "COTERIE_FLOW_TEST", str(uuid4())
    yield {**os.environ, name: value}
    left = [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get(name) == value
    ]
    assert left == []


@pytest.mark.slow
def test_the_demo_as_a_command_ends_by_itself_and_leaves_no_process(mark: dict[str, str]) -> None:
    done = subprocess.run(
        [COTERIE, "demo"], env=mark, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "clean" in done.stdout
    assert "make up" in done.stdout


def test_a_play_with_too_few_people_is_refused_in_one_line(mark: dict[str, str]) -> None:
    done = subprocess.run(
        [COTERIE, "demo", "--members", "3"],
        env=mark,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    told = (done.stdout + done.stderr).strip().splitlines()
    assert len(told) == 1
    assert "16 people at least" in told[0]
