"""One data folder, one platform: a lock that ends with its holder, and where things lie in it.

The addresses of a running platform stand in `platform.json` for the commands that join it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from coterie_local.secrets_store import Secrets, write_private
from coterie_replay.brokers.processes import LocalFault, free_port, port_is_free

__all__ = ["DataFolder", "Running", "running_in"]

_SETTINGS: Final = "COTERIE_"


@dataclass(frozen=True)
class Running:
    """Where a running platform is reached; `services` maps a service's name to its base URL.

    `forgets` is true of a broker that loses its log when it stops.
    """

    pid: int
    kafka: str
    forgets: bool
    services: dict[str, str]


class DataFolder:
    """The folder that a platform keeps everything in."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.secrets = Secrets(self.path / "secrets.json")
        self._lock: IO[str] | None = None

    @property
    def kafka(self) -> Path:
        return self.path / "kafka"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def tokens(self) -> Path:
        return self.path / "tokens"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def take(self) -> None:
        """Make the folder ours until `release` or our end; raises `LocalFault` if it is taken."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a+")
        except OSError as error:
            raise LocalFault(
                f"the data folder {self.path} cannot be used ({error.strerror}): "
                "pass another --data"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LocalFault(
                f"the data folder {self.path} is in use by process {lock.read().strip()}: "
                "stop that platform, or pass another --data"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        """Give the folder back; does nothing when it is not ours."""
        if self._lock is not None:
            (self.path / "platform.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def announce(self, running: Running) -> None:
        """Tell other commands where this platform is reached."""
        self.remember("platform", asdict(running))

    def keep_environment(self, service: str, environment: Mapping[str, str]) -> None:
        """Keep what a service runs with, for commands beside it; readable by the owner alone."""
        settings = {k: v for k, v in environment.items() if k.startswith(_SETTINGS)}
        write_private(self._environment(service), json.dumps(settings, indent=1))

    def environment(self, service: str) -> dict[str, str]:
        """The whole environment for a command beside a service that runs on this folder."""
        kept: dict[str, str] = json.loads(self._environment(service).read_text())
        return {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)} | kept

    def _environment(self, service: str) -> Path:
        return self.path / "environments" / f"{service}.json"

    def ports(self, names: Sequence[str], base: int | None) -> dict[str, int]:
        """A port for each name: from `base` on, else last time's where free, else a free one.

        Raises `LocalFault` when a port that was asked for is in use.
        """
        if base is not None:
            ports = {name: base + number for number, name in enumerate(names)}
            for name, port in ports.items():
                if not port_is_free(port):
                    raise LocalFault(
                        f"port {port} is in use and {name} needs it: stop what listens there, "
                        "or pass another --port-base"
                    )
            return ports
        known = self.recall("ports")
        ports = {}
        for name in names:
            last = known.get(name)
            usable = isinstance(last, int) and port_is_free(last)
            ports[name] = last if isinstance(last, int) and usable else free_port()
        self.remember("ports", ports)
        return ports

    def remember(self, name: str, values: Mapping[str, object]) -> None:
        """Keep `values` under `name` for the next start."""
        partial = self.path / f"{name}.json.new"
        partial.write_text(json.dumps(values, indent=1))
        partial.rename(self.path / f"{name}.json")

    def recall(self, name: str) -> dict[str, object]:
        """What was kept under `name`, or nothing."""
        with suppress(OSError, json.JSONDecodeError):
            known = json.loads((self.path / f"{name}.json").read_text())
            if isinstance(known, dict):
                return known
        return {}


def running_in(path: Path) -> Running | None:
    """The platform that runs on this data folder now, if one does."""
    try:
        told = Running(**json.loads((path / "platform.json").read_text()))
        with (path / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return told
    except (OSError, ValueError, TypeError):
        return None
    return None
