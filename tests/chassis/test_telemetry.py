"""One trace from a command over two topics to the last handler; metrics that are all recorded."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select, text

from coterie_chassis import gauges, telemetry
from coterie_chassis.auth import Role
from coterie_chassis.outbox import headers_of, stored_headers
from coterie_chassis.service import Service
from coterie_chassis.tables import outbox
from coterie_chassis.telemetry import Telemetry
from coterie_chassis.testing import Harness, person, until
from coterie_contracts.envelope import Event
from coterie_contracts.feedback import CommentPosted, FeedbackSubmitted
from coterie_contracts.model import EventBody

from . import sample
from .facts import fact
from .platform import Broker, Platform, true

ANN = person("ann", Role.MEMBER)


@pytest.fixture(scope="module")
def reader() -> InMemoryMetricReader:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
    return reader


@pytest.fixture
async def platform(
    fresh_database: Callable[[Service], Awaitable[str]],
    any_kafka: Broker,
    topics: int,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Platform]:
    sample.mend()
    monkeypatch.setattr(gauges, "EVERY_S", 0.05)
    platform = Platform(await fresh_database(sample.service), any_kafka.bootstrap)
    yield platform
    await platform.database.close()


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def served(spans: InMemorySpanExporter) -> list[int]:
    """Trace ids of the commands that were served."""
    kind = trace.SpanKind.SERVER
    return [_trace(span) for span in spans.get_finished_spans() if span.kind is kind]


def _trace(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


def _trace_of(event: Event[EventBody]) -> int:
    assert event.traceparent is not None
    return int(event.traceparent.split("-")[1], 16)


async def test_a_trace_goes_from_the_command_to_the_handler(
    h: Harness, community: UUID, spans: InMemorySpanExporter
) -> None:
    body = {"community_id": community, "text": "x"}
    answer = await h.post("/notes", body, as_=ANN)
    assert answer.status_code == 201
    (trace_id,) = served(spans)
    (event,) = await h.published(FeedbackSubmitted)
    assert event.traceparent is not None
    assert event.traceparent.split("-")[1] == f"{trace_id:032x}"
    spans.clear()

    await h.deliver(event)

    (processed,) = named(spans, "prompt process")
    assert processed.context is not None
    assert processed.context.trace_id == trace_id


async def test_what_follows_from_an_event_is_in_its_trace_although_a_batch_has_one_span(
    h: Harness, community: UUID, spans: InMemorySpanExporter
) -> None:
    sample.ECHOING.add(community)
    for _ in range(3):
        await h.post("/notes", {"community_id": community, "text": "x"}, as_=ANN)
    commands = served(spans)
    submitted = await h.published(FeedbackSubmitted)
    assert len(set(commands)) == 3

    await h.deliver(*submitted)

    echoes = {event.subject: _trace_of(event) for event in await h.published(CommentPosted)}
    assert echoes == {event.subject: _trace_of(event) for event in submitted}
    (batch,) = named(spans, "prompt process")
    assert _trace(batch) == commands[0]
    assert [link.context.trace_id for link in batch.links] == commands[1:]


async def test_one_trace_runs_over_http_outbox_kafka_handler_outbox_and_the_next_handler(
    platform: Platform, spans: InMemorySpanExporter
) -> None:
    community = uuid4()
    sample.ECHOING.add(community)
    caller_trace, caller_span = uuid4().hex, "b7ad6b7169203331"

    def of_the_caller(name: str) -> list[ReadableSpan]:
        return [span for span in named(spans, name) if f"{_trace(span):032x}" == caller_trace]

    async with platform.served() as h:
        await h.know(community)
        h.client.headers["traceparent"] = f"00-{caller_trace}-{caller_span}-01"
        answer = await h.post("/notes", {"community_id": community, "text": "x"}, as_=ANN)
        note_id = UUID(answer.json()["note_id"])

        async def both_heard() -> bool:
            return (await platform.heard({note_id}))[note_id] == [1, 1]

        await until(both_heard)
        await until(lambda: true(lambda: of_the_caller("bulk process") != []))

    assert [f"{trace_id:032x}" for trace_id in served(spans)] == [caller_trace]
    (prompt,), (bulk,) = of_the_caller("prompt process"), of_the_caller("bulk process")
    assert bulk.parent is not None
    assert prompt.context is not None
    assert bulk.parent.span_id == prompt.context.span_id


def points(reader: InMemoryMetricReader) -> dict[tuple[str, str | None], float]:
    """The latest value by metric and lane; of a histogram how many it has recorded."""
    found: dict[tuple[str, str | None], float] = {}
    data = reader.get_metrics_data()
    for metric in (
        metric
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ):
        for point in metric.data.data_points:
            lane = (point.attributes or {}).get("lane")
            value = point.value if isinstance(point, NumberDataPoint) else point.count
            key = (metric.name, None if lane is None else str(lane))
            found[key] = max(found.get(key, 0), value)
    return found


ALWAYS_NOTHING = {
    # A platform that works has no lag and nobody halted; other tests see them grow.
    telemetry.CONSUMER_LAG_EVENTS.name,
    telemetry.CONSUMER_LAG_SECONDS.name,
    telemetry.CONSUMER_HALTED.name,
    telemetry.OUTBOX_DEPTH.name,
    telemetry.OUTBOX_AGE.name,
}


async def test_every_metric_is_recorded_by_a_running_service(
    platform: Platform, reader: InMemoryMetricReader
) -> None:
    good, bad, away = (fact(uuid4()) for _ in range(3))
    sample.POISON.add(bad.id)
    sample.PASSING.add(away.id)
    due, broken = uuid4(), uuid4()
    sample.POISON.add(broken)
    old = replace(fact(uuid4()), id=UUID(int=(1_600_000_000_000 << 80) | (8 << 76) | (2 << 62)))
    async with platform.instance() as runtime:
        await until(lambda: true(lambda: runtime.relay.leading))
        await platform.publish(uuid4(), 1)
        await platform.send(old, good, good, bad)
        async with platform.database.begin() as uow:
            for aggregate in (due, broken):
                uow.schedule("note.remind", aggregate, uuid4(), uow.now)
        await platform.send(away)

        async def redelivered() -> bool:
            return points(reader).get((telemetry.CONSUMER_REDELIVERIES.name, "prompt"), 0) > 0

        await until(redelivered)
        sample.PASSING.clear()
        async with platform.database.begin() as uow:
            await uow.execute(text(END_LEADERSHIP))

        def missing() -> set[str]:
            seen = points(reader)
            return {
                metric.name
                for metric in telemetry.METRICS
                if not any(
                    name == metric.name and (value > 0 or name in ALWAYS_NOTHING)
                    for (name, _), value in seen.items()
                )
            }

        try:
            await until(lambda: true(lambda: missing() == set()))
        except TimeoutError:
            assert missing() == set()


END_LEADERSHIP = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
AND objid = 7203553 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def test_outbox_depth_and_age_are_those_of_what_waits(
    h: Harness, community: UUID, reader: InMemoryMetricReader
) -> None:
    for _ in range(3):
        await h.post("/notes", {"community_id": community, "text": "x"}, as_=ANN)
    async with h.database.begin() as uow:
        oldest = (await uow.rows(select(outbox).order_by(outbox.c.id).limit(1)))[0]
        an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat().encode()
        headers = {**dict(headers_of(oldest.headers, oldest.key)), "ce_recordedtime": an_hour_ago}
        aged = outbox.update().where(outbox.c.id == oldest.id)
        await uow.execute(aged.values(headers=stored_headers(list(headers.items()), oldest.key)))

    with h.statements() as counter:
        await gauges.look(Telemetry("aged"), h.database, h.runtime.relay, None)

    assert counter.count == 4, counter.statements
    seen = points(reader)
    assert seen[telemetry.OUTBOX_DEPTH.name, None] == 3
    assert 3_500 < seen[telemetry.OUTBOX_AGE.name, None] < 3_700


async def test_a_halted_lane_is_told_lags_and_ends_no_process(
    fresh_database: Callable[[Service], Awaitable[str]],
    any_kafka: Broker,
    topics: int,
    reader: InMemoryMetricReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gauges, "EVERY_S", 0.05)
    sample.mend()
    url = await fresh_database(sample.service)
    platform = Platform(url, any_kafka.bootstrap, dead_letters_in_total=1)
    bad = [fact(uuid4()) for _ in range(3)]
    sample.POISON.update(event.id for event in bad)
    async with platform.served() as h:
        await until(lambda: true(lambda: h.runtime.subscriptions is not None))
        await platform.send(*bad)

        async def halted() -> bool:
            seen = points(reader)
            return (
                seen.get((telemetry.CONSUMER_HALTED.name, "prompt"), 0) == 1
                and seen[telemetry.CONSUMER_LAG_EVENTS.name, "prompt"] >= 1
                and seen[telemetry.CONSUMER_LAG_SECONDS.name, "prompt"] > 0
            )

        await until(halted)
        ready, live = await h.client.get("/health/ready"), await h.client.get("/health/live")
        assert (ready.status_code, live.status_code) == (200, 200)
        assert list(ready.json()["halted"]) == ["prompt"]
        assert "the limit is 1" in ready.json()["halted"]["prompt"]

        sample.mend()

        async def goes_on() -> bool:
            return (await h.client.get("/health/ready")).json()["halted"] == {}

        await until(goes_on)
    await platform.database.close()


def test_every_metric_is_named_once_and_explained() -> None:
    names = [metric.name for metric in telemetry.METRICS]

    assert len(set(names)) == len(names)
    assert all(metric.meaning and metric.unit for metric in telemetry.METRICS)
    assert all(metric.kind in telemetry.Kind for metric in telemetry.METRICS)


async def test_a_log_line_holds_no_value_of_a_row_or_of_an_input(
    h: Harness, community: UUID
) -> None:
    line = None
    try:
        async with h.database.begin() as uow:
            await uow.execute(
                text("INSERT INTO note (note_id, community_id, text) VALUES (:i, :i, :t)"),
                {"i": community, "t": "somebody's secret"},
            )
    except Exception:  # noqa: BLE001 - whichever it is, its log line is looked at
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), _exc_info())
        line = json.loads(telemetry.formatter("sample").format(record))

    assert line is not None
    assert "violates not-null constraint" in line["exception"]
    assert "somebody's secret" not in str(line)


def _exc_info() -> tuple[type[BaseException], BaseException, None]:
    error = sys.exception()
    assert error is not None
    return type(error), error, None
