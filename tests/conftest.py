"""The real parts that tests run on, started when the first test asks for them.

A part that is not to be had is never replaced in silence: the test is skipped with the reason,
the summary repeats it, and `COTERIE_FAIL_ON_SKIP=1` makes it a failure.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from coterie_chassis.service import Service
from coterie_chassis.testing import create_database
from coterie_local.postgres import EmbeddedPostgres
from coterie_replay.brokers.apache import ApacheKafka, missing_parts
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.finding import PARTITIONS, Broker, NoBroker, broker_for_tests
from coterie_replay.brokers.topics import create_topics

FOR_WANT: Final = "for want of"
HISTORIES: Final = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@dataclass
class Parts:
    """What this run stands on, for the summary."""

    kafka: str = "not started: no test asked for it"
    postgres: str = "not started: no test asked for it"


PARTS: Final = pytest.StashKey[Parts]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PARTS] = Parts()
    config.addinivalue_line(
        "markers", "needs_apache_kafka: rebalances, admin requests or a log on disk are tested"
    )


def want(what: str) -> None:
    """Skip the running test for want of a part, or fail it where every part must be there."""
    if os.environ.get("COTERIE_FAIL_ON_SKIP") == "1":
        pytest.fail(f"{FOR_WANT} {what}", pytrace=False)
    pytest.skip(f"{FOR_WANT} {what}")


@pytest.fixture(scope="session")
def _exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(_exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    """What the running test is traced with; a process has one tracer provider and keeps it."""
    _exporter.clear()
    return _exporter


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """An embedded PostgreSQL of this run's own.

    Its folder is not one of pytest's: another run of the same user makes their common parent
    private again, and a server that runs as somebody else loses its data in the middle.
    """
    with tempfile.TemporaryDirectory(prefix="coterie-tests-") as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        request.config.stash[PARTS].postgres = f"PostgreSQL {server.version}, embedded"
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres: EmbeddedPostgres) -> str:
    """The superuser's URL of the run's PostgreSQL."""
    return postgres.admin_url


@pytest.fixture(scope="session")
def fresh_database(postgres_url: str) -> Callable[[Service], Awaitable[str]]:
    """Makes a migrated, empty database for a service; its URL."""

    async def make(service: Service) -> str:
        return await create_database(postgres_url, service)

    return make


@pytest.fixture(scope="session")
def any_kafka(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Broker]:
    """The first of: KAFKA_BOOTSTRAP_SERVERS, Docker, Java with Maven, the embedded broker.

    `COTERIE_TEST_KAFKA` (docker, apache or embedded) takes that one or none.
    """
    try:
        with broker_for_tests(tmp_path_factory.mktemp("kafka")) as broker:
            request.config.stash[
                PARTS
            ].kafka = f"{broker.kind}, cluster id {broker.cluster_id}, version {broker.version}"
            yield broker
    except NoBroker as fault:
        want(str(fault))


@pytest.fixture
def kafka(any_kafka: Broker, request: pytest.FixtureRequest) -> Broker:
    """The run's broker; skips a test that is marked `needs_apache_kafka` on the embedded one."""
    if request.node.get_closest_marker("needs_apache_kafka") and not any_kafka.real:
        want(f"Apache Kafka: {missing_parts() or 'the embedded broker was asked for'}")
    return any_kafka


@pytest.fixture(scope="session")
def topics(any_kafka: Broker) -> int:
    """All topics of the contracts on the run's broker; their partition count."""
    if any_kafka.real:
        block_on(create_topics(any_kafka.bootstrap, partitions=PARTITIONS))
    return PARTITIONS


@pytest.fixture
def java_and_maven() -> None:
    """What Apache Kafka needs here; skips the test without it."""
    if (missing := missing_parts()) is not None:
        want(f"Apache Kafka: {missing}")


@pytest.fixture
def apache_kafka(tmp_path: Path, java_and_maven: None) -> Iterator[ApacheKafka]:
    """A broker of the test's own, not yet started, to be stopped, paused or killed by it."""
    broker = ApacheKafka(tmp_path / "apache-kafka")
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def histories() -> Path:
    """The folder of the public histories, which are not part of this repository."""
    folder = Path(os.environ.get("COTERIE_HISTORIES", HISTORIES))
    if not folder.is_dir():
        pytest.skip(f"no public histories at {folder}: set COTERIE_HISTORIES to their folder")
    return folder


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and (report.passed or report.failed):
        for part, fixtures in _USED_BY.items():
            if not fixtures.isdisjoint(report.keywords):
                _RUN_ON[part] += 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note on each test which parts it stands on, so that reports can tell."""
    for item in items:
        for name in getattr(item, "fixturenames", ()):
            if any(name in fixtures for fixtures in _USED_BY.values()):
                item.keywords[name] = True


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    parts = config.stash[PARTS]
    terminalreporter.section("what the tests ran on")
    terminalreporter.line(f"Kafka:      {parts.kafka} ({_RUN_ON['kafka']} tests)")
    terminalreporter.line(f"PostgreSQL: {parts.postgres} ({_RUN_ON['postgres']} tests)")
    if _RUN_ON["apache"]:
        terminalreporter.line(f"Apache Kafka of a test's own: {_RUN_ON['apache']} tests")
    skipped = Counter(
        str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    )
    terminalreporter.line(f"skipped:    {skipped.total()} tests")
    for reason, count in skipped.most_common():
        terminalreporter.line(f"  {count} x {reason}")


_USED_BY: Final = {
    "kafka": frozenset({"kafka", "any_kafka", "topics"}),
    "postgres": frozenset({"postgres", "postgres_url", "fresh_database"}),
    "apache": frozenset({"java_and_maven"}),
}
_RUN_ON: Final = Counter[str]()
