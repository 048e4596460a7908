"""Readers without Python: what stands in `contracts/interop`, installed once for a run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import want

INTEROP: Final = Path(__file__).resolve().parents[2] / "contracts" / "interop"
_OLDEST: Final = (20, 19)
_PATH: Final = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
_MARK: Final = INTEROP / "node_modules" / ".package-lock.json"

Node = Callable[..., "subprocess.CompletedProcess[str]"]


def install_interop() -> None:
    """Install exactly what the lock file names; skips the test without Node.js."""
    if _which("node") is None or _which("npm") is None:
        want("Node.js with npm: `make test` installs both into .venv")
    told = _run("node", "--version").stdout
    found = tuple(int(part) for part in re.findall(r"\d+", told)[:2])
    if found < _OLDEST:
        want(f"Node.js 20.19 or later: this is {told.strip()}")
    lock = INTEROP / "package-lock.json"
    if _MARK.is_file() and _MARK.stat().st_mtime >= lock.stat().st_mtime:
        return
    done = _run("npm", "ci", "--no-progress", "--prefer-offline")
    assert done.returncode == 0, done.stderr


def run_node(
    script: str, *arguments: str, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """A script of `contracts/interop`, run to its end."""
    return _run("node", script, *arguments, timeout=timeout)


def _which(program: str) -> str | None:
    return shutil.which(program, path=_PATH)


def _run(
    program: str, *arguments: str, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_which(program) or program, *arguments],
        cwd=INTEROP,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=os.environ | {"NO_COLOR": "1", "PATH": _PATH},
    )


@pytest.fixture(scope="session")
def node() -> Node:
    """Runs a script of `contracts/interop`; skips the test without Node.js."""
    install_interop()
    return run_node
