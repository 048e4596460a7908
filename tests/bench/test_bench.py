"""The bench says what it measured, and its rows still run; how fast is no test's business."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.bench import consuming, flowing, relaying
from tests.bench.measure import ROWS, Measure, Measured, Row, alternate
from tests.bench.report import document
from tests.bench.rig import Rig
from tests.conftest import Broker


def a_row(**bound: float | None) -> Row:
    measure: Any = None
    return Row("a", "b", "events/s", measure, **({"at_least": None, "at_most": None} | bound))


def test_a_result_is_a_ratio_of_medians_with_the_extremes_of_the_rounds() -> None:
    measured = Measured([(10, 5), (30, 10), (20, 4)], {"p99_ms": 7.5})

    told = a_row(at_least=1.2).result(measured).to_json()

    assert told == {
        "name": "a",
        "ratio": 4.0,
        "ours": 20,
        "reference": 5,
        "unit": "events/s",
        "spread": (2.0, 5.0),
        "rounds": 3,
        "at_least": 1.2,
        "at_most": None,
        "also": {"p99_ms": 7.5},
    }


@pytest.mark.parametrize(
    ("bound", "holds"),
    [
        ({}, True),
        ({"at_least": 2.0}, True),
        ({"at_least": 2.1}, False),
        ({"at_most": 2.0}, True),
        ({"at_most": 1.9}, False),
    ],
)
def test_a_bound_holds_or_is_missed(bound: dict[str, float], holds: bool) -> None:
    assert a_row(**bound).result(Measured([(4, 2)])).holds is holds


def test_the_document_takes_what_was_measured_and_keeps_other_rows() -> None:
    page = "before\n<!-- measured -->\nnothing yet\n<!-- end -->\nafter\n"
    on = {"kafka": "4.3.1"}
    first = document(page, [a_row(at_least=1.2).result(Measured([(300, 200)]))], on)
    again = document(first, [replace(a_row(), name="b").result(Measured([(4, 2)]))], on)

    assert first.startswith("before\n<!-- measured -->\nOn ")
    assert "| `a` | 1.50 | 1.50-1.50 | ≥ 1.2 | holds | 300 | 200 | events/s |" in again
    assert "| `b` | 2.00 | 2.00-2.00 | - |  | 4.0 | 2.0 | events/s |" in again
    assert again.endswith("<!-- end -->\nafter\n")
    assert "nothing yet" not in first


async def test_both_sides_run_in_turn_and_the_first_round_is_dropped() -> None:
    turns: list[str] = []

    async def side(name: str) -> float:
        turns.append(name)
        return len(turns)

    rig = Rig("unused", "unused", events=1, rounds=2, say=lambda _: None)
    measured = await alternate(rig, lambda: side("ours"), lambda: side("reference"))

    assert turns == ["ours", "reference"] * 3
    assert measured.pairs == [(3, 4), (5, 6)]


def test_every_row_says_what_it_measures() -> None:
    assert all(row.what and row.what.endswith(".") for row in ROWS.values())


@pytest.mark.needs_apache_kafka
@pytest.mark.parametrize(
    "measure",
    [
        relaying.relay_vs_send_batch,
        consuming.consumer_vs_copy,
        flowing.sustained_end_to_end,
    ],
)
async def test_a_row_runs(measure: Measure, kafka: Broker, topics: int, postgres_url: str) -> None:
    rig = Rig(kafka.bootstrap, postgres_url, events=300, rounds=1, say=lambda _: None)

    ((ours, reference),) = (await measure(rig)).pairs

    assert ours > 0
    assert reference > 0
