"""A log that breaks no rule is clean, whatever the order in which it arrives."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from coterie_local.audit import RULES, audit
from coterie_local.log import dump, load

from .forgery import appended
from .planters import plant_seat_capacity
from .season import clean_log


def test_a_clean_log_gives_every_rule_facts_and_no_violation() -> None:
    report = audit(clean_log())
    assert report.violations == ()
    assert report.idle_rules == ()
    assert len(report.rules) == len(RULES)
    assert report.verdict == "clean"
    assert report.ok(require_facts=True)


@pytest.mark.parametrize("seed", range(5))
def test_delivery_in_another_order_gives_the_same_report(seed: int) -> None:
    records = clean_log()
    planted = plant_seat_capacity(records).records
    for log in (records, planted):
        shuffled = list(log)
        random.Random(seed).shuffle(shuffled)
        assert shuffled != log
        assert audit(shuffled).to_json() == audit(log).to_json()


def test_a_second_delivery_of_the_same_bytes_is_counted_and_no_fault() -> None:
    records = clean_log()
    report = audit([*records, *(appended(records, one)[-1] for one in records[:1])])
    assert report.repeats == 1
    assert report.ok(require_facts=True)


def test_a_record_of_a_stranger_is_counted_and_no_fault() -> None:
    records = clean_log()
    stranger = replace(records[0], headers=(("ce_type", b"weather.v1"),), value=b"{}")
    report = audit(appended(records, stranger))
    assert report.foreign == 1
    assert report.ok(require_facts=True)


def test_a_tombstone_of_contact_data_is_no_fault() -> None:
    records = clean_log()
    contact = next(record for record in records if record.topic == "member.contact")
    report = audit(appended(records, replace(contact, value=None)))
    assert report.ok(require_facts=True)


def test_an_empty_log_breaks_nothing_and_proves_nothing() -> None:
    report = audit([])
    assert report.ok()
    assert not report.ok(require_facts=True)
    assert len(report.idle_rules) == len(RULES)
    assert report.verdict == "nothing to judge yet"


def test_rules_that_no_fact_proves_are_named() -> None:
    console = Console(width=100, record=True, file=StringIO())
    without_offers = [r for r in clean_log() if not r.topic.startswith(("reward.", "budget."))]
    console.print(audit(without_offers).render())
    shown = console.export_text()
    assert "proven by no fact: ledger-sequence, reward-once, budget-cover, budget-balances" in shown


def test_a_report_is_told_as_a_table_and_as_json() -> None:
    report = audit(plant_seat_capacity(clean_log()).records)
    console = Console(width=120, record=True, file=StringIO())
    console.print(report.render())
    text = console.export_text()
    assert "seat-capacity" in text
    assert str(report.violations[0].event_id) in text
    assert json.loads(json.dumps(report.to_json()))["verdict"] == "1 violation(s)"


def test_a_recorded_log_reads_back_the_same(tmp_path: Path) -> None:
    records = clean_log()
    dump(records, tmp_path / "log.jsonl")
    assert list(load(tmp_path / "log.jsonl")) == records


def test_a_damaged_recording_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    dump(clean_log()[:2], path)
    path.write_text(path.read_text() + '{"topic": "x"}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl, line 3"):
        list(load(path))
