"""One storm's platform: its own broker and PostgreSQL, and two instances of every service.

The first instance of a service reaches Kafka and PostgreSQL through proxies, one for each service,
the second directly: what a broken network does to one, the other must make good.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from coterie_local.platform import SERVICES
from coterie_local.postgres import EmbeddedPostgres
from coterie_replay.brokers.apache import ApacheKafka
from coterie_replay.brokers.processes import LocalFault, free_port
from tests.faults.storm.disk import mount_small_disk, unmount
from tests.faults.storm.forked import Forked
from tests.faults.storm.ground import Ground
from tests.faults.storm.journal import Journals
from tests.faults.storm.proxy import Proxies, Proxy, to_socket, to_tcp
from tests.faults.storm.witness import order_of

__all__ = ["INSTANCES", "Arena", "Instance", "NotUp", "arena_on"]

INSTANCES: Final = ("a", "b")
_READY_S: Final = 60.0
_GRACE_S: Final = 20.0
_LOOK_S: Final = 0.05


class NotUp(Exception):
    """A platform did not come up, so nothing was tried on it."""


class Instance:
    """One of a service's processes, in the place of which another may come."""

    def __init__(self, arena: Arena, service: str, letter: str) -> None:
        self.service = service
        self.name = f"{service}-{letter}"
        self.port = free_port()
        self.skew_s = 0.0
        self.through_proxies = letter == INSTANCES[0]
        self.journal = arena.folder / "journals" / f"{self.name}.jsonl"
        self._arena = arena
        self.process: Forked | None = None

    def start(self) -> None:
        """Start it without waiting for anything."""
        env = self._arena.environment(self.service, through_proxies=self.through_proxies)
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        self.process = self._arena.ground.nursery.start(
            self.name,
            [f"coterie_{self.service}", "serve"],
            env=env | {"COTERIE_HTTP_PORT": str(self.port)},
            log=self._arena.folder / "logs" / f"{self.name}.log",
            witness=self.journal,
            broken=self._arena.broken,
            skew_s=self.skew_s,
        )

    @property
    def running(self) -> Forked:
        assert self.process is not None, f"{self.name} was never started"
        return self.process

    def order_crash(self, point: str, nth: int) -> None:
        """Have it die at the `nth` time from now on that `point` is reached."""
        order_of(self.journal).write_text(f"{point} {nth}")
        self.running.send(signal.SIGUSR1)

    def asks(self, what: str, *, timeout_s: float = 3.0) -> tuple[int, str] | None:
        """Status and body of `/health/…`, or None where nobody answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", f"/health/{what}")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()


class Arena:
    """Has what the helpers of whole plays ask of a platform: `kafka`, `environment`, `run`."""

    def __init__(
        self, ground: Ground, folder: Path, broken: str | None, *, small_disk: bool = False
    ) -> None:
        self._small_disk = small_disk
        self.ground = ground
        self.folder = folder
        self.broken = broken
        self.tokens = ground.tokens
        self.journals = Journals(folder / "journals")
        self.proxies = Proxies()
        self.kafka_proxies: dict[str, Proxy] = {}
        self.postgres_proxies: dict[str, Proxy] = {}
        self.instances: dict[str, Instance] = {}
        self.postgres_folder = folder / "postgres"
        self.server = EmbeddedPostgres(self.postgres_folder)
        self._broker: ApacheKafka | None = None

    def start(self) -> None:
        """Bring everything up and wait until all instances are ready."""
        self.ground.copy(self.ground.kafka, self.folder / "kafka")
        if self._small_disk:
            mount_small_disk(self.postgres_folder / "cluster")
        self.ground.copy(self.ground.postgres, self.postgres_folder)
        self.server = EmbeddedPostgres(self.postgres_folder)
        self.server.start()
        self._urls = {service: self.server.create_database(service) for service in SERVICES}
        socket = Path(str(make_url(self.server.admin_url).query["host"])) / ".s.PGSQL.5432"
        ports = {service: free_port() for service in SERVICES}
        advertised = {s.upper(): f"127.0.0.1:{port}" for s, port in ports.items()}
        self._broker = ApacheKafka(self.folder / "kafka", advertised=advertised)
        self.broker.start()
        for service in SERVICES:
            host, _, port = self.broker.listeners[service.upper()].rpartition(":")
            there = to_tcp(host, int(port))
            self.kafka_proxies[service] = self.proxies.add(there, ports[service])
            self.postgres_proxies[service] = self.proxies.add(to_socket(socket))
        for service in SERVICES:
            for letter in INSTANCES:
                instance = Instance(self, service, letter)
                self.instances[instance.name] = instance
                instance.start()
        self.until_ready()

    def stop(self) -> None:
        """Stop all; what does not stop is killed."""
        for instance in self.instances.values():
            if instance.process is not None:
                instance.process.send(signal.SIGCONT)
                instance.process.send(signal.SIGKILL)
        if self._broker is not None:
            self._broker.kill()
        self.server.stop()
        self.proxies.close()
        if self._small_disk:
            unmount(self.postgres_folder / "cluster")

    def of(self, service: str) -> list[Instance]:
        """Both instances of a service."""
        return [self.instances[f"{service}-{letter}"] for letter in INSTANCES]

    def until_ready(self, within_s: float = _READY_S) -> None:
        """Wait until every instance lives and is ready; raises `AssertionError` that names some."""
        deadline = time.monotonic() + within_s
        waiting = list(self.instances.values())
        while waiting:
            waiting = [one for one in waiting if (one.asks("ready") or (0,))[0] != 200]
            running = {name: one.running for name, one in self.instances.items()}
            ended = {name: one.end_of_log() for name, one in running.items() if not one.alive}
            assert not ended, f"ended by themselves: {ended}"
            assert time.monotonic() < deadline, f"not ready: {[one.name for one in waiting]}"
            time.sleep(_LOOK_S)

    @property
    def broker(self) -> ApacheKafka:
        assert self._broker is not None, "there is no broker yet"
        return self._broker

    @property
    def kafka(self) -> str:
        return self.broker.bootstrap

    def environment(self, service: str, *, through_proxies: bool = False) -> dict[str, str]:
        """A service's settings with its addresses."""
        url, kafka = self._urls[service], self.kafka
        if through_proxies:
            proxied = make_url(url).set(
                host="127.0.0.1", port=self.postgres_proxies[service].port, query={}
            )
            url = proxied.render_as_string(hide_password=False)
            kafka = f"127.0.0.1:{self.kafka_proxies[service].port}"
        return self.ground.environment(
            service, COTERIE_DATABASE_URL=url, COTERIE_KAFKA_BOOTSTRAP=kafka
        )

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a service beside its instances."""
        log = self.folder / "logs" / f"{service}-{command[0]}.log"
        log.unlink(missing_ok=True)
        child = self.ground.nursery.start(
            f"{service} {command[0]}",
            [f"coterie_{service}", *command],
            env=self.environment(service),
            log=log,
            witness=self.folder / "journals" / f"{service}-commands.jsonl",
            broken=self.broken,
        )
        if not child.wait(_READY_S):
            child.kill()
        told = log.read_text()
        return subprocess.CompletedProcess(list(command), child.exit_code or 0, told, told)


@contextmanager
def arena_on(
    ground: Ground, folder: Path, broken: str | None = None, *, small_disk: bool = False
) -> Iterator[Arena]:
    """A platform that is up, and is gone afterwards; on a `small_disk` its cluster can fill it.

    Raises `NotUp`.
    """
    arena = Arena(ground, folder, broken, small_disk=small_disk)
    try:
        try:
            arena.start()
        except (AssertionError, LocalFault, OSError) as error:
            raise NotUp(str(error)) from error
        yield arena
    finally:
        arena.stop()
