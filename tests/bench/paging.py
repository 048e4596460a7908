"""What the pages that members and managers open read, however much lies behind them.

Rows read are counted by `EXPLAIN (ANALYZE)` of the very statements that a request ran: those that
scans returned and those that they filtered away.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, Final

import asyncpg
from sqlalchemy import event as sqlalchemy_event

from coterie_chassis.auth import Principal, Role
from coterie_chassis.service import Service
from coterie_chassis.store import Database
from coterie_chassis.testing import Harness, create_database, harness
from coterie_feedback.service import service as feedback
from coterie_local.tokens import ISSUER
from coterie_notifications.service import service as notifications
from coterie_recognition.service import service as recognition
from tests.bench import circles
from tests.bench.circles import Circle
from tests.bench.measure import Measured, Stopwatch, row
from tests.bench.rig import Rig

__all__ = ["PAGES", "Page", "pages_behind", "rows_read"]

MEMBERS: Final = 100
A_SEASON: Final = 100  # suggestions of the running season, each rated by everybody
A_MONTH: Final = 20  # notices to each member
LONG_AGO: Final = 200  # days: in other seasons and outside of every window of the guard
TRIES: Final = 40
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "recognition": {"code_keys": {"bench": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of one service, and whether a member or a manager opens it.

    One that is not `bounded` is told and judged by nobody: it weighs all suggestions of its circle.
    """

    name: str
    service: Service
    path: str
    by_staff: bool = False
    bounded: bool = True


PAGES: Final = (
    Page("board", feedback, "/communities/{community}/board"),
    Page(
        "board_by_support",
        feedback,
        "/communities/{community}/board?order=support",
        bounded=False,
    ),
    Page("merit", recognition, "/members/{member}/merit"),
    Page("inbox", notifications, "/communities/{community}/inbox"),
    Page("offer_preview", notifications, "/communities/{community}/offers/preview", by_staff=True),
)


class Opened:
    """The services of a circle, with so many ratings behind it."""

    def __init__(self, circle: Circle, running: dict[str, Harness], urls: dict[str, str]) -> None:
        self._circle = circle
        self._running = running
        self._urls = urls
        manager = frozenset({Role.MANAGER})
        self._manager = Principal(ISSUER, "manager", manager, circle.brand_id, None)
        self._member = Principal(ISSUER, circle.names[0], frozenset({Role.MEMBER}))

    async def rows(self, page: Page) -> int:
        """Rows that one request reads."""
        h = self._running[page.service.name]
        with said(h.database) as statements:
            await self._open(page)
        connection = await asyncpg.connect(self._urls[page.service.name])
        try:
            return sum([await rows_read(connection, *one) for one in statements])
        finally:
            await connection.close()

    async def p95_ms(self, page: Page) -> float:
        """Milliseconds within which 95 of 100 requests are answered, one at a time."""
        times = []
        for _ in range(TRIES):
            watch = Stopwatch()
            await self._open(page)
            times.append(watch.seconds * 1_000)
        return quantiles(times, n=100)[94]

    async def _open(self, page: Page) -> None:
        circle = self._circle
        path = page.path.format(community=circle.community_id, member=circle.members[0])
        who = self._manager if page.by_staff else self._member
        answer = await self._running[page.service.name].get(path, as_=who)
        assert answer.status_code == 200, answer.text


@contextmanager
def said(database: Database) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """The queries that run inside the block, with their parameters."""
    statements: list[tuple[str, tuple[Any, ...]]] = []

    def note(_c: Any, _cur: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            statements.append((statement, tuple(parameters)))

    engine = database.engine.sync_engine
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)


async def rows_read(
    connection: asyncpg.Connection, statement: str, parameters: tuple[Any, ...]
) -> int:
    """Rows that the scans of a query read; what it changes is undone."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *parameters)
    finally:
        await transaction.rollback()
    return scanned(json.loads(told)[0]["Plan"])


def scanned(plan: dict[str, Any]) -> int:
    """Rows read by a plan's scans of tables, those that were filtered away included."""
    own = 0
    if "Relation Name" in plan and plan["Node Type"].endswith("Scan"):
        one = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        one += plan.get("Rows Removed by Index Recheck", 0)
        own = round(one * plan["Actual Loops"])
    return own + sum(scanned(part) for part in plan.get("Plans", ()))


@asynccontextmanager
async def pages_behind(rig: Rig, ratings: int) -> AsyncIterator[Opened]:
    """A circle of 100 with a season of ratings, and `ratings` more from before it."""
    circle = Circle(MEMBERS)
    services = {page.service.name: page.service for page in PAGES}
    urls = {name: await create_database(rig.admin_url, s) for name, s in services.items()}
    for name, url in urls.items():
        connection = await asyncpg.connect(url)
        await circles.keep_circle(connection, circle)
        await FILLED[name](connection, circle, ratings // MEMBERS)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()
    async with AsyncExitStack() as stack:
        running = {
            name: await stack.enter_async_context(harness(service, urls[name], SETTINGS.get(name)))
            for name, service in services.items()
        }
        yield Opened(circle, running, urls)


async def fill_feedback(connection: asyncpg.Connection, circle: Circle, before: int) -> None:
    """A season of suggestions, and `before` older ones, all rated by everybody."""
    for count, since in ((A_SEASON, 0), (before, LONG_AGO)):
        if count:
            ids = await circles.keep_suggestions(connection, circle, count, days=30, since=since)
            await circles.keep_ratings(connection, circle, ids)


async def fill_recognition(connection: asyncpg.Connection, circle: Circle, before: int) -> None:
    """The ratings of a season and of those before it."""
    for count, days_ago in ((A_SEASON, 0), (before, LONG_AGO)):
        await circles.keep_facts(connection, circle, count, days_ago=days_ago)


async def fill_notifications(connection: asyncpg.Connection, circle: Circle, before: int) -> None:
    """What everybody was told in a month, and as much as there are ratings before it."""
    for count, since in ((A_MONTH, 0), (before, LONG_AGO)):
        if count:
            await circles.keep_notices(connection, circle, count, days=27, since=since)


FILLED: Final = {
    feedback.name: fill_feedback,
    recognition.name: fill_recognition,
    notifications.name: fill_notifications,
}


@row("rows read", at_most=1.5)
async def pages(rig: Rig) -> Measured:
    """Rows that the worst page of a circle of 100 reads, 1,000,000 ratings behind it over none."""
    told: dict[str, float] = {}
    read: dict[str, list[int]] = {page.name: [] for page in PAGES}
    for suffix, ratings in (("", rig.ratings), ("_new", 0)):
        rig.say(f"{ratings:,} ratings behind a circle of {MEMBERS}")
        async with pages_behind(rig, ratings) as opened:
            for page in PAGES:
                rows = await opened.rows(page)
                read[page.name].append(rows)
                told[f"{page.name}{suffix}_rows"] = rows
                told[f"{page.name}{suffix}_p95_ms"] = round(await opened.p95_ms(page), 1)
    judged = [read[page.name] for page in PAGES if page.bounded]
    worst = max(judged, key=lambda rows: rows[0] / rows[1])
    return Measured([(worst[0], worst[1])], told)
