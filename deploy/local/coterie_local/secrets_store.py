"""Secrets of a data folder: made at random once, readable by their owner alone."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from coterie_replay.brokers.processes import LocalFault

__all__ = ["Secrets", "write_private"]


class Secrets:
    """Named secrets in one file of mode 0600. Every method raises `LocalFault` on a broken file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def has(self, name: str) -> bool:
        return name in self._read()

    def get(self, name: str) -> str:
        """The secret of that name, made (256 bits, URL-safe) when there is none."""
        if (known := self._read().get(name)) is not None:
            return known
        made = secrets.token_urlsafe(32)
        self.keep(name, made)
        return made

    def keep(self, name: str, value: str) -> None:
        """Store `value` under `name`, durably before this returns."""
        write_private(self._path, json.dumps(self._read() | {name: value}, indent=1))

    def _read(self) -> dict[str, str]:
        if not self._path.exists():
            return {}
        try:
            known: dict[str, str] = json.loads(self._path.read_text())
        except ValueError:
            raise LocalFault(
                f"{self._path} is broken, and what it opens stays closed without it: put a copy "
                "back, or pass another --data"
            ) from None
        return known


def write_private(path: Path, text: str) -> None:
    """Replace `path` by a file of mode 0600 that holds `text`; never a half-written one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
