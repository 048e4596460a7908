"""What the command line refuses: one line that says what to do, and nothing started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COTERIE = Path(sys.executable).parent / "coterie"
NOBODY = "00000000-0000-0000-0000-000000000000"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COTERIE, *arguments],
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("audit --kafka 127.0.0.1:1", "no Kafka answers at 127.0.0.1:1"),
        ("audit --kafka nonsense", "--kafka 'nonsense' is not HOST:PORT"),
        ("audit --kafka host:99999999", "--kafka 'host:99999999' is not HOST:PORT"),
        ("audit --data nowhere", "no platform runs on nowhere: start one with `coterie up`"),
        (f"story {NOBODY} --kafka 127.0.0.1:1", "no Kafka answers at 127.0.0.1:1"),
        (f"why {NOBODY} --data nowhere", "no platform runs on nowhere"),
        ("service recognition redrive list --data nowhere", "no platform runs on nowhere"),
        ("up --kafka nonsense", "--kafka 'nonsense' is none of: embedded, apache, HOST:PORT"),
        ("up --kafka 127.0.0.1:1", "no Kafka answers at 127.0.0.1:1 (KafkaConnectionError)"),
        ("up --data /proc/none", "the data folder /proc/none cannot be used"),
        ("demo --report /nowhere/report.json", "--report /nowhere/report.json cannot be written"),
        ("demo --report .", "--report . cannot be written"),
        ("demo --members 15", "the play needs 16 people at least"),
        ("import polis /nowhere", "/nowhere is not a folder"),
        ("import polis .", "comments.csv, votes.csv missing in ."),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    command: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*command.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("coterie: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("up --bogus", "No such option: --bogus"),
        ("up --port-base 65533", "less than or equal to 65532"),
        ("up --port-base 0", "greater than or equal to 1"),
        ("demo --members many", "should be a valid integer"),
        ("story not-an-id", "should be a valid UUID"),
        ("import", "Play a real community"),
        ("sing", "No such command 'sing'"),
    ],
)
def test_what_was_not_understood_is_named_with_the_way_to_help(command: str, said: str) -> None:
    done = run(*command.split())
    assert done.returncode == 2
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
