"""A played history accounts for every row, in order, once, however often it is interrupted."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from coterie_local.importers.plan import Fate, Plan, StepKind, Why, in_order
from coterie_local.importers.player import Player
from coterie_local.importers.polis import plan_polis
from coterie_local.importers.report import Report, render
from coterie_local.importers.stackexchange_plan import plan_stackexchange
from coterie_local.importers.transport import Unreachable

from .scripted import Scripted

HISTORIES = Path(__file__).parent.parent / "histories"
ROOM_FOR_ALL, FEW_SEATS, TWO_SEATS = 50, 6, 2


@pytest.fixture(scope="module")
def crowded() -> Plan:
    return plan_stackexchange(HISTORIES / "stackexchange", capacity=FEW_SEATS)


@pytest.fixture(scope="module")
def roomy() -> Plan:
    return plan_stackexchange(HISTORIES / "stackexchange", capacity=ROOM_FOR_ALL)


@pytest.fixture(scope="module")
def named() -> Plan:
    return plan_polis(HISTORIES / "polis")


async def _play(plan: Plan, platform: Scripted, journal: Path | None = None) -> Report:
    return await Player(plan, platform.client(), journal_path=journal).play()


def _fates(report: Report) -> object:
    return report.accounting.fates


@pytest.mark.parametrize("history", ["crowded", "roomy", "named"])
async def test_every_row_is_accounted_for(
    history: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    plan: Plan = request.getfixturevalue(history)
    report = await _play(plan, Scripted())
    assert report.complete
    report.write(tmp_path / "build" / "report.json")
    written = json.loads((tmp_path / "build" / "report.json").read_text())
    assert written["complete"] is True
    assert set(written["files"]) == set(plan.accounting.rows)
    for file in written["files"].values():
        counted = file["played"] + sum(file["refused"].values()) + sum(file["skipped"].values())
        assert counted == file["rows"]


async def test_with_room_for_all_only_what_the_plan_left_out_is_not_played(roomy: Plan) -> None:
    report = await _play(roomy, Scripted())
    assert not report.refused_steps
    assert report.accounting.count("Posts.xml", Fate.PLAYED) == 12
    assert report.accounting.count("Comments.xml", Fate.PLAYED) == 6
    assert report.members_at_most == 8
    assert report.feedback_by_state == {
        "implement": 4,
        "decline": 1,
        "accept": 1,
        "submitted": 2,
    }


async def test_what_the_source_does_not_say_is_counted_as_simulated(roomy: Plan) -> None:
    report = await _play(roomy, Scripted())
    assert report.simulated == {
        "create-community": 1,
        "open-community": 1,
        "apply": 1,
        "accept": 4,
        "plan": 3,
        "implement": 1,
        "stand-in": 13,
    }


async def test_who_finds_no_seat_waits_and_moves_up_when_somebody_leaves(crowded: Plan) -> None:
    platform = Scripted()
    report = await _play(crowded, platform)
    moved_up = [effect for effect in platform.effects if effect[1] == "accept-seat"]
    assert moved_up
    assert report.simulated["accept-seat"] == len(moved_up)
    assert report.members_at_most == FEW_SEATS


async def test_who_waits_cannot_write_and_what_hangs_on_it_is_refused_too(crowded: Plan) -> None:
    report = await _play(crowded, Scripted())
    refused = {
        reason
        for fates in report.accounting.fates.values()
        for (fate, reason) in fates
        if fate is Fate.REFUSED
    }
    assert refused == {Why.NOT_A_MEMBER, Why.TARGET_NOT_PLAYED}


async def test_a_vote_that_nobody_is_left_to_stand_in_for_is_refused() -> None:
    plan = plan_stackexchange(HISTORIES / "stackexchange", capacity=TWO_SEATS)
    report = await _play(plan, Scripted())
    assert report.accounting.fates["Votes.xml"][Fate.REFUSED, Why.NO_STAND_IN] == 3


async def test_who_goes_while_waiting_withdraws(crowded: Plan) -> None:
    platform = Scripted()
    report = await _play(crowded, platform)
    withdrawn = [effect for effect in platform.effects if effect[1] == "withdraw"]
    assert withdrawn
    assert report.simulated["withdraw"] == len(withdrawn)


@pytest.mark.parametrize("history", ["crowded", "named"])
async def test_the_clock_never_goes_back(history: str, request: pytest.FixtureRequest) -> None:
    plan: Plan = request.getfixturevalue(history)
    platform = Scripted()
    await _play(plan, platform)
    assert len(platform.moments) > len(plan.steps) / 3
    assert platform.moments == sorted(platform.moments)
    assert platform.moments[-1] == plan.ends_at


async def test_nobody_rates_a_contribution_twice_or_their_own(roomy: Plan) -> None:
    platform = Scripted()
    await _play(roomy, platform)
    ratings = [(owner, who) for _, deed, owner, who, *_ in _long(platform) if deed == "rating"]
    assert len(ratings) == len(set(ratings)) == 13


def _long(platform: Scripted) -> list[tuple[object, ...]]:
    return [effect for effect in platform.effects if len(effect) >= 4]


@pytest.mark.parametrize("kept", [True, False], ids=["journal kept", "journal lost"])
@pytest.mark.parametrize("history", ["crowded", "named"])
async def test_a_second_import_changes_nothing(
    history: str, kept: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    plan: Plan = request.getfixturevalue(history)
    platform, journal = Scripted(), tmp_path / "journal.jsonl"
    first = await _play(plan, platform, journal)
    effects = dict(platform.effects)
    if not kept:
        journal.unlink()
    second = await _play(plan, platform, journal)
    assert platform.effects == effects
    assert _fates(second) == _fates(first)
    assert second.members_at_most == first.members_at_most
    assert second.resumed == (len(plan.steps) if kept else 0)
    if kept:
        assert second.commands == len(("create", "open"))


@pytest.mark.parametrize("kept", [True, False], ids=["journal kept", "journal lost"])
async def test_an_import_interrupted_anywhere_ends_as_if_it_had_not_been(
    crowded: Plan, kept: bool, tmp_path: Path
) -> None:
    undisturbed = Scripted()
    expected = await _play(crowded, undisturbed)
    assert undisturbed.commands > 30
    for number in range(2, undisturbed.commands):
        platform = Scripted(lose_at=number)
        journal = tmp_path / f"{number}.jsonl"
        with pytest.raises(Unreachable):
            await _play(crowded, platform, journal)
        if not kept:
            journal.unlink(missing_ok=True)
        report = await _play(crowded, platform, journal)
        assert platform.effects == undisturbed.effects, number
        assert _fates(report) == _fates(expected)
        assert report.simulated == expected.simulated


async def test_a_refusal_of_the_platform_is_counted_under_its_rule(roomy: Plan) -> None:
    def refuse(method: str, path: str, body: object) -> str | None:
        return "daily-limit" if path.endswith("/comments") else None

    report = await _play(roomy, Scripted(refuse=refuse))
    assert report.complete
    assert report.accounting.fates["Comments.xml"][Fate.REFUSED, "daily-limit"] == 6
    assert report.refused_steps["comment: daily-limit"] == 10


async def test_a_journal_of_a_platform_that_was_wiped_is_set_aside(
    named: Plan, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.jsonl"
    first, wiped = Scripted(), Scripted()
    await _play(named, first, journal)
    report = await _play(named, wiped, journal)
    assert report.resumed == 0
    assert wiped.effects == first.effects


async def test_what_a_daily_limit_refused_is_not_tried_again_by_a_second_import(
    named: Plan,
) -> None:
    platform = Scripted(refuse=_refuse_one_suggestion)
    first = await _play(named, platform)
    assert first.refused_steps["submit: daily-limit"] == 1
    platform.refuse = lambda method, path, body: None
    effects = dict(platform.effects)
    second = await _play(named, platform)
    assert platform.effects == effects
    assert second.refused_steps[f"submit: {Why.REFUSED_BEFORE}"] == 1
    assert second.complete


def _refuse_one_suggestion(method: str, path: str, body: dict[str, Any]) -> str | None:
    return "daily-limit" if "Schatten" in body.get("text", "") else None


async def test_applications_of_one_instant_are_sent_one_by_one_and_votes_together(
    roomy: Plan,
) -> None:
    at = roomy.starts_at
    applications = [replace(step, at=at) for step in roomy.of(StepKind.APPLY)]
    suggestion = replace(next(roomy.of(StepKind.SUBMIT)), at=at)
    votes = [
        replace(step, at=at, target=suggestion.key) for step in islice(roomy.of(StepKind.RATE), 5)
    ]
    platform = Scripted()
    plan = replace(roomy, steps=in_order([*votes, suggestion, *applications]))
    await Player(plan, platform.client(), at_once=3).play()
    assert platform.most_at_once["applications"] == 1
    assert platform.most_at_once["rating"] == 3


async def test_a_report_reads_without_a_cut_word_and_names_every_reason(crowded: Plan) -> None:
    report = await _play(crowded, Scripted())
    console = Console(width=80, record=True, file=StringIO())
    console.print(render(report))
    shown = console.export_text()
    assert "…" not in shown
    assert " 0 of them not accounted for" in shown
    reasons = {
        reason.replace("-", " ")
        for counts in report.accounting.fates.values()
        for fate, reason in counts
        if fate is not Fate.PLAYED
    }
    assert len(reasons) > 5
    assert [reason for reason in reasons if reason not in shown] == []


async def test_progress_counts_every_step(named: Plan) -> None:
    seen: list[tuple[int, int]] = []
    player = Player(named, Scripted().client(), progress=lambda done, of: seen.append((done, of)))
    await player.play()
    assert seen[-1] == (len(named.steps), len(named.steps))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
