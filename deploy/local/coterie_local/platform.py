"""The whole platform as processes of this machine: broker, PostgreSQL, schemas, four services.

It comes up in that order, each part ready before the next needs it, and goes down in reverse.
Whatever ends this process, no part of it stays behind, and the next start finds its data.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from coterie_local.broker_use import used_by_a_platform
from coterie_local.brokers import broker_of
from coterie_local.data_folder import DataFolder, Running
from coterie_local.postgres import EmbeddedPostgres, create_database_of
from coterie_local.tokens import AUDIENCE, ISSUER, TokenIssuer
from coterie_replay.brokers.apache import cluster_id_of
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.processes import Child, LocalFault, start, wait_until

__all__ = ["SERVICES", "Options", "Platform"]

SERVICES: Final = ("membership", "feedback", "recognition", "notifications")
HOST: Final = "127.0.0.1"
_READY_S: Final = 90.0
_GRACE_S: Final = 20.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run on. `settings` are further environment variables of every service.

    `kafka` is `embedded`, `apache` or `HOST:PORT`; `postgres` is `embedded` or a URL of a role
    that may create roles and databases; `partitions` overrides the topics' own count, for tests.
    """

    data: Path
    kafka: str = "embedded"
    postgres: str = "embedded"
    port_base: int | None = None
    partitions: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


