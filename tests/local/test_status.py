"""What `coterie status` makes of the answers that it gets, whatever is wrong with a platform."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from rich.console import Console

from coterie_local.status import asking
from coterie_local.status.asking import (
    Budget,
    Circle,
    Glance,
    Instance,
    Lane,
    Outbox,
    Place,
    Status,
    look,
)
from coterie_local.status.frame import frame
from coterie_local.status.judging import span, troubles

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


def lane(**changes: Any) -> Lane:
    well: dict[str, Any] = {
        "lane": "prompt",
        "events_behind": 0,
        "seconds_behind": 0.0,
        "halted": None,
        "dead_letters": 0,
        "parked_keys": 0,
    }
    return Lane(**(well | changes))


def instance(name: str = "feedback", lanes: Sequence[Lane] = (), **changes: Any) -> Instance:
    well: dict[str, Any] = {
        "service": name,
        "version": "1.2.3",
        "started_at": NOW - timedelta(hours=3),
        "now": NOW,
        "stuck": [],
        "waiting_for": [],
        "outbox": Outbox(depth=0, age_s=0.0, led=True),
        "failed_deadlines": 0,
        "lanes": lanes or [lane()],
    }
    return Instance(Place("http://host:8000", name), Status(**(well | changes)))


def told(*instances: Instance) -> list[str]:
    found = troubles(Glance(NOW, instances), lambda service, rest: f"{service} {rest}")
    return [f"{one}{f' > {one.command}' if one.command else ''}" for one in found]


def drawn(glance: Glance, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    found = troubles(glance, lambda service, rest: f"coterie service {service} {rest}")
    console.print(frame(glance, found))
    text: str = console.file.getvalue()  # type: ignore[attr-defined] # it is a StringIO
    assert max(map(len, text.splitlines())) <= width
    return text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"stuck": ["relay"]}, "feedback: no progress for a minute in: relay; restart it"),
        ({"waiting_for": ["database", "kafka"]}, "feedback: waits for database and kafka"),
        (
            {"lanes": [lane(halted="7 of 9 events failed")]},
            "feedback: lane prompt has halted: 7 of 9 events failed",
        ),
        (
            {"outbox": Outbox(depth=0, age_s=0, led=False)},
            "feedback: no instance sends the outbox",
        ),
        (
            {"outbox": Outbox(depth=5, age_s=61, led=True)},
            "feedback: 5 events unsent, the oldest for 61 s",
        ),
        (
            {"lanes": [lane(events_behind=12, seconds_behind=600.0)]},
            "feedback: lane prompt is 12 events behind, the oldest from 10 min ago",
        ),
        (
            {"lanes": [lane(dead_letters=3, parked_keys=1)]},
            (
                "feedback: 3 dead letters in lane prompt, 1 key parked "
                "> feedback redrive list --lane prompt"
            ),
        ),
        ({"failed_deadlines": 1}, "feedback: 1 deadline failed > feedback redrive list"),
    ],
)
def test_each_thing_that_is_wrong_is_told_once(wrong: dict[str, Any], said: str) -> None:
    assert told(instance(**wrong)) == [said]


def test_a_busy_platform_that_keeps_up_is_well() -> None:
    busy = instance(
        lanes=[lane(events_behind=9_000, seconds_behind=2.0)],
        outbox=Outbox(depth=400, age_s=1.0, led=True),
    )
    assert told(busy) == []
    assert "Coterie is well" in drawn(Glance(NOW, [busy]))


def test_what_concerns_a_service_is_told_once_however_many_instances_it_has() -> None:
    aside = [lane(dead_letters=1, parked_keys=1)]
    halted = [lane(dead_letters=1, parked_keys=1, halted="a limit")]

    found = told(instance(lanes=aside), instance(lanes=halted))

    assert [one.partition(" >")[0] for one in found] == [
        "feedback: lane prompt has halted: a limit",
        "feedback: 1 dead letter in lane prompt, 1 key parked",
    ]


def test_of_the_roles_of_a_service_the_one_that_knows_the_lag_is_heard() -> None:
    api = instance(lanes=[lane(events_behind=None, seconds_behind=None)], role="api")
    consumer = instance(lanes=[lane(events_behind=7, seconds_behind=1.0)], role="consumer")

    shown = drawn(Glance(NOW, [api, consumer]))

    (behind,) = [line.split() for line in shown.splitlines() if "prompt" in line]
    assert behind[2] == "7"
    assert [line.split()[:2] for line in shown.splitlines() if "ready" in line] == [
        ["feedback", "api"],
        ["feedback", "consumer"],
    ]


def test_what_could_not_be_read_is_no_zero() -> None:
    unread = lane(events_behind=None, seconds_behind=None, dead_letters=None, parked_keys=None)
    away = instance(
        lanes=[unread], outbox=None, failed_deadlines=None, waiting_for=["database", "kafka"]
    )

    shown = drawn(Glance(NOW, [away]))

    (service,) = [line.split() for line in shown.splitlines() if "not ready" in line]
    assert service[-3:] == ["?", "?", "?"]
    (consumer,) = [line.split() for line in shown.splitlines() if "prompt" in line]
    assert consumer[2:6] == ["?", "?", "?", "?"]


@pytest.mark.parametrize("width", [80, 120])
def test_a_frame_full_of_trouble_fits(width: int) -> None:
    wrong = {
        "lanes": [lane(dead_letters=12_345, parked_keys=1_234, events_behind=1_234_567)],
        "outbox": Outbox(depth=100_000, age_s=90_000.0, led=False),
        "stuck": ["consumers"],
    }
    names = ("membership", "feedback", "recognition", "notifications")
    gone = Instance(Place("http://gone:1", "membership"), problem="does not answer")
    circles = [
        Circle(
            community_id=str(uuid4()),
            name=f"[red]A circle with a long name {number}",
            status="open",
            capacity=10_000,
            held=9_999,
            free=1,
            waitlisted=1_000,
            offered=20,
        )
        for number in range(9)
    ]
    budget = Budget(
        budget_id=str(uuid4()),
        community_id=circles[0].community_id,
        name="Coffee and gas and more",
        currency="USD",
        funded_minor=1_000_000_00,
        reserved_minor=100_000_00,
        spent_minor=850_000_00,
        available_minor=50_000_00,
        low=True,
    )
    glance = Glance(
        NOW,
        [gone, *(instance(name, **wrong) for name in names)],
        circles,
        [budget],
        frozenset({"seats"}),
    )

    shown = drawn(glance, width)

    assert "[red]A circle wit…" in shown
    assert "and 3 or more others: --json tells them" in shown
    assert "USD low" in shown
    assert ("http://gone:1" in shown) == (width == 120)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx2.Response(403, json={"detail": "This needs\nthe role."}), "This needs the role."),
        (httpx2.Response(404, text="<html>"), "answers 404: is it a service of Coterie?"),
        (httpx2.Response(404, json=[]), "answers 404: is it a service of Coterie?"),
        (httpx2.Response(502, text="bad gateway"), "answers 502: its log tells why"),
        (httpx2.Response(200, text="hello"), "is no service of Coterie"),
        (httpx2.Response(200, json={"service": 3}), "is no service of Coterie"),
    ],
)
async def test_a_place_that_answers_something_else_costs_one_line(
    answer: httpx2.Response, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = httpx2.MockTransport(lambda _: answer)
    client = httpx2.AsyncClient

    def made(**options: Any) -> httpx2.AsyncClient:
        return client(transport=transport, **options)

    monkeypatch.setattr(asking.httpx2, "AsyncClient", made)

    (one,) = (await look([Place("http://host:8000")], "token")).instances

    assert one.problem is not None
    assert one.problem.endswith(said)
    assert "\n" not in one.problem


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_300, "2 h"), (200_000, "2 d")],
)
def test_a_span_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    assert span(seconds) == said
