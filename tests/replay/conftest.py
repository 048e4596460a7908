"""The plugin's fixtures on the run's own broker."""

from __future__ import annotations

import pytest

from coterie_replay.brokers.finding import Broker


@pytest.fixture(scope="session")
def coterie_broker(any_kafka: Broker) -> Broker:
    return any_kafka
