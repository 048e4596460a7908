"""One trace from the command over the outbox to the handler, and metrics that are all named."""

from __future__ import annotations

from uuid import UUID

from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from coterie_chassis import telemetry
from coterie_chassis.auth import Role
from coterie_chassis.testing import Harness, person
from coterie_contracts.feedback import FeedbackSubmitted


async def test_a_trace_goes_from_the_command_to_the_handler(
    h: Harness, community: UUID, spans: InMemorySpanExporter
) -> None:
    body = {"community_id": community, "text": "x"}
    answer = await h.post("/notes", body, as_=person("ann", Role.MEMBER))
    assert answer.status_code == 201
    (served,) = [s for s in spans.get_finished_spans() if s.kind is trace.SpanKind.SERVER]
    assert served.context is not None
    trace_id = served.context.trace_id
    (event,) = await h.published(FeedbackSubmitted)
    assert event.traceparent is not None
    assert event.traceparent.split("-")[1] == f"{trace_id:032x}"
    spans.clear()

    await h.deliver(event)

    (processed,) = [s for s in spans.get_finished_spans() if s.name == "prompt process"]
    assert processed.context is not None
    assert processed.context.trace_id == trace_id


def test_every_metric_is_named_once_and_explained() -> None:
    names = [metric.name for metric in telemetry.METRICS]

    assert len(set(names)) == len(names)
    assert all(metric.meaning and metric.unit for metric in telemetry.METRICS)
    assert all(metric.kind in {"counter", "histogram"} for metric in telemetry.METRICS)
