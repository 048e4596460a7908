"""The runner's side of the nursery: start, signal and outlive forked service processes."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["ROOT", "Forked", "Nursery"]

ROOT: Final = Path(__file__).resolve().parents[3]
_PR_SET_PDEATHSIG: Final = 1
_READY_S: Final = 120.0
_REAP_S: Final = 10.0
_TOLD: Final = 2_000
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


class Forked:
    """A child of the nursery, with its name and its log."""

    def __init__(self, name: str, pid: int, log: Path, nursery: Nursery) -> None:
        self.name, self.pid, self.log = name, pid, log
        self._nursery = nursery

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self._nursery.code_of(self.pid)

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    def end_of_log(self) -> str:
        """The end of what it logged, for an error."""
        return self.log.read_text(errors="replace")[-_TOLD:] if self.log.exists() else "no log"

    def send(self, number: int) -> None:
        """Send a signal; does nothing to a process that has ended."""
        if self.alive:
            os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> bool:
        """Whether the process has ended within `timeout_s`."""
        return self._nursery.wait_for(self.pid, timeout_s)

    def kill(self) -> None:
        """End it at once (SIGKILL). Blocks."""
        self.send(signal.SIGKILL)
        self.wait(_REAP_S)


class Nursery:
    """Starts in `with`, ends at its end with all of its children."""

    def __enter__(self) -> Self:
        parent = os.getpid()

        def die_with_parent() -> None:
            if _LIBC is not None:
                _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != parent:
                    os._exit(1)

        self._codes: dict[int, int] = {}
        self._started: dict[int, int] = {}
        self._changed = threading.Condition()
        self._ids = itertools.count()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.storm.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - calls prctl and getppid, takes no lock
        )
        self._ready = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready, _READY_S):
                raise RuntimeError("the nursery did not come up")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_REAP_S)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        witness: Path,
        broken: str | None = None,
        skew_s: float = 0.0,
    ) -> Forked:
        """Fork `command`, a package and its arguments."""
        id_ = next(self._ids)
        log.parent.mkdir(parents=True, exist_ok=True)
        order = {
            "id": id_,
            "command": list(command),
            "env": dict(env),
            "log": str(log),
            "witness": str(witness),
            "broken": broken,
            "skew_s": skew_s,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        with self._changed:
            if not self._changed.wait_for(lambda: id_ in self._started, _REAP_S):
                raise RuntimeError(f"the nursery did not start {name}")
            return Forked(name, self._started[id_], log, self)

    def code_of(self, pid: int) -> int | None:
        with self._changed:
            return self._codes.get(pid)

    def wait_for(self, pid: int, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: pid in self._codes, timeout_s)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told: dict[str, Any] = json.loads(line)
            with self._changed:
                self._ready |= told.get("ready", False)
                if "started" in told:
                    self._started[told["started"]] = told["pid"]
                    self._codes.pop(told["pid"], None)
                if "ended" in told:
                    self._codes[told["ended"]] = told["code"]
                self._changed.notify_all()
