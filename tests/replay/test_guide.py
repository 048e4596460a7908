"""`docs/replay.md` works as written, with nothing installed but what it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from coterie_replay.brokers.embedded import EmbeddedKafka
from coterie_replay.playing import Player
from coterie_replay.tape import TapeReader
from tests.replay.making import season

ROOT: Final = Path(__file__).resolve().parents[2]
GUIDE: Final = (ROOT / "docs" / "replay.md").read_text()
_BLOCK: Final = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLATFORM: Final = "127.0.0.1:38621"
_OURS: Final = {"KAFKA_BOOTSTRAP_SERVERS", "UV_PROJECT_ENVIRONMENT", "PYTHONPATH"}


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[str]:
    """Stands for the platform: its broker with events on it."""
    broker = EmbeddedKafka(tmp_path / "platform", partitions=4)
    broker.start()
    try:
        events = season(210)
        player = Player(broker.bootstrap)
        await player.check({event.topic for event in events})
        await player.play(events)
        yield broker.bootstrap
    finally:
        broker.stop()


def blocks() -> Iterator[tuple[str, str]]:
    """Kind and content of each block that somebody would type or save, in order."""
    yield from _BLOCK.findall(GUIDE)


def test_the_test_has_ten_lines() -> None:
    (test,) = (text for kind, text in blocks() if text.startswith("# test_thanks.py\n"))
    lines = [line for line in test.splitlines()[1:] if line]
    assert len(lines) <= 10


def test_the_guide_works_in_an_environment_of_its_own(platform: str, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    home.mkdir()
    uv = shutil.which("uv") or Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, home / "env"], check=True)
    passed = {name: value for name, value in os.environ.items() if name not in _OURS}
    environment = passed | {
        "PATH": f"{home / 'env' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(home / "env"),
        "COTERIE_TEST_KAFKA": "embedded",
    }

    def run(line: str) -> str:
        words = shlex.split(line.replace(_PLATFORM, platform))
        if words[0] == "pip":
            words = [str(uv), "pip", *(w.replace("./", f"{ROOT}/") for w in words[1:]), "--quiet"]
        done = subprocess.run(
            words, cwd=home, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    told: dict[str, str] = {}
    for kind, text in blocks():
        if kind == "python":
            name = text.removeprefix("# ").partition("\n")[0].partition(":")[0]
            (home / name).write_text(text)
            continue
        for line in text.splitlines():
            told[line] = run(line.removeprefix("$ "))

    installed = run(f"{uv} pip list")
    assert "coterie-replay" in installed
    assert not re.search(r"coterie-(chassis|local|membership|feedback)", installed)
    passed_tests = [
        re.findall(r"\d+ passed", out) for line, out in told.items() if "pytest " in line
    ]
    assert passed_tests == [["1 passed"], ["2 passed"], ["2 passed"]]
    assert len(list(TapeReader(home / "tapes" / "verified.jsonl"))) == 3
    assert len(list(TapeReader(home / "tapes" / "granted.jsonl"))) == 3
