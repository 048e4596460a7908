"""What a storm says when it could not be played or looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coterie_replay.brokers.processes import LocalFault
from tests.faults.storm import director
from tests.faults.storm.arena import Arena
from tests.faults.storm.director import storm
from tests.faults.storm.plan import Plan

PLAN = Plan(1, ())
NO_GROUND: Any = SimpleNamespace(tokens=None)


def failing(message: str) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError(message)

    return fail


def test_a_storm_without_a_platform_does_not_count_and_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: Arena) -> None:
        raise LocalFault("PostgreSQL ended with code 1")

    monkeypatch.setattr(Arena, "start", start)

    outcome = storm(NO_GROUND, tmp_path, PLAN, None)

    assert not outcome.counts
    assert outcome.unproven == ["the platform did not come up: PostgreSQL ended with code 1"]
    assert outcome.violations == []


def test_what_was_found_is_told_though_nothing_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def arena_on(*_: object, **__: object) -> Iterator[Any]:
        yield SimpleNamespace()

    monkeypatch.setattr(director, "arena_on", arena_on)
    monkeypatch.setattr(director, "Load", lambda *_: SimpleNamespace(commands=7))
    monkeypatch.setattr(director._Stage, "play", failing("the play broke off"))
    monkeypatch.setattr(director, "_settle", failing("nothing settled"))
    monkeypatch.setattr(director, "moved_in", failing("no database"))

    outcome = storm(NO_GROUND, tmp_path, PLAN, None)

    assert outcome.violations == [
        "the play came to an end: not so: ConnectionError: the play broke off",
        "it settled: not so: ConnectionError: nothing settled",
        "it could be looked at: not so: ConnectionError: no database",
    ]
    assert outcome.commands == 7
