"""Faults of what services stand on: the broker, PostgreSQL, its disk, and the network to both."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.processes import Child
from tests.faults.storm.arena import Arena
from tests.faults.storm.deed import Deed
from tests.faults.storm.proxy import Network

__all__ = [
    "BreakNetwork",
    "FullDisk",
    "KillBroker",
    "KillPostgres",
    "Outage",
    "StopBroker",
    "StopPostgres",
]

_NEVER_S: Final = 8.0
_WRITES_AGAIN_S: Final = 60.0
_LOOK_S: Final = 0.05


class Outage(Deed):
    """Broker or database are gone for everybody: readiness must say so, and liveness not fail."""

    part = ""

    def unproven(self) -> str | None:
        if not any(self.part in said for said in self.ready_said):
            return f"no instance said that it waits for {self.part}"
        return None


class KillBroker(Outage):
    part = "kafka"

    def begin(self) -> None:
        self.arena.broker.kill()

    def over(self, *, played: bool) -> bool:
        seen = any(self.part in said for said in self.ready_said)
        return super().over(played=played) and (seen or time.monotonic() > self._until + _NEVER_S)

    def end(self) -> None:
        self.arena.broker.start()


class StopBroker(KillBroker):
    def begin(self) -> None:
        self.arena.broker.pause()

    def end(self) -> None:
        self.arena.broker.resume()


class KillPostgres(Outage):
    part = "database"

    def begin(self) -> None:
        _postmaster(self.arena).kill()

    def over(self, *, played: bool) -> bool:
        seen = any(self.part in said for said in self.ready_said)
        return super().over(played=played) and (seen or time.monotonic() > self._until + _NEVER_S)

    def end(self) -> None:
        self.arena.server.start()


class StopPostgres(KillPostgres):
    def begin(self) -> None:
        postmaster = psutil.Process(_postmaster(self.arena).pid)
        self.stopped = [postmaster, *postmaster.children(recursive=True)]
        for process in self.stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def end(self) -> None:
        for process in reversed(self.stopped):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


class FullDisk(Deed):
    """The file system of the whole cluster is full; PostgreSQL may end by itself at that."""

    @property
    def balloon(self) -> Path:
        return self.arena.postgres_folder / "cluster" / "balloon"

    def begin(self) -> None:
        self.said_before = self._said()
        with contextlib.suppress(OSError), self.balloon.open("wb", buffering=0) as balloon:
            while balloon.write(bytes(65_536)):
                pass

    def over(self, *, played: bool) -> bool:
        shown = self._said() > self.said_before
        late = time.monotonic() > self._until + _NEVER_S
        return super().over(played=played) and (shown or late)

    def end(self) -> None:
        """Give it room, and wait until PostgreSQL writes; it may end after the room is there."""
        self.balloon.unlink()
        deadline = time.monotonic() + _WRITES_AGAIN_S
        while not self._writes():
            assert time.monotonic() < deadline, "PostgreSQL has room and does not write"
            if not self.arena.server.alive:
                self.arena.server.stop()
                self.arena.server.start()
            time.sleep(_LOOK_S)

    def unproven(self) -> str | None:
        return None if self._said() > self.said_before else "PostgreSQL never met the full disk"

    def _writes(self) -> bool:
        try:
            block_on(_checkpoint(self.arena.server.admin_url))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def _said(self) -> int:
        log = self.arena.server.data / "server.log"
        return log.read_text(errors="replace").count("No space left on device")


class BreakNetwork(Deed):
    def begin(self) -> None:
        part, _, network = self.fault.kind.partition(":")
        a = self.arena
        self.proxy = (a.kafka_proxies if part == "kafka" else a.postgres_proxies)[self.fault.target]
        self.network = Network(network)
        self.met_before = self.proxy.met[self.network]
        self.arena.proxies.become(self.proxy, self.network)

    def end(self) -> None:
        self.arena.proxies.become(self.proxy, Network.WELL)

    def unproven(self) -> str | None:
        met = self.proxy.met[self.network] > self.met_before
        return None if met else f"nothing of {self.fault.target} met the network while it was bad"


async def _checkpoint(admin_url: str) -> None:
    connection = await asyncpg.connect(admin_url, timeout=5)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _postmaster(arena: Arena) -> Child:
    child = arena.server._child
    assert child is not None, "PostgreSQL is not running"
    return child
