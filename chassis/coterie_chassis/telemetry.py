"""Traces, metrics and logs, all named in this one file.

A trace runs from the HTTP command over the outbox row and the Kafka header to the handler and its
next outbox row. Logs are JSON with trace ids and hold no personal data. Without an OTLP endpoint
(`OTEL_EXPORTER_OTLP_ENDPOINT`) nothing is exported and spans cost next to nothing.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from traceback import format_tb
from typing import Any, Final

from opentelemetry import metrics, propagate, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from coterie_chassis.errors import describe

__all__ = [
    "METRICS",
    "Kind",
    "Metric",
    "Telemetry",
    "configure",
    "consuming",
    "formatter",
    "is_measured",
    "sweeping",
    "traceparent_for",
]


class Kind(StrEnum):
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name, kind, unit (UCUM) and meaning."""

    name: str
    kind: Kind
    unit: str
    meaning: str


CONSUMER_BATCH_EVENTS: Final = Metric(
    "coterie.consumer.batch.events", Kind.HISTOGRAM, "{event}", "events in one transaction"
)
CONSUMER_BATCH_SECONDS: Final = Metric(
    "coterie.consumer.batch.duration", Kind.HISTOGRAM, "s", "from decoding a batch to its commit"
)
CONSUMER_LAG_EVENTS: Final = Metric(
    "coterie.consumer.lag.events", Kind.GAUGE, "{event}", "records of a lane not applied yet"
)
CONSUMER_LAG_SECONDS: Final = Metric(
    "coterie.consumer.lag.time", Kind.GAUGE, "s", "age of a lane's last applied event; 0 at the end"
)
END_TO_END_SECONDS: Final = Metric(
    "coterie.end_to_end", Kind.HISTOGRAM, "s", "recordedtime to effect, of a batch's oldest event"
)
CONSUMER_DUPLICATES: Final = Metric(
    "coterie.consumer.duplicates", Kind.COUNTER, "{event}", "events that came again"
)
CONSUMER_EXPIRED: Final = Metric(
    "coterie.consumer.expired",
    Kind.COUNTER,
    "{event}",
    "events older than the inbox, not applied",
)
CONSUMER_REDELIVERIES: Final = Metric(
    "coterie.consumer.redeliveries", Kind.COUNTER, "{batch}", "batches that must come again"
)
CONSUMER_HALTED: Final = Metric(
    "coterie.consumer.halted", Kind.GAUGE, "{lane}", "1 where a lane stands at a dead letter limit"
)
DEAD_LETTERS: Final = Metric(
    "coterie.dead_letters", Kind.COUNTER, "{event}", "events set aside, parked followers included"
)
DEAD_LETTERS_OPEN: Final = Metric(
    "coterie.dead_letters.open", Kind.GAUGE, "{event}", "dead letters to be redriven or dropped"
)
PARKED_KEYS: Final = Metric(
    "coterie.dead_letters.parked_keys", Kind.GAUGE, "{key}", "keys that wait behind a dead letter"
)
OUTBOX_DEPTH: Final = Metric(
    "coterie.outbox.depth", Kind.GAUGE, "{event}", "events to be sent, counted up to 100,000"
)
OUTBOX_AGE: Final = Metric(
    "coterie.outbox.age", Kind.GAUGE, "s", "since the oldest event to be sent was recorded"
)
RELAY_SENT: Final = Metric("coterie.relay.sent", Kind.COUNTER, "{event}", "events acknowledged")
RELAY_FAILURES: Final = Metric(
    "coterie.relay.failures", Kind.COUNTER, "{failure}", "times that the relay had to start again"
)
RELAY_LEADING: Final = Metric(
    "coterie.relay.leading", Kind.GAUGE, "{leader}", "1 where this instance sends the outbox"
)
DEADLINES_RUN: Final = Metric(
    "coterie.deadlines", Kind.COUNTER, "{deadline}", "deadlines that were acted on"
)
DEADLINES_FAILED: Final = Metric(
    "coterie.deadlines.failed", Kind.COUNTER, "{deadline}", "deadlines that were set aside"
)
FAILED_DEADLINES_OPEN: Final = Metric(
    "coterie.deadlines.failed.open", Kind.GAUGE, "{deadline}", "deadlines to be redriven or dropped"
)

