"""Two instances of every service, with a rebalance and a frozen relay leader in the middle."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from coterie_chassis.testing import until
from coterie_contracts.topics import Lane
from coterie_local.platform import SERVICES, Platform
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.processes import Child
from tests.faults.director import (
    Disturbance,
    assert_as_undisturbed,
    direct,
    instance,
    platform_on,
)
from tests.faults.groups import Share, all_have_applied, settle_on
from tests.flows.seasons import Played

JOIN: Final = 8
AMONG_ADMISSIONS: Final = 33
AMONG_RATINGS: Final = 150
FREEZE: Final = 60

_PATIENCE_S: Final = 60.0
_LEADER: Final = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = 7203553 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

pytestmark = [pytest.mark.usefixtures("java_and_maven"), pytest.mark.timeout(600)]


def test_two_instances_and_a_rebalance_change_nothing(season: Played, tmp_path: Path) -> None:
    """All second instances join early; each of two has applied events when one of them goes."""
    with platform_on(tmp_path / "data") as platform:
        seconds: dict[str, Child] = {}
        lanes = {"feedback": Lane.PROMPT, "recognition": Lane.BULK, "notifications": Lane.BULK}
        at_first: dict[str, list[Share]] = {}

        def join() -> None:
            for service in SERVICES:
                seconds[service] = instance(platform, service, beside=True)
            for service, lane in lanes.items():
                at_first[service] = block_on(settle_on(platform, service, lane, members=2))

        def both_have_applied(service: str) -> None:
            block_on(all_have_applied(platform, service, lanes[service], at_first[service]))

        def among_admissions() -> None:
            both_have_applied("feedback")
            seconds["feedback"].kill()

        def among_ratings() -> None:
            both_have_applied("recognition")
            both_have_applied("notifications")
            seconds["notifications"].kill()

        direct(
            platform,
            [
                Disturbance(JOIN, join),
                Disturbance(
                    AMONG_ADMISSIONS,
                    act=among_admissions,
                    then=lambda: platform.restart("membership"),
                ),
                Disturbance(
                    AMONG_RATINGS,
                    act=among_ratings,
                    then=lambda: platform.restart("recognition"),
                ),
            ],
        )
        alive = {service for service, child in seconds.items() if child.alive}
        assert alive == {"membership", "recognition"}
        assert_as_undisturbed(platform, season)


def test_a_frozen_relay_leader_is_replaced_and_does_no_harm_when_it_comes_back(
    season: Played, tmp_path: Path
) -> None:
    """SIGSTOP outlasts the lock's session and the consumer's; SIGCONT meets a new leader."""
    with platform_on(tmp_path / "data") as platform:
        led: list[int | None] = []
        second: list[Child] = []

        def freeze() -> None:
            second.append(instance(platform, "feedback", beside=True))
            block_on(settle_on(platform, "feedback", Lane.PROMPT, members=2))
            led.append(block_on(_leader(platform, "feedback")))
            platform.process("feedback").send(signal.SIGSTOP)

        def thaw() -> None:
            try:
                led.append(block_on(_another_leader(platform, "feedback", led[0])))
                block_on(settle_on(platform, "feedback", Lane.PROMPT, members=1))
            finally:
                platform.process("feedback").send(signal.SIGCONT)

        direct(platform, [Disturbance(FREEZE, freeze, then=thaw)])
        assert second[0].alive
        assert led[0] is not None
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
