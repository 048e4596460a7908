"""`coterie import`: a history into a platform that runs, or into one started for it.

A history is the size of a real community's life, so it goes to Apache Kafka where that can run;
the embedded broker drops its oldest records when full, and a log with holes audits as incomplete.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2
from rich.console import Console

from coterie_local.audit import Report as AuditReport
from coterie_local.audit import audit_kafka
from coterie_local.brokers import is_address
from coterie_local.data_folder import DataFolder, Running, running_in
from coterie_local.importers.plan import BrokenHistory, Plan
from coterie_local.importers.report import Report, render
from coterie_local.importers.run import events_expected, import_history, journal_of
from coterie_local.importers.transport import Unreachable
from coterie_local.log import read_kafka
from coterie_local.platform import SERVICES, Options, Platform
from coterie_local.progress import Progress
from coterie_local.tokens import TokenIssuer
from coterie_local.welcome import LOCAL_BRAND
from coterie_replay.brokers.apache import missing_parts
from coterie_replay.brokers.processes import LocalFault

__all__ = ["EMBEDDED_EVENTS", "import_into", "joined", "read_history", "started"]

EMBEDDED_EVENTS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Target:
    """Where a history goes; `kafka` is None where only the services' addresses are known."""

    services: Mapping[str, str]
    tokens: TokenIssuer
    folder: Path
    kafka: str | None


def read_history(read: Callable[[], Plan]) -> Plan:
    """The plan that `read` makes; a missing or broken file becomes a `LocalFault`."""
    try:
        return read()
    except BrokenHistory as broken:
        raise LocalFault(f"the history cannot be read: {broken}") from None
    except OSError as error:
        raise LocalFault(f"the history cannot be read: {error}") from None


def broker_for(plan: Plan, asked: str | None) -> str:
    """What was asked for, else `apache` where it can run, else `embedded`.

    Raises `LocalFault` where that is the embedded broker and the history is too large for it.
    """
    missing = missing_parts()
    broker = asked or ("embedded" if missing else "apache")
    if broker == "embedded" and (events := events_expected(plan)) > EMBEDDED_EVENTS:
        raise LocalFault(
            f"this history leads to about {events:,} events and the embedded broker holds "
            f"{EMBEDDED_EVENTS:,}. {missing or 'Leave --kafka away, or pass another'}"
        )
    return broker


@contextmanager
def started(plan: Plan, data: Path, kafka: str | None, console: Console) -> Iterator[Target]:
    """The platform that runs on `data`, or one that is started there and stopped at the end."""
    if (running := running_in(data)) is not None:
        _refuse_if_too_large(plan, running)
        yield Target(running.services, TokenIssuer(data / "tokens"), data, running.kafka)
        return
    options = Options(data=data, kafka=broker_for(plan, kafka))
    with Platform(options, report=lambda line: console.print(f"  {line}")) as platform:
        yield Target(platform.urls, platform.tokens, data, platform.kafka)


def joined(url: str, plan: Plan, data: Path, kafka: str | None = None) -> Target:
    """The platform whose membership service is at `url`, with the keys of `data`.

    That of `data` is known whole; of another one, the services have four consecutive ports, and
    `kafka` is the broker's address where its log is to be audited.
    Raises `LocalFault` where one of them does not answer, or is none of ours.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if kafka is not None and not is_address(kafka):
        raise LocalFault(f"--kafka {kafka!r} is not HOST:PORT, which goes with --url")
    if host is None or port is None or parts.scheme not in {"http", "https"}:
        raise LocalFault(f"--url {url!r} is not http://HOST:PORT of the membership service")
    running = running_in(data)
    here = url.rstrip("/").replace("//localhost:", "//127.0.0.1:")
    if running is not None and here in running.services.values():
        _refuse_if_too_large(plan, running)
        return Target(running.services, TokenIssuer(data / "tokens"), data, running.kafka)
    if not DataFolder(data).tokens.is_dir():
        raise LocalFault(f"{data} has no keys for tokens: pass the --data of that platform")
    addresses = {
        name: f"{parts.scheme}://{host}:{port + number}" for number, name in enumerate(SERVICES)
    }
    for name, address in addresses.items():
        _meet(name, address)
    return Target(addresses, TokenIssuer(data / "tokens"), data, kafka)


def _meet(name: str, address: str) -> None:
    """Raises `LocalFault` unless the service of that name answers at `address`."""
    try:
        told = httpx2.get(f"{address}/openapi.json", timeout=5.0).json()
    except (httpx2.HTTPError, ValueError) as error:
        raise LocalFault(
            f"{name} does not answer at {address} ({type(error).__name__}): start the platform, "
            "or pass the --url of its membership service"
        ) from None
    if told.get("info", {}).get("title") != f"Coterie {name}":
        raise LocalFault(f"what answers at {address} is not {name}: pass another --url")


def import_into(target: Target, plan: Plan, console: Console) -> tuple[Report, AuditReport | None]:
    """Play `plan`, showing progress, and audit the log; an interrupted one goes on where it was.

    Raises `LocalFault` when a service stays away.
    """
    with Progress(console) as progress:

        def show(done: int, total: int) -> None:
            year = plan.steps[max(done, 1) - 1].at.year
            progress.at(done, total, f"{plan.community.name}, {year}")

        show(0, len(plan.steps))
        try:
            report = asyncio.run(
                import_history(
                    plan,
                    bases=target.services,
                    mint=target.tokens.mint,
                    brand_id=LOCAL_BRAND,
                    journal=journal_of(plan, target.folder),
                    progress=show,
                )
            )
        except Unreachable as away:
            raise LocalFault(f"{away}; the same command goes on where it stopped") from None
    console.print(render(report))
    if target.kafka is None:
        console.print("Not audited: `coterie audit --kafka HOST:PORT` judges that platform's log.")
        return report, None
    console.print("Auditing the log …")
    found = read_kafka(target.kafka, lambda at: audit_kafka(at, _nothing_more))
    console.print(found.render())
    return report, found


async def _nothing_more() -> bool:
    """The history is played; what is left is what the services still publish about it."""
    return True


def _refuse_if_too_large(plan: Plan, running: Running) -> None:
    if running.forgets and (events := events_expected(plan)) > EMBEDDED_EVENTS:
        raise LocalFault(
            f"this history leads to about {events:,} events and the embedded broker of the "
            f"platform that runs holds {EMBEDDED_EVENTS:,}: start it with --kafka apache"
        )