METRICS: Final = (
    CONSUMER_BATCH_EVENTS,
    CONSUMER_BATCH_SECONDS,
    CONSUMER_LAG_EVENTS,
    CONSUMER_LAG_SECONDS,
    END_TO_END_SECONDS,
    CONSUMER_DUPLICATES,
    CONSUMER_EXPIRED,
    CONSUMER_REDELIVERIES,
    CONSUMER_HALTED,
    DEAD_LETTERS,
    DEAD_LETTERS_OPEN,
    PARKED_KEYS,
    OUTBOX_DEPTH,
    OUTBOX_AGE,
    RELAY_SENT,
    RELAY_FAILURES,
    RELAY_LEADING,
    DEADLINES_RUN,
    DEADLINES_FAILED,
    FAILED_DEADLINES_OPEN,
)

_BUCKETS: Final = {
    "s": (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
    "{event}": (1.0, 5.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0),
}
_LINKS: Final = 128
_tracer = trace.get_tracer("coterie")
_LOGGED: Final = ("event_id", "topic", "lane", "community_id", "count", "error", "path", "status")


class Telemetry:
    """Records the metrics of `METRICS`; unknown names are a programming error."""

    def __init__(self, service: str) -> None:
        meter = metrics.get_meter("coterie")
        self._service = {"service": service}
        self._instruments = {metric.name: _instrument(meter, metric) for metric in METRICS}

    def record(self, metric: Metric, value: float, **labels: str) -> None:
        instrument = self._instruments[metric.name]
        attributes = {**self._service, **labels}
        match metric.kind:
            case Kind.COUNTER:
                instrument.add(value, attributes)
            case Kind.HISTOGRAM:
                instrument.record(value, attributes)
            case Kind.GAUGE:
                instrument.set(value, attributes)


def _instrument(meter: metrics.Meter, metric: Metric) -> Any:
    match metric.kind:
        case Kind.COUNTER:
            return meter.create_counter(metric.name, metric.unit, metric.meaning)
        case Kind.HISTOGRAM:
            return meter.create_histogram(
                metric.name,
                metric.unit,
                metric.meaning,
                explicit_bucket_boundaries_advisory=_BUCKETS[metric.unit],
            )
        case Kind.GAUGE:
            return meter.create_gauge(metric.name, metric.unit, metric.meaning)


def is_measured() -> bool:
    """Whether anybody reads metrics: what costs statements is not looked at for nobody."""
    return isinstance(metrics.get_meter_provider(), MeterProvider)


def configure(service: str, level: str) -> None:
    """Set up logs on standard error and, with an endpoint in the environment, exporters."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("aiokafka").setLevel("ERROR")
    logging.getLogger("uvicorn.access").setLevel("WARNING")
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    resource = Resource.create({"service.name": f"coterie-{service}"})
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracing)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))


def traceparent_for(cause: str | None) -> str | None:
    """The W3C `traceparent` of what is published now because of an event with the header `cause`.

    The running span's, if there is one that counts, unless that belongs to another trace than the
    event's own: a batch has one span and events of many traces.
    """
    span = trace.get_current_span().get_span_context()
    if not span.is_valid or (cause is not None and _trace_of(cause) != span.trace_id):
        return cause
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def consuming(lane: str, traceparents: list[str]) -> Iterator[None]:
    """A span for a batch, child of its first event's trace and linked to those of the others.

    Linked to as many as a span keeps by default: a batch has a thousand.
    """
    several = islice(dict.fromkeys(traceparents), _LINKS + 1)
    contexts = [propagate.extract({"traceparent": value}) for value in several]
    links = [
        trace.Link(trace.get_current_span(context).get_span_context()) for context in contexts[1:]
    ]
    parent = contexts[0] if contexts else None
    with _tracer.start_as_current_span(
        f"{lane} process", context=parent, links=links, kind=trace.SpanKind.CONSUMER
    ):
        yield


def sweeping() -> AbstractContextManager[trace.Span]:
    """A span of its own for deadlines, so that what follows from them has a trace."""
    return _tracer.start_as_current_span("deadlines", kind=trace.SpanKind.INTERNAL)


def _trace_of(traceparent: str) -> int:
    context = propagate.extract({"traceparent": traceparent})
    return trace.get_current_span(context).get_span_context().trace_id


def formatter(service: str) -> logging.Formatter:
    """One JSON object a line, with trace and event ids and without what a library quotes."""
    return _JsonFormatter(service)


class _JsonFormatter(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        context = trace.get_current_span().get_span_context()
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: getattr(record, name) for name in _LOGGED if hasattr(record, name)})
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _told(record.exc_info[1])
        return json.dumps(line, default=str)


def _told(error: BaseException) -> str:
    """A traceback with its causes and without the rows and values that libraries quote."""
    own = "".join(format_tb(error.__traceback__)) + describe(error)
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return own if before is None else f"{_told(before)}\n\nthen:\n{own}"
