"""The demo's season, played once for all tests that look at it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.flows.newcomer import COTERIE, Newcomer, until
from tests.flows.operated import Operated, eventually
from tests.flows.seasons import Played, played_once


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: starts a whole platform of its own")


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The undisturbed season, on Apache Kafka where it is to be had."""
    return played_once(tmp_path_factory)


@pytest.fixture(scope="package")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """Somebody in the folder whose platform they operate."""
    return Newcomer(tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="package")
def operated(operator: Newcomer) -> Iterator[Operated]:
    """A platform that stays up with a circle in it, and at first nothing wrong."""
    output = operator.folder / "up.txt"
    up = operator.start(COTERIE, "up", "--empty", output=output)
    try:
        until(output, "Ctrl-C stops everything", up)
        platform = Operated(operator.folder / ".coterie")
        platform.begin()
        eventually(lambda: platform.troubles() == [])
        yield platform
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)
