"""Somebody with a shell in a folder of their own: runs commands, and finds what they leave."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil

__all__ = ["COTERIE", "Newcomer", "until"]

COTERIE: Final = Path(sys.executable).parent / "coterie"
_PATIENCE_S: Final = 120.0


class Newcomer:
    """Runs commands in a folder of their own and finds every process that they leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = str(uuid4())
        self._environment = {**os.environ, "COTERIE_FLOW_TEST": self._mark, "COLUMNS": "100"}

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment | environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def start(self, *command: str | Path, output: Path) -> subprocess.Popen[bytes]:
        with output.open("wb") as file:
            return subprocess.Popen(
                command, cwd=self.folder, env=self._environment, stdout=file, stderr=file
            )

    def left(self) -> list[psutil.Process]:
        """A service inherits no mark, but is told of files in this folder."""
        marks = (self._mark, str(self.folder))
        return [
            process
            for process in psutil.process_iter(["environ"])
            if any(
                mark in told for told in (process.info["environ"] or {}).values() for mark in marks
            )
            and process.pid != os.getpid()
        ]


def until(output: Path, told: str, up: subprocess.Popen[bytes]) -> str:
    """What was printed, once `told` is in it."""
    deadline = time.monotonic() + _PATIENCE_S
    while told not in (text := output.read_text()):
        assert up.poll() is None, text
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    return text
