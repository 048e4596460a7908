"""Service processes of a storm are forked, watched from inside and broken on demand."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.storm.broken import VARIANTS
from tests.faults.storm.forked import Forked, Nursery
from tests.faults.storm.journal import Journals

HARMLESS = "this"
"""A module that prints something and ends."""
WAITING = "http.server"


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


def begun(nursery: Nursery, folder: Path, *command: str, broken: str | None = None) -> Forked:
    journal = folder / "one.jsonl"
    return nursery.start(
        "one",
        command,
        env={"ONLY": "this"},
        log=folder / "one.log",
        witness=journal,
        broken=broken,
        skew_s=600.0,
    )


@pytest.mark.parametrize("broken", [None, *VARIANTS])
def test_a_process_runs_what_was_ordered_and_tells_of_itself(
    broken: str | None, nursery: Nursery, tmp_path: Path
) -> None:
    child = begun(nursery, tmp_path, HARMLESS, broken=broken)
    assert child.wait(20.0)
    assert child.exit_code == 0, child.log.read_text()
    assert "The Zen of Python" in child.log.read_text()
    told = [note.what for note in Journals(tmp_path).notes(of="one")]
    assert told == ["skewed", "born"]


def test_a_process_that_is_killed_is_known_to_have_ended(nursery: Nursery, tmp_path: Path) -> None:
    child = begun(nursery, tmp_path, WAITING, "--bind", "127.0.0.1", "0")
    assert child.alive
    child.kill()
    assert child.exit_code == -signal.SIGKILL


def test_what_cannot_be_run_ends_with_a_code_and_a_reason(nursery: Nursery, tmp_path: Path) -> None:
    child = begun(nursery, tmp_path, "no_such_module")
    assert child.wait(20.0)
    assert child.exit_code == 1
    assert "no_such_module" in child.log.read_text()
