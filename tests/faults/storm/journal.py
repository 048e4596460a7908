"""Reads what instances told of themselves (see `witness`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Journals", "Note"]


@dataclass(frozen=True, slots=True)
class Note:
    """One happening in an instance; `at` is the machine's wall clock in seconds."""

    instance: str
    at: float
    pid: int
    what: str
    facts: Mapping[str, Any]


class Journals:
    """All journals of a storm, read anew at each question."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def notes(self, what: str | None = None, *, of: str = "", since: float = 0.0) -> Iterator[Note]:
        """In each instance's order; `of` is a service or an instance."""
        for path in sorted(self._folder.glob(f"{of}*.jsonl")):
            for line in path.read_bytes().splitlines():
                note = _note(path.stem, line)
                if note is not None and what in {None, note.what} and note.at >= since:
                    yield note

    def any(self, what: str, *, of: str = "", since: float = 0.0) -> bool:
        """Whether there is such a note."""
        return next(self.notes(what, of=of, since=since), None) is not None


def _note(instance: str, line: bytes) -> Note | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None  # the last line of a process that was killed while it wrote
    facts = {name: value for name, value in told.items() if name not in {"at", "pid", "what"}}
    return Note(instance, told["at"], told["pid"], told["what"], facts)
