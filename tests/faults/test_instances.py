"""Two instances of every service, with a rebalance and a frozen relay leader in the middle."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from coterie_chassis.testing import until
from coterie_local.blocking import block_on
from coterie_local.platform import SERVICES, Platform
from coterie_local.processes import Child
from tests.faults.director import assert_as_undisturbed, direct, instance, platform_on
from tests.flows.seasons import Played

_PATIENCE_S: Final = 60.0
_LEADER: Final = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = 7203553 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

pytestmark = pytest.mark.usefixtures("java_and_maven")


def test_two_instances_and_a_rebalance_change_nothing(season: Played, tmp_path: Path) -> None:
    """All second instances join early; in the middle half of all processes go and come again."""
    with platform_on(tmp_path / "data") as platform:
        seconds: list[Child] = []

        def join() -> None:
            seconds.extend(instance(platform, service, beside=True) for service in SERVICES)

        def rebalance() -> None:
            for service in ("feedback", "notifications"):
                platform.restart(service)
            for child in seconds[1::2]:
                child.kill()

        direct(platform, [(30, join), (130, rebalance)])
        assert [child.alive for child in seconds] == [True, False, True, False]
        assert_as_undisturbed(platform, season)


def test_a_frozen_relay_leader_is_replaced_and_does_no_harm_when_it_comes_back(
    season: Played, tmp_path: Path
) -> None:
    """SIGSTOP outlasts the lock's session and the consumer's; SIGCONT meets a new leader."""
    with platform_on(tmp_path / "data") as platform:
        led: list[int | None] = []

        def freeze() -> None:
            led.append(block_on(_leader(platform, "feedback")))
            assert led[0] is not None
            second = instance(platform, "feedback", beside=True)
            platform.process("feedback").send(signal.SIGSTOP)
            try:
                led.append(block_on(_another_leader(platform, "feedback", led[0])))
            finally:
                platform.process("feedback").send(signal.SIGCONT)
            assert second.alive

        direct(platform, [(60, freeze)])
        assert len(led) == 2
        assert led[0] != led[1]
        assert_as_undisturbed(platform, season)


async def _another_leader(platform: Platform, service: str, before: int | None) -> int:
    found: list[int] = []

    async def changed() -> bool:
        if (leader := await _leader(platform, service)) not in {None, before}:
            found.append(leader)
        return bool(found)

    await until(changed, within_s=_PATIENCE_S)
    return found[0]


async def _leader(platform: Platform, service: str) -> int | None:
    """The database's process that holds the relay's lock."""
    connection = await asyncpg.connect(platform.environment(service)["COTERIE_DATABASE_URL"])
    try:
        found: int | None = await connection.fetchval(_LEADER)
        return found
    finally:
        await connection.close()
