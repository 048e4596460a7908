"""What runs before a commit is what `make check` runs, by the project's own tools."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CONFIG: Final = ROOT / ".pre-commit-config.yaml"


def hooks() -> list[dict[str, Any]]:
    repositories = yaml.safe_load(CONFIG.read_text())["repos"]
    assert {repository["repo"] for repository in repositories} == {"local"}
    return [hook for repository in repositories for hook in repository["hooks"]]


def checks() -> list[str]:
    """The commands of `make check`, without the folders that they are given."""
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    commands = recipe[1].replace("$(BIN)/", ".venv/bin/").replace("$(UV)", "uv")
    return [line.strip().removesuffix(" .") for line in commands.splitlines()]


def test_hooks_download_nothing() -> None:
    assert {hook["language"] for hook in hooks()} == {"system"}


def test_every_check_is_a_hook_and_every_hook_a_check() -> None:
    entries = [hook["entry"].replace(" --force-exclude", "") for hook in hooks()]
    assert len(entries) == len(checks())
    assert [check for check in checks() if not any(check in entry for entry in entries)] == []


def test_pre_commit_understands_the_file() -> None:
    program = Path(sys.executable).parent / "pre-commit"
    done = subprocess.run(
        [program, "validate-config", CONFIG], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
