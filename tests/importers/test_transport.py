"""A command says who, when, once and after what; waiting and refusals have one meaning each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx2
import pytest

from coterie_chassis.auth import Role
from coterie_local.importers.transport import Caller, Refused, Send, Transport, Unreachable

BRAND = uuid4()
ANA = Caller("ana", (Role.MEMBER,))
AT = datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
Handler = Callable[[httpx2.Request], httpx2.Response]


class _Minted:
    def __init__(self) -> None:
        self.asked: list[tuple[str, list[Role]]] = []

    def __call__(self, subject: str, roles: Iterable[Role], *, brand: UUID | None = None) -> str:
        assert brand == BRAND
        self.asked.append((subject, list(roles)))
        return f"token-{len(self.asked)}"


def _transport(handler: Handler, *, patience_s: float = 5.0) -> tuple[Transport, _Minted]:
    mint = _Minted()
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
    bases = {"feedback": "http://feedback.test/"}
    return Transport(http, bases, mint, BRAND, "https://issuer.test", patience_s=patience_s), mint


def _in_turn(*answers: httpx2.Response | Exception) -> tuple[Handler, list[httpx2.Request]]:
    left: Iterator[httpx2.Response | Exception] = iter(answers)
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler, seen


def _busy() -> httpx2.Response:
    problem = {"type": "urn:coterie:problem:not-caught-up", "detail": "Try again shortly."}
    return httpx2.Response(503, json=problem, headers={"Retry-After": "0"})


async def test_a_command_carries_its_circumstances() -> None:
    done = httpx2.Response(201, json={"a": 1}, headers={"ETag": '"4"', "Coterie-Position": "x;4"})
    handler, seen = _in_turn(done)
    transport, mint = _transport(handler)
    send = Send(caller=ANA, at=AT, key="post:1", after="m;1", version=3)
    answer = await transport.command("feedback", "POST", "/feedback", {"text": "a"}, send)
    assert (answer.body, answer.position, answer.version) == ({"a": 1}, "x;4", 4)
    headers = seen[0].headers
    assert str(seen[0].url) == "http://feedback.test/feedback"
    assert headers["Idempotency-Key"] == "post:1"
    assert headers["Coterie-After"] == "m;1"
    assert headers["If-Match"] == '"3"'
    assert datetime.fromisoformat(headers["Coterie-Occurred-At"]) == AT
    assert mint.asked == [("ana", [Role.MEMBER, Role.IMPORTER])]


async def test_a_command_without_a_time_does_not_ask_for_the_importers_role() -> None:
    handler, seen = _in_turn(httpx2.Response(200, json={}))
    transport, mint = _transport(handler)
    await transport.command("feedback", "POST", "/feedback", {}, Send(caller=ANA))
    assert mint.asked == [("ana", [Role.MEMBER])]
    assert not {"Coterie-Occurred-At", "Idempotency-Key", "If-Match"} & set(seen[0].headers)


async def test_a_token_is_used_again_until_it_is_refused() -> None:
    ok, expired = httpx2.Response(200, json={}), httpx2.Response(401, json={})
    handler, seen = _in_turn(ok, expired, httpx2.Response(200, json={}))
    transport, mint = _transport(handler)
    for _ in range(2):
        await transport.command("feedback", "POST", "/feedback", {}, Send(caller=ANA))
    assert [r.headers["Authorization"] for r in seen] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert len(mint.asked) == 2


async def test_a_service_that_is_not_caught_up_is_asked_again_with_the_same_key() -> None:
    handler, seen = _in_turn(_busy(), _busy(), httpx2.Response(200, json={"ok": True}))
    transport, _ = _transport(handler)
    answer = await transport.command("feedback", "POST", "/feedback", {}, Send(caller=ANA, key="k"))
    assert answer.body == {"ok": True}
    assert [request.headers["Idempotency-Key"] for request in seen] == ["k"] * 3
    assert transport.commands == 1


async def test_a_lost_connection_is_tried_again() -> None:
    handler, seen = _in_turn(httpx2.ReadError("gone"), httpx2.Response(200, json={}))
    transport, _ = _transport(handler)
    await transport.command("feedback", "POST", "/feedback", {}, Send(caller=ANA, key="k"))
    assert len(seen) == 2


async def test_patience_ends() -> None:
    transport, _ = _transport(lambda request: _busy(), patience_s=0.05)
    with pytest.raises(Unreachable, match="feedback answers 503"):
        await transport.command("feedback", "POST", "/feedback", {}, Send(caller=ANA))


async def test_a_refusal_names_the_rule() -> None:
    problem = {"type": "urn:coterie:problem:daily-limit", "detail": "Ten a day.", "status": 409}
    transport, _ = _transport(lambda request: httpx2.Response(409, json=problem))
    with pytest.raises(Refused) as caught:
        await transport.command("feedback", "POST", "/feedback", {}, Send(caller=ANA))
    assert (caught.value.rule, caught.value.detail) == ("daily-limit", "Ten a day.")


async def test_a_refusal_without_a_problem_document_names_its_status() -> None:
    transport, _ = _transport(lambda request: httpx2.Response(418, text="short and stout"))
    with pytest.raises(Refused) as caught:
        await transport.query("feedback", "/feedback", Send(caller=ANA), limit=5)
    assert (caught.value.rule, caught.value.detail) == ("http-418", "short and stout")


async def test_a_defect_of_the_platform_is_neither_retried_nor_taken_for_a_refusal() -> None:
    handler, seen = _in_turn(httpx2.Response(500, json={"detail": "a defect"}))
    transport, _ = _transport(handler)
    with pytest.raises(Unreachable, match="answers 500 to POST /feedback"):
        await transport.command("feedback", "POST", "/feedback", {}, Send(caller=ANA))
    assert len(seen) == 1
