"""Every invariant of the rulebook names the tests that prove it, in its service's README.

The table stands under `## Invariants`: a row has the invariant's number, the invariant in short and
the tests as `path::name`, several of them divided by `<br>`.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.test_shape import ROOT

INVARIANTS: Final = {"membership": 9, "feedback": 8, "recognition": 8, "notifications": 7}
_HEADING: Final = "## Invariants"
_ROW: Final = re.compile(r"^\| *(\d+) *\|(.*)\|(.*)\| *$", re.MULTILINE)
_TEST: Final = re.compile(r"`?([\w./-]+\.py)::(\w+)`?")


def table_of(service: str) -> list[tuple[int, str, str]]:
    """The rows of a service's table: number, invariant, and the cell that names its tests."""
    readme = (ROOT / "services" / service / "README.md").read_text()
    _, found, rest = readme.partition(f"\n{_HEADING}\n")
    assert found, f"services/{service}/README.md has no {_HEADING!r}"
    section = rest.partition("\n## ")[0]
    rows = [(int(n), what.strip(), cell.strip()) for n, what, cell in _ROW.findall(section)]
    assert len(rows) == section.count("\n|") - 2, "a line of the table is no row of it"
    return rows


@cache
def found_in(file: Path) -> frozenset[str]:
    """The tests of a file: functions, and state machines as pytest finds them."""
    if not file.is_file():
        return frozenset()
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
    return frozenset(name for name in names if name.lower().startswith("test"))


@pytest.mark.parametrize("service", INVARIANTS)
def test_every_invariant_has_a_row(service: str) -> None:
    rows = table_of(service)

    assert [number for number, _, _ in rows] == list(range(1, INVARIANTS[service] + 1))
    assert all(what for _, what, _ in rows)


@pytest.mark.parametrize("service", INVARIANTS)
def test_every_test_that_an_invariant_names_exists(service: str) -> None:
    unproven = []
    for number, _, cell in table_of(service):
        named = _TEST.findall(cell)
        rest = _TEST.sub("", cell).replace("<br>", "").strip(" ,")
        if not named or rest:
            unproven.append(f"{number}: {cell!r} is no list of tests")
        unproven += [
            f"{number}: {path}::{name} does not exist"
            for path, name in named
            if not path.startswith("tests/") or name not in found_in(ROOT / path)
        ]
    assert unproven == []
