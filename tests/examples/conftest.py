"""What another team would have: a built wheel in an empty environment, and a running platform."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from coterie_local.platform import Platform
from coterie_replay.brokers.apache import missing_parts
from tests.conftest import want
from tests.flows.seasons import Played, played_once

ROOT: Final = Path(__file__).resolve().parents[2]
_UV: Final = shutil.which("uv") or str(Path(sys.executable).parent / "uv")


@pytest.fixture(scope="session")
def insider_stats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's command, in an environment with the contracts' wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("another-team")
    _uv("build", "--quiet", "--wheel", str(ROOT / "contracts"), "--out-dir", str(folder / "dist"))
    _uv("venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    (wheel,) = (folder / "dist").glob("coterie_contracts-*.whl")
    example = shutil.copytree(ROOT / "examples" / "insider-stats", folder / "insider-stats")
    python = folder / "venv" / "bin" / "python"
    _uv("pip", "install", "--quiet", "--python", str(python), str(wheel), str(example))
    return folder / "venv" / "bin" / "insider-stats"


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [_UV, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The undisturbed season of this run, on Apache Kafka where it is to be had."""
    return played_once(tmp_path_factory)


@pytest.fixture(scope="module")
def running(season: Played) -> Iterator[Platform]:
    """The season's platform on Apache Kafka, up again with everything that happened in it."""
    if (missing := missing_parts()) is not None:
        want(f"Apache Kafka: {missing}")
    with Platform(season.options) as platform:
        yield platform
