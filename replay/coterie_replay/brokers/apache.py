"""Apache Kafka on this machine without Docker: real rebalances, real offsets, a log on disk.

Maven fetches the jars once per content of `pom.xml`, into the Python environment that this runs
in, or where `COTERIE_CACHE` says. A data folder keeps its cluster id, so what was acknowledged is
there after a stop, a restart or a kill.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.processes import (
    Child,
    LocalFault,
    free_port,
    port_is_free,
    start,
    wait_until,
)

__all__ = ["ApacheKafka", "cluster_id_of", "fetch", "missing_parts"]

HOME: Final = Path(__file__).resolve().parent / "apache_kafka"
CACHE: Final = Path(os.environ.get("COTERIE_CACHE") or Path(sys.prefix) / "share" / "coterie")
LIBS: Final = CACHE / f"kafka-{hashlib.sha256((HOME / 'pom.xml').read_bytes()).hexdigest()[:12]}"
_MAVEN_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_READY_S: Final = 60.0
_STOP_S: Final = 30.0
_VERSION: Final = re.compile(r"Kafka version: (\S+)")


class ApacheKafka:
    """One node, broker and controller, over a data folder.

    `advertised` maps the name of a further client listener to the `host:port` that it advertises,
    for instance a proxy's in front of it; `listeners` then has the address it listens on. All
    methods block.
    """

    def __init__(self, data: Path, *, advertised: dict[str, str] | None = None) -> None:
        self.data = data
        self._advertised = advertised or {}
        self._child: Child | None = None
        self._ports = self._choose_ports()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._ports['CLIENT']}"

    @property
    def listeners(self) -> dict[str, str]:
        """Where each further client listener accepts connections, by its name."""
        return {name: f"127.0.0.1:{self._ports[name]}" for name in self._advertised}

    @property
    def log(self) -> Path:
        return self.data / "broker.log"

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def cluster_id(self) -> str:
        """The id as the running broker reports it."""
        return cluster_id_of(self.bootstrap)

    @property
    def version(self) -> str:
        """The version as the broker reports it when it starts."""
        found = _VERSION.findall(self.log.read_text(errors="replace"))
        return str(found[-1]) if found else "unknown"

    def start(self) -> None:
        """Fetch what is missing, format a new folder, start, return when clients are served.

        Raises `LocalFault` without Java or Maven, or when the broker does not come up.
        """
        fetch()
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        if not (self.data / "log" / "meta.properties").exists():
            self._format(properties)
        self._child = start(
            "Apache Kafka",
            [*_java("-Xms256m", "-Xmx512m"), "kafka.Kafka", str(properties)],
            log=self.log,
            cwd=self.data,
        )
        try:
            wait_until(self._serves, child=self._child, timeout_s=_READY_S, what="it was ready")
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop in order; does nothing when it is not running."""
        if self._child is not None:
            self._child.stop(_STOP_S)
            self._child = None

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def restart(self) -> None:
        """Stop if it runs, start again on the same ports with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nobody answers."""
        self._running().send(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._running().send(signal.SIGCONT)

    def _running(self) -> Child:
        if self._child is None:
            raise LocalFault("Apache Kafka is not running: start it first")
        return self._child

    def _choose_ports(self) -> dict[str, int]:
        """The ports of the last run where they are free, because clients may remember them."""
        path = self.data / "ports.json"
        ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        for name in ("CLIENT", "CONTROLLER", *self._advertised):
            if name not in ports or not port_is_free(ports[name]):
                ports[name] = free_port()
        return ports

    def _write_properties(self) -> Path:
        names = ("CLIENT", *self._advertised)
        bound = {name: f"127.0.0.1:{self._ports[name]}" for name in (*names, "CONTROLLER")}
        seen = bound | self._advertised
        properties = {
            "listeners": ",".join(f"{name}://{address}" for name, address in bound.items()),
            "advertised.listeners": ",".join(f"{name}://{seen[name]}" for name in seen),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in bound),
            "controller.quorum.bootstrap.servers": bound["CONTROLLER"],
            "log.dirs": str(self.data / "log"),
        }
        text = (HOME / "server.properties").read_text()
        path = self.data / "server.properties"
        path.write_text(text + "".join(f"{key}={value}\n" for key, value in properties.items()))
        (self.data / "ports.json").write_text(json.dumps(self._ports))
        return path

    def _format(self, properties: Path) -> None:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        outcome = subprocess.run(
            [
                *_java("-Xmx256m"),
                "kafka.tools.StorageTool",
                "format",
                "--standalone",
                "--ignore-formatted",
                f"--cluster-id={cluster_id}",
                f"--config={properties}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            said = (outcome.stderr or outcome.stdout).strip().splitlines()
            raise LocalFault(f"cannot format {self.data} for Apache Kafka: {said[-1:]}")

    def _serves(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._ports["CLIENT"]), timeout=1.0):
                pass
            return bool(cluster_id_of(self.bootstrap))
        except (OSError, KafkaError):
            return False


def cluster_id_of(bootstrap: str) -> str:
    """The cluster id that the broker at `bootstrap` reports; raises `KafkaError` without one."""

    async def ask() -> str:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
        await admin.start()
        try:
            return str((await admin.describe_cluster())["cluster_id"])
        finally:
            await admin.close()

    return block_on(ask())


def missing_parts() -> str | None:
    """What keeps Apache Kafka from running here and what to do, or None."""
    if shutil.which("java") is None:
        return (
            "Apache Kafka needs Java 17 or later and there is no `java`: install it "
            "(Debian: `apt-get install default-jre-headless`) or take another --kafka"
        )
    if not _fetched() and shutil.which("mvn") is None:
        return (
            "Apache Kafka's jars are not here yet and there is no `mvn` to fetch them: install "
            "Maven (Debian: `apt-get install maven`) or take another --kafka"
        )
    return None


def fetch() -> None:
    """Bring the jars of `pom.xml` into `LIBS`, once per content of that file.

    Processes that fetch at the same time wait for each other. Raises `LocalFault`.
    """
    if (missing := missing_parts()) is not None:
        raise LocalFault(missing)
    with _one_at_a_time():
        if _fetched():
            return
        partial = LIBS.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        outcome = subprocess.run(
            [
                *(
                    "mvn",
                    "-q",
                    "-B",
                    "-f",
                    str(HOME / "pom.xml"),
                    f"{_MAVEN_PLUGIN}:copy-dependencies",
                ),
                *("-DincludeScope=runtime", f"-DoutputDirectory={partial}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            said = [line for line in outcome.stdout.splitlines() if line.startswith("[ERROR]")]
            raise LocalFault(f"Maven could not fetch Apache Kafka: {' '.join(said[:1])}")
        partial.rename(LIBS)


def _java(*options: str) -> list[str]:
    quiet = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-XX:+UseSerialGC")
    return ["java", *options, *quiet, "-cp", f"{LIBS}{os.sep}*"]


def _fetched() -> bool:
    return LIBS.is_dir()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    lock_file = LIBS.with_suffix(".lock")
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_file.open("w")
    except OSError as error:
        raise LocalFault(
            f"Apache Kafka cannot be kept in {CACHE}: {error.strerror}; name a folder that can be "
            "written in COTERIE_CACHE"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