class Platform:
    """Starts in `with`, stops at its end. All methods block; `report` gets a line per part.

    Start it from a thread that lives as long as the platform should (see `processes`).
    """

    def __init__(self, options: Options, report: Callable[[str], None] = lambda _: None) -> None:
        self.options = options
        self.folder = DataFolder(options.data)
        self.urls: dict[str, str] = {}
        self._report = report
        self._broker = broker_of(options.kafka, self.folder.kafka, partitions=options.partitions)
        self._postgres: EmbeddedPostgres | None = None
        self._databases: dict[str, str] = {}
        self._services: dict[str, Child] = {}
        self._refill = False

    @property
    def kafka(self) -> str:
        """The broker's `host:port`."""
        return self._broker.bootstrap

    @property
    def tokens(self) -> TokenIssuer:
        """The issuer whose tokens the services accept."""
        return TokenIssuer(self.folder.tokens)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Bring everything up; on a fault stop what was started and raise `LocalFault`."""
        self.folder.take()
        try:
            ports = self.folder.ports(SERVICES, self.options.port_base)
            self.urls = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
            self._step(self._start_broker)
            self._step(self._start_postgres)
            self._step(self._migrate)
            self._start_services(SERVICES)
            self.folder.announce(Running(os.getpid(), self.kafka, self._broker.forgets, self.urls))
        except OSError as error:
            self.stop()
            raise LocalFault(
                f"{self.folder.path}: {error}; mend it, or pass another --data"
            ) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop services, broker and PostgreSQL in order; kill what outlasts its grace period."""
        for child in self._services.values():
            child.send(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_S
        for child in self._services.values():
            if not child.wait(max(0.0, deadline - time.monotonic())):
                child.kill()
        self._services.clear()
        self._broker.stop()
        if self._postgres is not None:
            self._postgres.stop()
        self.folder.release()

    def fault(self) -> str | None:
        """One line about a part that has ended by itself, or None while all run."""
        for child in self._services.values():
            if not child.alive:
                return _ended(child)
        if not self._broker.alive:
            return f"the broker has ended; its log is in {self.folder.kafka}"
        if self._postgres is not None and not self._postgres.alive:
            return f"PostgreSQL has ended; its log is in {self.folder.postgres}"
        return None

    def process(self, service: str) -> Child:
        """The running process of a service, for instance to disturb it."""
        return self._services[service]

    def restart(self, *services: str) -> None:
        """Start services anew, after stopping those that still run."""
        for name in services:
            self._services.pop(name).stop(_GRACE_S)
        self._start_services(services)

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a service, such as `redrive list`, beside the running one."""
        return subprocess.run(
            [sys.executable, "-m", f"coterie_{service}", *command],
            env=self.environment(service),
            capture_output=True,
            text=True,
            check=False,
        )

    def environment(self, service: str) -> dict[str, str]:
        """The whole environment of a service's process."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("COTERIE_")}
        settings = {
            "COTERIE_DATABASE_URL": self._databases[service],
            "COTERIE_KAFKA_BOOTSTRAP": self.kafka,
            "COTERIE_HTTP_HOST": HOST,
            "COTERIE_HTTP_PORT": self.urls[service].rpartition(":")[2],
            "COTERIE_JWKS": str(self.tokens.jwks),
            "COTERIE_TOKEN_ISSUER": ISSUER,
            "COTERIE_TOKEN_AUDIENCE": AUDIENCE,
            # The data may meet a broker next time that has none of it.
            "COTERIE_ARCHIVE_RETENTION_DAYS": "0",
            "COTERIE_INBOX_RETENTION_DAYS": "0",
            "COTERIE_REFILL_ON_START": "true" if self._refill else "false",
            "COTERIE_LOG_LEVEL": os.environ.get("COTERIE_LOG_LEVEL", "INFO"),
        }
        if self._broker.forgets:
            # It answers a waiting fetch at its end and not when something arrives.
            settings["COTERIE_KAFKA_FETCH_MAX_WAIT_MS"] = "50"
        if service == "membership":
            settings["COTERIE_IDENTITY_KEY"] = self._key("identities")
        if service == "recognition":
            settings["COTERIE_CODE_KEYS"] = json.dumps({"local": self._key("gift codes")})
        return inherited | settings | dict(self.options.settings)

    def _key(self, name: str) -> str:
        """32 secret bytes of this data folder in base64."""
        return b64encode(sha256(self.folder.secrets.get(name).encode()).digest()).decode()

    def _step(self, work: Callable[[], str]) -> None:
        begun = time.monotonic()
        self._report(f"{work()} ({time.monotonic() - begun:.1f} s)")

    def _start_broker(self) -> str:
        self._broker.start()
        self._refill = True
        if not self._broker.forgets:
            cluster = cluster_id_of(self.kafka)
            known = self.folder.recall("broker").get("cluster_id")
            if known != cluster and self.options.kafka != "apache":
                self._refuse_another_platforms_broker()
            self._refill = known not in {None, cluster}
            self.folder.remember("broker", {"cluster_id": cluster})
        else:
            self.folder.remember("broker", {"cluster_id": "forgotten"})
        return self._broker.describe()

    def _refuse_another_platforms_broker(self) -> None:
        """Both would share topics and consumer groups, and each miss what the other took."""
        if block_on(used_by_a_platform(self.kafka)):
            raise LocalFault(
                f"Kafka at {self.kafka} is used by another platform, or holds what one has left: "
                "pass the --data that goes with it, or another --kafka"
            )

    def _start_postgres(self) -> str:
        if self.options.postgres != "embedded":
            self._databases = {name: self._external_database(name) for name in SERVICES}
            return "PostgreSQL elsewhere: a database for each service"
        self._postgres = EmbeddedPostgres(self.folder.postgres)
        self._postgres.start()
        self._databases = {name: self._postgres.create_database(name) for name in SERVICES}
        return f"PostgreSQL {self._postgres.version}: a database for each service"

    def _external_database(self, service: str) -> str:
        password = self.folder.secrets.get(service)
        return block_on(create_database_of(service, self.options.postgres, password))

    def _migrate(self) -> str:
        """Migrate side by side; an embedded database that had these migrations needs none."""
        digest = _migrations_digest()
        if self._postgres is not None and self.folder.recall("schema").get("digest") == digest:
            return "schemas are current"
        children = [
            start(
                f"coterie-{name} migrate",
                [sys.executable, "-m", f"coterie_{name}", "migrate"],
                log=self.folder.log(f"{name}-migrate"),
                env=self.environment(name),
            )
            for name in SERVICES
        ]
        try:
            for child in children:
                if not child.wait(_READY_S) or child.exit_code != 0:
                    raise LocalFault(_ended(child))
        finally:
            for child in children:
                child.kill()
        self.folder.remember("schema", {"digest": digest})
        return "schemas migrated"

    def _start_services(self, names: tuple[str, ...]) -> None:
        begun = time.monotonic()
        for name in names:
            environment = self.environment(name)
            self.folder.keep_environment(name, environment)
            self._services[name] = start(
                f"coterie-{name}",
                [sys.executable, "-m", f"coterie_{name}", "serve"],
                log=self.folder.log(name),
                env=environment,
            )
        for name in names:
            port = int(self.urls[name].rpartition(":")[2])
            wait_until(
                lambda port=port: _is_ready(port),  # type: ignore[misc] # binds the loop's value
                child=self._services[name],
                timeout_s=_READY_S,
                what="it was ready",
            )
            self._report(f"{name} on {self.urls[name]} ({time.monotonic() - begun:.1f} s)")


def _is_ready(port: int) -> bool:
    connection = HTTPConnection(HOST, port, timeout=2.0)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _ended(child: Child) -> str:
    return (
        f"{child.name} ended with code {child.exit_code}: {child.last_words()} "
        f"(its log: {child.log})"
    )


def _migrations_digest() -> str:
    """What the schemas are made of: every migration file that this installation has."""
    digest = sha256()
    for package in ("chassis", *SERVICES):
        spec = importlib.util.find_spec(f"coterie_{package}")
        root = Path(spec.origin).parent if spec and spec.origin else Path()
        for path in sorted(root.glob("*migrations/**/*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
