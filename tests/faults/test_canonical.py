"""No table escapes the comparison: each is listed, and a listed column is a real one."""

from __future__ import annotations

import pytest

from coterie_local.platform import SERVICES
from tests.faults.canonical import LISTED, Compared, differences, tables_of
from tests.flows.seasons import Played


@pytest.mark.parametrize("service", SERVICES)
def test_every_table_is_listed_as_compared_or_excluded(service: str) -> None:
    assert set(LISTED[service]) == set(tables_of(service))


@pytest.mark.parametrize("service", SERVICES)
def test_columns_kept_apart_exist_and_leave_something_to_compare(service: str) -> None:
    for name, table in tables_of(service).items():
        if isinstance(listed := LISTED[service][name], Compared):
            columns = set(table.columns.keys())
            apart = set(listed.apart) | {column for case in listed.cases for column in case.apart}
            assert apart <= columns, name
            assert columns - apart, name


def test_the_season_leaves_rows_to_compare_in_every_service(season: Played) -> None:
    for service in SERVICES:
        rows = sum(
            len(found) for name, found in season.tables.items() if name.startswith(f"{service}.")
        )
        assert rows > 50, service


def test_a_changed_row_is_a_difference_and_is_shown(season: Played) -> None:
    name = "recognition.reward"
    changed = dict(season.tables)
    row = changed[name][0]
    changed[name] = [row.replace("'status': 'issued'", "'status': 'lost'"), *changed[name][1:]]
    assert changed[name] != season.tables[name]
    (told,) = differences(season.tables, changed)
    assert told.startswith("recognition.reward")
    assert "lost" in told
