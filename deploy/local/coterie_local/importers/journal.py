"""What became of each step, one line of JSON each, so that an interrupted import goes on.

The journal only saves time: a step that was sent and is not in it is sent again under the same
Idempotency-Key. A line that a crash cut short is dropped. A journal of another plan or another
community is set aside, never mixed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Self

from coterie_local.importers.plan import Fate, Plan


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one step; `facts` are what later steps need to know of the answer."""

    fate: Fate
    reason: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def digest_of(plan: Plan) -> str:
    """A digest of all that makes a plan's steps the same steps again."""
    digest = sha256(repr(plan.community).encode())
    for step in plan.steps:
        digest.update(f"{step.key} {step.at.isoformat()} {step.actor} {step.target}\n".encode())
    return digest.hexdigest()


class Journal:
    """Outcomes by step key. Use as a context manager; `path` None keeps nothing.

    `anew` says that the community has not lived yet: a journal of a platform that was wiped.
    """

    def __init__(self, path: Path | None, *, plan: str, community: str, anew: bool = False) -> None:
        self._anew = anew
        self._path = path
        self._head = {"plan": plan, "community": community}
        self._file: IO[str] | None = None
        self._outcomes: dict[str, Outcome] = {}

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            whole = self._load(self._path)
            self._file = self._path.open("a" if whole else "w", encoding="utf-8")
            if whole:
                self._file.truncate(whole)
            else:
                self._write(self._head)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return len(self._outcomes)

    def get(self, key: str) -> Outcome | None:
        return self._outcomes.get(key)

    def keep(self, key: str, outcome: Outcome) -> None:
        """Record an outcome; it is on its way to the file when this returns."""
        self._outcomes[key] = outcome
        line: dict[str, Any] = {"step": key, "fate": outcome.fate.value}
        if outcome.reason:
            line["reason"] = outcome.reason
        if outcome.facts:
            line["facts"] = dict(outcome.facts)
        self._write(line)

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._file.flush()

    def _load(self, path: Path) -> int:
        """Read what is whole; the number of bytes that it takes, 0 for nothing of ours."""
        if not path.exists():
            return 0
        lines = path.read_bytes().splitlines(keepends=True)
        if self._anew or not lines or _parsed(lines[0]) != self._head:
            path.replace(path.with_name(f"{path.name}.old"))
            return 0
        whole = len(lines[0])
        for line in lines[1:]:
            entry = _parsed(line)
            if entry is None:
                break
            outcome = Outcome(Fate(entry["fate"]), entry.get("reason", ""), entry.get("facts", {}))
            self._outcomes[entry["step"]] = outcome
            whole += len(line)
        return whole


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
