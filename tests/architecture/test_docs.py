"""What the documents name exists: files, make targets, commands and their options."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("chassis", "contracts", "deploy", "docs", "examples", "replay", "services")
DOCUMENTS: Final = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(p for f in FOLDERS for p in (ROOT / f).rglob("*.md"))]
    if "node_modules" not in path.parts
)
_LINK: Final = re.compile(r"\]\((?!https?:|#)([^)#]+)")
_PATH: Final = re.compile(
    r"`((?:chassis|contracts|deploy|docs|examples|services|tests)/[\w./-]*[\w/])`"
)
_BESIDE: Final = re.compile(r"^coterie service ([a-z]+) ", re.MULTILINE)
_COMMAND: Final = re.compile(
    r"^(?:\$ )?(coterie(?:-[a-z]+)?) ([a-z]+)((?: [a-z]+)?)(.*)$", re.MULTILINE
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    missing = [link for link in _LINK.findall(text) if not (document.parent / link).exists()]
    missing += [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    assert missing == []


def test_named_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?:`|\$ )make ([a-z]+)", document.read_text())
    }
    assert {"demo", "up", "test"} <= named
    assert [t for t in sorted(named) if not re.search(rf"^{t}:", makefile, re.MULTILINE)] == []


def commands() -> list[tuple[str, ...]]:
    found = set()
    for document in DOCUMENTS:
        text = _BESIDE.sub(r"coterie-\1 ", document.read_text())
        for program, verb, sub, rest in _COMMAND.findall(text):
            options = tuple(sorted(set(re.findall(r"--[a-z-]+", rest))))
            words = (verb, sub.strip()) if sub.strip() else (verb,)
            found.add((program, *words, *options))
    return sorted(found)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_named_commands_and_options_exist(command: tuple[str, ...]) -> None:
    program, *rest = command
    script = Path(sys.executable).parent / program
    words = [word for word in rest if not word.startswith("--")]
    options = [word for word in rest if word.startswith("--")]

    shown = subprocess.run(
        [script, *words, "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )

    assert shown.returncode == 0, shown.stderr
    assert [option for option in options if option not in shown.stdout] == []
