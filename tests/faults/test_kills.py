"""Services are killed at seeded moments, by signal and at the two points where work is half known.

However often and wherever a process ends, each event takes effect once and none is lost: the audit
is clean and the tables are those of a run that nobody disturbed.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Final

import pytest

from coterie_local.platform import SERVICES, Platform
from coterie_replay.brokers.processes import Child
from tests.faults.crashing import CRASHED
from tests.faults.director import Disturbance, assert_as_undisturbed, direct, instance, platform_on
from tests.flows.seasons import Played

_FOUNDED: Final = 8
"""The first command after the circle is founded and its services have met."""
_MORE_SEEDS: Final = [int(seed) for seed in os.environ.get("COTERIE_FAULT_SEEDS", "").split()]

pytestmark = [pytest.mark.usefixtures("java_and_maven"), pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", _MORE_SEEDS or [7])
def test_services_killed_at_seeded_moments_lose_and_repeat_nothing(
    seed: int, season: Played, tmp_path: Path
) -> None:
    choice = random.Random(seed)
    killed = [service for service in SERVICES for _ in range(2)]
    moments = choice.sample(range(_FOUNDED, season.commands_at_cut + 1), len(killed))

    with platform_on(tmp_path / "data") as platform:

        def kill(number: int, service: str) -> Disturbance:
            return Disturbance(
                number,
                act=lambda: platform.process(service).kill(),
                then=lambda: platform.restart(service),
            )

        direct(platform, list(map(kill, moments, killed)))
        assert_as_undisturbed(platform, season)


class Crashing:
    """Services that die at chosen points, one after the other, and then stay up."""

    def __init__(self, platform: Platform, points: dict[str, list[str]]) -> None:
        self._platform = platform
        self._points = points
        self._running: dict[str, Child] = {}
        self.crashed: list[tuple[str, str]] = []
        for service in points:
            platform.process(service).stop(20.0)
            self._next(service)

    def attend(self) -> None:
        """Put the next one in the place of each that has died."""
        for service, child in list(self._running.items()):
            if not child.alive:
                assert child.exit_code == CRASHED, child.last_words()
                self.crashed.append((service, self._points[service].pop(0)))
                del self._running[service]
                self._next(service)

    def stop(self) -> None:
        for child in self._running.values():
            child.kill()

    def _next(self, service: str) -> None:
        if self._points[service]:
            point = self._points[service][0]
            self._running[service] = instance(self._platform, service, crash_at=point)
        else:
            self._platform.restart(service)


@pytest.mark.parametrize("seed", _MORE_SEEDS or [11])
def test_a_crash_between_two_commits_is_made_good_by_redelivery(
    seed: int, season: Played, tmp_path: Path
) -> None:
    choice = random.Random(seed)
    points = {
        service: [f"offsets:{choice.randint(1, 6)}", f"relay:{choice.randint(1, 12)}"]
        for service in SERVICES
    }
    points["membership"].pop(0)  # it consumes nothing
    planned = [(service, point) for service, chosen in points.items() for point in chosen]
    with platform_on(tmp_path / "data") as platform:
        crashing = Crashing(platform, points)
        try:
            direct(platform, [], meanwhile=crashing.attend)
            assert sorted(crashing.crashed) == sorted(planned)
            report = assert_as_undisturbed(platform, season)
            sent_twice = sum(point.startswith("relay") for _, point in planned)
            assert report.repeats >= sent_twice
        finally:
            crashing.stop()
