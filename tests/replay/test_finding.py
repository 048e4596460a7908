"""A broker for tests is the one that was asked for, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from coterie_replay.brokers import finding
from coterie_replay.brokers.finding import NoBroker, broker_for_tests
from coterie_replay.brokers.processes import LocalFault


def test_the_embedded_broker_needs_pip_alone(tmp_path: Path) -> None:
    with broker_for_tests(tmp_path, {"COTERIE_TEST_KAFKA": "embedded"}) as broker:
        assert (broker.kind, broker.real) == ("embedded", False)
        bootstrap = broker.bootstrap
        with broker_for_tests(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": bootstrap}) as known:
            assert (known.kind, known.cluster_id) == ("external", broker.cluster_id)


def test_what_was_asked_for_and_is_not_there_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "missing_parts", lambda: "no java")
    with (
        pytest.raises(NoBroker, match="Kafka: apache is not to be had here"),
        broker_for_tests(tmp_path, {"COTERIE_TEST_KAFKA": "apache"}),
    ):
        pass
    with broker_for_tests(tmp_path, {}) as broker:
        assert broker.kind in {"docker", "embedded"}


def test_an_unknown_choice_names_the_known_ones(tmp_path: Path) -> None:
    with (
        pytest.raises(LocalFault, match="=redpanda is none of: docker, apache, embedded"),
        broker_for_tests(tmp_path, {"COTERIE_TEST_KAFKA": "redpanda"}),
    ):
        pass
