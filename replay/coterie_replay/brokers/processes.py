"""A child process never outlives the process that started it.

An orderly stop is TERM, a grace period, KILL. Where the parent is killed without a chance to do
that, Linux signals the child itself (`PR_SET_PDEATHSIG`). The kernel ties that signal to the
thread that started the child: start children from a thread that lives as long as they should.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["Child", "LocalFault", "free_port", "port_is_free", "start", "wait_until"]

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_POLL_S: Final = 0.05
_PORTS: Final = range(15_000, 32_000)  # Linux hands out those above, and others higher ones


def _in_any_order() -> Iterator[int]:
    while True:
        yield from random.SystemRandom().sample(_PORTS, len(_PORTS))


_untried: Final = _in_any_order()


class LocalFault(Exception):
    """What keeps the platform from running here, in one line, with what to do about it."""


class Child:
    """A started process, its name for people and the file that its output goes to."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    def send(self, number: int) -> None:
        """Send a signal; does nothing to a process that has ended."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Whether the process has ended within `timeout_s`."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, grace_s: float, *, with_signal: int = signal.SIGTERM) -> bool:
        """Ask it to end, kill it after `grace_s`; whether it ended by itself. Blocks."""
        self.send(with_signal)
        if self.wait(grace_s):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it at once (SIGKILL) and reap it. Blocks."""
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """The last line of its log that says something, for a one-line error."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    on_parent_death: int = signal.SIGKILL,
) -> Child:
    """Start `command` in a session of its own, so that a terminal's Ctrl-C reaches only us.

    Its output is appended to `log`. `env` replaces the environment. Raises `OSError` when the
    program is not there.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    parent = os.getpid()

    def die_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, on_parent_death)
            if os.getppid() != parent:
                os._exit(1)

    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            user=user,
            group=None if user is None else _group_of(user),
            extra_groups=None if user is None else [],
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - calls prctl and getppid, takes no lock
        )
    return Child(name, process, log)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now, and another at each call.

    Outgoing connections get none of these. Those that systems hand out by themselves may be taken
    again before a server listens there.
    """
    return next(port for port in _untried if port_is_free(port))


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until(condition: Callable[[], bool], *, child: Child, timeout_s: float, what: str) -> None:
    """Block until `condition` holds; raises `LocalFault` when `child` ends or time runs out."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if not child.alive:
            raise LocalFault(
                f"{child.name} ended with code {child.exit_code} before {what}: "
                f"{child.last_words()} (its log: {child.log})"
            )
        if time.monotonic() > deadline:
            raise LocalFault(
                f"{child.name}: {what} did not happen within {timeout_s:.0f} s (its log: "
                f"{child.log})"
            )
        time.sleep(_POLL_S)


def _group_of(user: str) -> int:
    import pwd  # noqa: PLC0415 - absent on Windows, where no other user is needed

    return pwd.getpwnam(user).pw_gid
