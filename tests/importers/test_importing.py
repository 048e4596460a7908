"""Where an import may go: what is missing, too small or somebody else's is said in one line."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from coterie_local import importing
from coterie_local.importers.plan import Plan
from coterie_local.importers.polis import plan_polis
from coterie_local.platform import SERVICES
from coterie_local.tokens import TokenIssuer
from coterie_replay.brokers.processes import LocalFault, free_port, port_is_free

HISTORY = Path(__file__).parent.parent / "histories" / "polis"


class Titled(HTTPServer):
    """A server that says which service it is, as every service's openapi.json does."""

    def __init__(self, port: int, title: str) -> None:
        self.title = title
        super().__init__(("127.0.0.1", port), _Answer)


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Titled)
        body = json.dumps({"info": {"title": self.server.title}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Not into the tests' output."""


@pytest.fixture
def plan() -> Plan:
    return plan_polis(HISTORY)


@pytest.fixture
def large(plan: Plan) -> Plan:
    return replace(plan, steps=plan.steps * (importing.EMBEDDED_EVENTS // len(plan.steps) + 1))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A data folder that has keys for tokens, on which nothing runs."""
    TokenIssuer(tmp_path / "tokens")
    return tmp_path


def _from(base: int) -> range:
    return range(base, base + len(SERVICES))


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Titled]]:
    """Four servers at consecutive ports, each named for its service."""
    base = next(base for base in iter(free_port, None) if all(map(port_is_free, _from(base))))
    servers = [
        Titled(port, f"Coterie {name}") for port, name in zip(_from(base), SERVICES, strict=True)
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_platform_elsewhere_is_found_by_its_first_port(
    services: list[Titled], plan: Plan, keys: Path
) -> None:
    base = services[0].server_port
    target = importing.joined(f"http://127.0.0.1:{base}/", plan, keys)
    assert list(target.services) == list(SERVICES)
    assert target.services["notifications"] == f"http://127.0.0.1:{base + 3}"
    assert target.kafka is None


def test_somebody_else_at_a_port_is_named(services: list[Titled], plan: Plan, keys: Path) -> None:
    services[2].title = "Petstore"
    with pytest.raises(LocalFault, match=r"what answers at .* is not recognition: pass another"):
        importing.joined(f"http://127.0.0.1:{services[0].server_port}", plan, keys)


def test_a_platform_that_is_away_is_said_at_once(plan: Plan, keys: Path) -> None:
    with pytest.raises(LocalFault, match=r"membership does not answer at http://127\.0\.0\.1:1 "):
        importing.joined("http://127.0.0.1:1", plan, keys)


@pytest.mark.parametrize(
    "url", ["nonsense", "127.0.0.1:8000", "http://host", "http://h:port", "x:"]
)
def test_what_is_no_address_is_refused(url: str, plan: Plan, keys: Path) -> None:
    with pytest.raises(LocalFault, match=r"is not http://HOST:PORT"):
        importing.joined(url, plan, keys)


def test_without_the_keys_of_a_platform_nothing_is_sent(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match=r"has no keys for tokens: pass the --data"):
        importing.joined("http://127.0.0.1:1", plan, tmp_path / "nowhere")


def test_a_running_platform_is_known_whole_and_keeps_what_it_can_hold(
    plan: Plan, large: Plan, keys: Path
) -> None:
    services = {name: f"http://127.0.0.1:{9_000 + 7 * n}" for n, name in enumerate(SERVICES)}
    running = {"pid": 1, "kafka": "127.0.0.1:9", "forgets": True, "services": services}
    (keys / "platform.json").write_text(json.dumps(running))
    with (keys / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        target = importing.joined("http://localhost:9000", plan, keys)
        assert target.services == services
        assert target.kafka == "127.0.0.1:9"
        with pytest.raises(LocalFault, match=r"holds 20,000: start it with --kafka apache"):
            importing.joined("http://localhost:9000", large, keys)


@pytest.mark.parametrize("missing", [None, "there is no Java: install it"])
def test_the_embedded_broker_takes_no_history_that_it_cannot_hold(
    missing: str | None, plan: Plan, large: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "missing_parts", lambda: missing)
    assert importing.broker_for(plan, "embedded") == "embedded"
    assert importing.broker_for(large, "host:9092") == "host:9092"
    assert importing.broker_for(plan, None) == ("embedded" if missing else "apache")
    with pytest.raises(LocalFault, match=r"embedded broker holds 20,000\. .*(Java|--kafka)"):
        importing.broker_for(large, "embedded")
    if missing:
        with pytest.raises(LocalFault, match="there is no Java"):
            importing.broker_for(large, None)
    else:
        assert importing.broker_for(large, None) == "apache"
