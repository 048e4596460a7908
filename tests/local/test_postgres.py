"""A service reaches its own database and no other; what was committed survives a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from coterie_local.postgres import EmbeddedPostgres
from coterie_replay.brokers.processes import LocalFault

START_AND_DIE = """
import os, signal, sys
from pathlib import Path
from coterie_local.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
os.kill(os.getpid(), signal.SIGKILL)
"""


async def _as(url: str, database: str) -> str:
    connection = await asyncpg.connect(url, database=database)
    try:
        return str(await connection.fetchval("SELECT current_user"))
    finally:
        await connection.close()


async def test_a_role_cannot_connect_to_the_database_of_another(postgres: EmbeddedPostgres) -> None:
    alpha, beta = postgres.create_database("alpha"), postgres.create_database("beta")
    assert await _as(alpha, "coterie_alpha") == "coterie_alpha"
    assert await _as(beta, "coterie_beta") == "coterie_beta"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await _as(alpha, "coterie_beta")


async def test_a_role_cannot_pose_as_another_without_its_password(
    postgres: EmbeddedPostgres,
) -> None:
    alpha, beta = postgres.create_database("alpha"), postgres.create_database("beta")
    forged = alpha.replace("coterie_alpha", "coterie_beta")
    assert forged != beta
    with pytest.raises(asyncpg.InvalidPasswordError):
        await _as(forged, "coterie_beta")


async def test_creating_a_database_again_keeps_it_and_its_address(
    postgres: EmbeddedPostgres,
) -> None:
    first = postgres.create_database("alpha")
    connection = await asyncpg.connect(first)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (x int)")
    await connection.close()
    assert postgres.create_database("alpha") == first
    connection = await asyncpg.connect(first)
    assert await connection.fetchval("SELECT count(*) FROM kept") == 0
    await connection.close()


async def test_commits_are_durable(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.admin_url)
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await connection.fetchval(f"SHOW {setting}") == "on"
    await connection.close()


def test_a_folder_in_use_is_refused_in_one_line(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(LocalFault, match=r"in use by PostgreSQL process \d+: stop") as refused:
        EmbeddedPostgres(postgres.data).start()
    assert "\n" not in str(refused.value)


def test_passwords_are_readable_by_their_owner_alone(postgres: EmbeddedPostgres) -> None:
    assert (postgres.data / "secrets.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children of a killed parent")
def test_a_killed_parent_leaves_no_server_and_the_folder_starts_again(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", START_AND_DIE, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    server = EmbeddedPostgres(tmp_path)
    server.start()
    mine = [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(p.info["cmdline"])]
    assert len([p for p in mine if "-D" in p.info["cmdline"]]) == 1
    server.stop()
    assert not [p for p in mine if p.is_running()]
