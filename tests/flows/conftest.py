"""The demo's season, played once for all tests that look at it."""

from __future__ import annotations

import pytest

from tests.flows.seasons import Played, played_once


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: starts a whole platform of its own")


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The undisturbed season, on Apache Kafka where it is to be had."""
    return played_once(tmp_path_factory)
