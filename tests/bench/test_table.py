"""The table of rows is whole, and what its figures are made of is told right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from coterie_chassis.hot import Hot
from tests.bench import paging
from tests.bench.paging import PAGES, scanned
from tests.bench.rig import Rig

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MOST_HOT = 3
BOUNDS = {
    "relay_vs_raw_send": {"at_least": 1.2},
    "relay_vs_send_batch": {"at_least": 0.35},
    "relay_archive_cost": {},
    "relay_vs_faststream_outbox_readme": {"at_least": 50},
    "relay_vs_faststream_outbox_ordered": {"at_least": 20},
    "consumer_vs_copy": {"at_least": 0.45},
    "consumer_vs_per_message": {"at_least": 40},
    "rated_end_to_end": {"at_least": 0.67},
    "http_command_vs_no_database": {"at_least": 0.15},
    "http_hot_command_vs_no_database": {"at_least": 0.35},
    "sustained_end_to_end": {"at_least": 0.4},
    "idle_latency_vs_bare": {"at_most": 5},
    "history_cost": {"at_least": 0.8},
    "pages": {"at_most": 1.5},
    "memory_per_service_mb": {},
    "replay_record_vs_raw_read": {},
    "replay_play_vs_raw_send": {},
    "replay_drive_vs_raw_decode": {},
}


def rows_in(path: Path) -> dict[str, dict[str, float]]:
    """The rows that a module registers with their bounds, read without importing it.

    The packages that some rows compare with are not installed for tests.
    """
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "row":
                bounds = {k.arg: ast.literal_eval(k.value) for k in decorator.keywords}
                found[node.name] = bounds  # type: ignore[attr-defined]
    return found


def test_every_row_is_registered_with_its_bound() -> None:
    registered = {}
    for path in HERE.glob("*.py"):
        registered |= rows_in(path)

    assert registered == BOUNDS


def test_every_module_with_a_row_is_measured() -> None:
    with_rows = {path.stem for path in HERE.glob("*.py") if rows_in(path)}
    (subjects,) = (
        node.value
        for node in ast.parse((HERE / "__main__.py").read_text()).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "SUBJECTS"
    )
    assert isinstance(subjects, ast.Tuple)

    assert {ast.unparse(name) for name in subjects.elts} == with_rows


def test_every_row_is_explained() -> None:
    told = (ROOT / "docs" / "performance.md").read_text()

    assert [name for name in BOUNDS if f"`{name}`" not in told] == []


def test_hot_statements_are_few_and_have_names_of_their_own() -> None:
    names = [
        ast.literal_eval(node.args[0])
        for path in ROOT.glob("services/*/coterie_*/**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Hot"
    ]

    assert len(names) == len(set(names))
    assert 0 < len(names) <= MOST_HOT


def test_a_hot_statement_numbers_its_parameters_by_their_first_use() -> None:
    hot = Hot("one", "SELECT :b::text, :a WHERE :b = :a")

    assert hot.parameters == ("b", "a")
    assert hot.driver_sql == "SELECT $1::text, $2 WHERE $1 = $2"


def test_rows_that_a_scan_filters_away_are_rows_read() -> None:
    inner = {
        "Node Type": "Seq Scan",
        "Relation Name": "rating",
        "Actual Rows": 2.0,
        "Rows Removed by Filter": 8,
        "Actual Loops": 3,
    }
    outer = {"Node Type": "Nested Loop", "Actual Rows": 6.0, "Actual Loops": 1, "Plans": [inner]}

    assert scanned(outer) == 30


async def test_pages_read_a_bounded_number_of_rows(postgres_url: str) -> None:
    rig = Rig("unused:1", postgres_url, events=1, rounds=1, say=lambda _: None)
    read = {}
    for ratings in (20_000, 60_000):
        async with paging.pages_behind(rig, ratings) as opened:
            read[ratings] = {p.name: await opened.rows(p) for p in PAGES if p.bounded}

    assert read[60_000] == pytest.approx(read[20_000], rel=0.2)
