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
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import metrics, propagate, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

__all__ = ["METRICS", "Metric", "Telemetry", "configure", "consuming", "current_traceparent"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name, kind, unit (UCUM) and meaning."""

    name: str
    kind: str
    unit: str
    meaning: str


CONSUMER_BATCH_EVENTS: Final = Metric(
    "coterie.consumer.batch.events", "histogram", "{event}", "events in one transaction"
)
CONSUMER_BATCH_SECONDS: Final = Metric(
    "coterie.consumer.batch.duration", "histogram", "s", "from first handler to commit"
)
CONSUMER_LAG_SECONDS: Final = Metric(
    "coterie.consumer.lag.time", "histogram", "s", "recordedtime to committed effect"
)
CONSUMER_DUPLICATES: Final = Metric(
    "coterie.consumer.duplicates", "counter", "{event}", "events that the inbox had already"
)
CONSUMER_EXPIRED: Final = Metric(
    "coterie.consumer.expired", "counter", "{event}", "events older than the inbox, not applied"
)
DEAD_LETTERS: Final = Metric(
    "coterie.dead_letters", "counter", "{event}", "events set aside, parked followers included"
)
RELAY_SENT: Final = Metric("coterie.relay.sent", "counter", "{event}", "events acknowledged")
RELAY_FAILURES: Final = Metric(
    "coterie.relay.failures", "counter", "{failure}", "send attempts that ended in an error"
)
DEADLINES_RUN: Final = Metric(
    "coterie.deadlines", "counter", "{deadline}", "deadlines that were acted on"
)

METRICS: Final = (
    CONSUMER_BATCH_EVENTS,
    CONSUMER_BATCH_SECONDS,
    CONSUMER_LAG_SECONDS,
    CONSUMER_DUPLICATES,
    CONSUMER_EXPIRED,
    DEAD_LETTERS,
    RELAY_SENT,
    RELAY_FAILURES,
    DEADLINES_RUN,
)

_tracer = trace.get_tracer("coterie")
_LOGGED: Final = ("event_id", "topic", "lane", "community_id", "count", "error", "path", "status")


class Telemetry:
    """Records the metrics of `METRICS`; unknown names are a programming error."""

    def __init__(self, service: str) -> None:
        meter = metrics.get_meter("coterie")
        self._service = {"service": service}
        self._instruments: dict[str, Any] = {}
        for metric in METRICS:
            create = meter.create_counter if metric.kind == "counter" else meter.create_histogram
            self._instruments[metric.name] = create(
                metric.name, unit=metric.unit, description=metric.meaning
            )

    def record(self, metric: Metric, value: float, **labels: str) -> None:
        instrument = self._instruments[metric.name]
        attributes = {**self._service, **labels}
        if metric.kind == "counter":
            instrument.add(value, attributes)
        else:
            instrument.record(value, attributes)


def configure(service: str, level: str) -> None:
    """Set up logs on standard error and, with an endpoint in the environment, exporters."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(service))
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


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the running span, if there is one that counts."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def consuming(lane: str, traceparents: list[str]) -> Iterator[None]:
    """A span for a batch, child of its first event's trace and linked to those of the others."""
    contexts = [propagate.extract({"traceparent": value}) for value in dict.fromkeys(traceparents)]
    links = [
        trace.Link(trace.get_current_span(context).get_span_context()) for context in contexts[1:]
    ]
    parent = contexts[0] if contexts else None
    with _tracer.start_as_current_span(
        f"{lane} process", context=parent, links=links, kind=trace.SpanKind.CONSUMER
    ):
        yield


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
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
