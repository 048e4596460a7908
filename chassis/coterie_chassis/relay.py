"""Sends the outbox to Kafka: in id order, acknowledged by all replicas, exactly the sent rows out.

Why order holds. Rows of one key have ids in commit order, because each is written under its
aggregate's row lock. So whatever a leader reads at one moment holds, for each key, its earliest
rows that are not delivered yet: a row that commits late has a higher id than every earlier row of
its key, rows in flight are left out by exact id and never by a bound, and rows are removed only
once they are acknowledged. Batch N+1 is read and packed while batch N is in flight, and sent after
every record of batch N is acknowledged; within a batch the idempotent producer keeps a partition's
order through its own retries, and after a failure its sequence numbers make the broker refuse what
would follow the gap.

Why a second sender does no harm. A leader that stops without noticing (SIGSTOP, a lost network)
keeps what it has read. Another takes the lock once the session is gone, reads the same remaining
rows and sends them again. What the first still sends when it wakes was read under the argument
above and follows only what it saw acknowledged, so it repeats or comes first, but no event of a key
is delivered for the first time before an earlier one: the topic gets duplicates, which the inbox
drops. To keep those few, a leader that cannot prove its lock for as long as its session would
outlive it sends nothing more, and one that loses its connection drops what is still queued.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import Row, select, text

from coterie_chassis import connections, telemetry
from coterie_chassis.deadletter import COMPACTED
from coterie_chassis.errors import describe
from coterie_chassis.outbox import CurrentState, headers_of, row_of
from coterie_chassis.sending import Packed, Sender
from coterie_chassis.store import SESSION
from coterie_chassis.tables import outbox_archive
from coterie_chassis.telemetry import Telemetry

if TYPE_CHECKING:
    from coterie_chassis.settings import ChassisSettings
    from coterie_chassis.store import Database

__all__ = ["LEADER", "Relay"]

_Row = Row[int, str, bytes, bytes, bytes | None]
_Written = tuple[UUID, str, bytes, bytes, bytes | None]
_log = logging.getLogger(__name__)
LEADER: Final = 7_203_553
_CHANNEL: Final = "coterie_outbox"
_RENEW_S: Final = 1.0
_LEASE_S: Final = 5.0
_ANSWER_S: Final = 5.0
_SEND_TIMEOUT_S: Final = 30.0
_RING_EVERY_S: Final = 0.005
_PAUSE_S: Final = 0.5
_GIVE_WAY_S: Final = 0.002  # to those who wait for what was sent


class LostLeadership(Exception):
    """The lock is not proven any more; another instance may be sending already."""


class _Batch(NamedTuple):
    """Rows that are read and packed, to be sent at once; `ranges` are their ids as text."""

    ids: list[int]
    ranges: str
    packed: Packed


_NOTHING: Final = _Batch([], "", Packed([], 0))


class _Leaving:
    """Acknowledged batches on their way out; one statement at a time takes all that wait."""

    def __init__(self, remove: Callable[[Sequence[int]], Awaitable[None]], most: int) -> None:
        self._remove = remove
        self._most = most
        self._waiting: list[_Batch] = []
        self._removing: list[_Batch] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def ranges(self) -> list[str]:
        """What may still be in the table."""
        return [batch.ranges for batch in self._removing + self._waiting]

    async def add(self, batch: _Batch) -> None:
        """Have `batch` removed, waiting where too much is; raises what has failed meanwhile."""
        self._waiting.append(batch)
        waiting = sum([len(batch.ids) for batch in self._waiting])
        if self._task is None or self._task.done() or waiting > self._most:
            await self.done()
            self._task = asyncio.create_task(self._go_on())

    def check(self) -> None:
        """Raise what has failed, if anything has."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def done(self) -> None:
        """Return when nothing is under way. Raises what failed."""
        if self._task is not None:
            await self._task

    async def _go_on(self) -> None:
        await asyncio.sleep(_GIVE_WAY_S)
        while self._waiting:
            self._removing, self._waiting = self._waiting, []
            await self._remove([id_ for batch in self._removing for id_ in batch.ids])
            self._removing = []


class Relay:
    """The one sender of a service's outbox at a time, over all its instances."""

    def __init__(
        self,
        database: Database,
        settings: ChassisSettings,
        current_state: Sequence[CurrentState] = (),
    ) -> None:
        self._database = database
        self._settings = settings
        self._current_state = current_state
        self._telemetry = Telemetry(database.service)
        self._autocommit = database.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._doorbell = asyncio.Event()
        self._announce = asyncio.Event()
        self._stopping = asyncio.Event()
        self._lost = False
        self._proven_at = 0.0
        self._archive_days: set[str] = set()
        self._refill = settings.refill_on_start
        self.leading = False
        self.waits_for_kafka = False
        self.last_progress = time.monotonic()

    def ring(self) -> None:
        """Something was committed: called after the commit, never blocks."""
        self._doorbell.set()
        self._announce.set()

    def stop(self) -> None:
        """Finish the batch under way and hand the lock over."""
        self._stopping.set()
        self._doorbell.set()
        self._announce.set()

    async def run(self) -> None:
        """Lead whenever the lock is free, until `stop`."""
        announcer = asyncio.create_task(self.announce())
        try:
            while not self._stopping.is_set():
                self.last_progress = time.monotonic()
                try:
                    await self._try_to_lead()
                except Exception as error:  # noqa: BLE001 - the loop outlives any failure
                    self._telemetry.record(telemetry.RELAY_FAILURES, 1)
                    _log.warning("relay starts again", exc_info=error)
                await self._pause(_PAUSE_S)
        finally:
            announcer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await announcer

    async def _try_to_lead(self) -> None:
        lock = await asyncpg.connect(
            _libpq(self._database),
            timeout=_ANSWER_S,
            **self._database.tls_options,
            server_settings={
                **SESSION,
                "application_name": f"coterie-{self._database.service}-relay",
                "idle_session_timeout": f"{int(_LEASE_S)}s",
            },
        )
        try:
            proven_at = time.monotonic()
            if await lock.fetchval(_TRY_LOCK, LEADER, timeout=_ANSWER_S):
                self._lost, self._proven_at = False, proven_at
                lock.add_termination_listener(self._lose)
                await lock.add_listener(_CHANNEL, lambda *_: self._doorbell.set())
                await self._lead_while_locked(lock)
            else:
                self.waits_for_kafka = False
        finally:
            self.leading = False
            with contextlib.suppress(Exception):
                await lock.close(timeout=2)

    async def _lead_while_locked(self, lock: asyncpg.Connection[Any]) -> None:
        """Lead until `stop`; abort in the middle of whatever is done when the lock is lost."""
        leading = asyncio.create_task(self._lead())
        renewing = asyncio.create_task(self._renew(lock))
        try:
            await asyncio.wait({leading, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not leading.done():
                raise LostLeadership
            await leading
        finally:
            for task in (leading, renewing):
                task.cancel()
            await asyncio.wait({leading, renewing})

    async def _renew(self, lock: asyncpg.Connection[Any]) -> None:
        """Prove once a second that the lock's session lives; return when it does not."""
        try:
            while not self._lost:
                asked_at = time.monotonic()
                await lock.fetchval("SELECT 1", timeout=_RENEW_S * 3)
                self._proven_at = asked_at
                await asyncio.sleep(_RENEW_S)
        except Exception as error:  # noqa: BLE001 - whatever failed, the lock is not proven
            _log.warning("relay lost its lock connection: %s", describe(error))
        self._lose()

    def _lose(self, *_: object) -> None:
        self._lost = True
        self._doorbell.set()

    async def _lead(self) -> None:
        sender = Sender(
            self._settings.kafka_bootstrap,
            client_id=f"coterie-{self._database.service}-relay",
            **connections.kafka_options(self._settings),
        )
        self.waits_for_kafka = True
        try:
            await sender.start()
            self.leading, self.waits_for_kafka = True, False
            if self._refill:
                await self.republish(sender, since=None)
                self._refill = False
            async with self._leaving() as leaving:
                while not self._stopping.is_set():
                    await self._send_what_waits(sender, leaving)
        finally:
            await sender.abort()

    @asynccontextmanager
    async def _leaving(self) -> AsyncIterator[_Leaving]:
        leaving = _Leaving(self._remove, most=self._settings.relay_batch_size)
        try:
            yield leaving
        finally:
            await leaving.done()

    async def _send_what_waits(self, sender: Sender, leaving: _Leaving) -> None:
        """What was asked to be sent again, then the outbox; wait until there may be more."""
        self._check_lock()
        leaving.check()
        async with asyncio.TaskGroup() as both:
            first = both.create_task(self._next_batch(sender, except_for=leaving.ranges))
            both.create_task(self._serve_republish_requests(sender))
        await self._drain(sender, first.result(), leaving)
        self.last_progress = time.monotonic()
        if not self._stopping.is_set():
            await self._wait_for_doorbell()

    async def _drain(self, sender: Sender, batch: _Batch, leaving: _Leaving) -> None:
        """Send `batch` and on until the outbox is empty; packs the next while one is in flight.

        After a batch that was not full there is more only if the doorbell has rung since.
        """
        while batch.ids and not self._stopping.is_set():
            self._check_lock()
            sending = asyncio.create_task(self._send(sender, batch.packed))
            try:
                following = _NOTHING
                if len(batch.ids) == self._settings.relay_batch_size or self._doorbell.is_set():
                    in_flight = [*leaving.ranges, batch.ranges]
                    following = await self._next_batch(sender, except_for=in_flight)
                await sending
            except BaseException:
                sending.cancel()
                await asyncio.wait({sending})
                raise
            await leaving.add(batch)
            self.last_progress = time.monotonic()
            batch = following

    async def _next_batch(self, sender: Sender, *, except_for: Sequence[str]) -> _Batch:
        rows = await self._fetch(except_for=except_for)
        ids = [row[0] for row in rows]
        return _Batch(ids, _ranges(ids), await _pack(sender, rows))

    async def _fetch(self, *, except_for: Sequence[str]) -> Sequence[_Row]:
        """The oldest rows but those in flight, named one by one: a bound would skip some."""
        self._doorbell.clear()
        in_flight = f"{{{','.join(except_for)}}}"
        async with self._driver() as driver:
            rows: Sequence[_Row] = await driver.fetch(
                _OLDEST, in_flight, self._settings.relay_batch_size
            )
            return rows

    async def _send(self, sender: Sender, packed: Packed) -> None:
        """Send in order and wait for every acknowledgement."""
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await sender.send(packed)
        self._telemetry.record(telemetry.RELAY_SENT, packed.count)

    async def _remove(self, ids: Sequence[int]) -> None:
        """Move exactly the acknowledged rows to the archive; compacted topics are not kept."""
        await self._ensure_archive_partition()
        async with self._driver() as driver:
            await driver.execute(_ARCHIVE, _listed(ids), sorted(COMPACTED))

    @asynccontextmanager
    async def _driver(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """The driver's own connection: each statement is a transaction, and one round trip."""
        async with self._autocommit.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            try:
                yield driver
            except BaseException:
                await connection.invalidate()  # the pool did not see what happened to it
                raise

    async def _ensure_archive_partition(self) -> None:
        today = datetime.now(UTC).date()
        for day in (today, today + timedelta(days=1)):
            name = f"outbox_archive_{day:%Y_%m_%d}"
            if name in self._archive_days:
                continue
            async with self._database.engine.begin() as connection:
                await connection.execute(
                    text(
                        f'CREATE TABLE IF NOT EXISTS "{name}" PARTITION OF outbox_archive '
                        f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
                    )
                )
            self._archive_days.add(name)

    async def republish(self, sender: Sender, *, since: datetime | None) -> int:
        """Send the archive again, oldest first and before any live row, with identical ids.

        Compacted topics follow from current state.
        """
        after, sent = 0, 0
        while True:
            rows = await self._fetch_archived(after, since)
            if not rows:
                break
            self._check_lock()
            await self._send(sender, await _pack(sender, rows))
            self.last_progress = time.monotonic()
            after, sent = rows[-1].id, sent + len(rows)
        for state in self._current_state:
            sent += await self._republish_state(sender, state)
        if sent:
            _log.info("archive and current state sent again", extra={"count": sent})
        return sent

    async def _republish_state(self, sender: Sender, state: CurrentState) -> int:
        """Send what stands now of a compacted topic; live rows follow and win."""
        after: UUID | None = None
        sent = 0
        while True:
            async with self._database.begin() as uow:
                page = await state.page(uow, after)
                rows = [
                    row_of(draft, cause, service=uow.service, now=uow.now) for cause, draft in page
                ]
            if not page:
                return sent
            self._check_lock()
            await self._send(sender, await _pack(sender, map(_AS_READ, rows)))
            self.last_progress = time.monotonic()
            after, sent = page[-1][1].subject, sent + len(page)

    async def _fetch_archived(self, after: int, since: datetime | None) -> Sequence[_Row]:
        kept = outbox_archive.c
        statement = (
            select(kept.id, kept.topic, kept.key, kept.headers, kept.value)
            .where(kept.id > after)
            .order_by(kept.id)
            .limit(self._settings.relay_batch_size)
        )
        if since is not None:
            statement = statement.where(kept.sent_at >= since)
        async with self._autocommit.connect() as connection:
            return (await connection.execute(statement)).all()

    async def _serve_republish_requests(self, sender: Sender) -> None:
        """Do what `republish` asked for, before any live row."""
        async with self._driver() as driver:
            requests = await driver.fetch(_REQUESTS)
        for id_, since in requests:
            sent = await self.republish(sender, since=since)
            async with self._database.engine.begin() as connection:
                await connection.execute(_SERVED, {"id": id_, "sent": sent})

    async def prune_archive(self) -> int:
        """Drop archive partitions older than the retention; returns how many."""
        if self._settings.archive_retention_days == 0:
            return 0
        days = timedelta(days=self._settings.archive_retention_days)
        horizon = (datetime.now(UTC) - days).date()
        async with self._database.engine.begin() as connection:
            names = [row.name for row in (await connection.execute(_ARCHIVE_PARTITIONS)).all()]
            old = [n for n in names if n < f"outbox_archive_{horizon:%Y_%m_%d}"]
            for name in old:
                await connection.execute(text(f'DROP TABLE "{name}"'))
        self._archive_days -= set(old)
        return len(old)

    def _check_lock(self) -> None:
        if self._lost or time.monotonic() - self._proven_at > _LEASE_S:
            raise LostLeadership

    async def _wait_for_doorbell(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.relay_poll_ms / 1000):
                await self._doorbell.wait()

    async def announce(self) -> None:
        """Tell the leader in another process: after commits, at most once in 5 ms.

        Part of `run`; alone where this instance relays nothing.
        """
        while True:
            await self._announce.wait()
            self._announce.clear()
            if not self.leading and not self._stopping.is_set():
                with contextlib.suppress(Exception):
                    async with self._database.engine.begin() as connection:
                        await connection.execute(text(f"NOTIFY {_CHANNEL}"))
            await asyncio.sleep(_RING_EVERY_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


async def _pack(sender: Sender, rows: Iterable[_Row | _Written]) -> Packed:
    return await sender.pack(
        (topic, key, headers_of(headers, key), value) for _, topic, key, headers, value in rows
    )


def _ranges(ids: Iterable[int]) -> str:
    """Exactly these ids as ranges: one that was not read, in a gap, is in none of them."""
    spans: list[tuple[int, int]] = []
    for id_ in ids:
        if spans and spans[-1][1] + 1 == id_:
            spans[-1] = (spans[-1][0], id_)
        else:
            spans.append((id_, id_))
    return ",".join([f"[{first},{last}]" for first, last in spans])


def _listed(ids: Iterable[int]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"


def _libpq(database: Database) -> str:
    url = database.url.set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


_AS_READ: Final[Callable[[dict[str, Any]], _Written]] = itemgetter(
    "event_id", "topic", "key", "headers", "value"
)
# Ids go as text, which PostgreSQL reads ten times as fast as the driver encodes an array; as a
# subquery it is read once and not again for every row. Rows are read by the driver itself: of what
# a row costs here, a result of SQLAlchemy's was a fifth.
_OLDEST: Final = (
    "SELECT id, topic, key, headers, value FROM outbox "
    "WHERE NOT id <@ (SELECT CAST($1::text AS int8multirange)) ORDER BY id LIMIT $2"
)
_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1)"
# Commits without waiting for the disk, which commands and consumers then have to themselves: if
# PostgreSQL crashes within the moment, the rows stand again and are sent again, as after any crash.
_ARCHIVE: Final = (
    "WITH quietly AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), "
    "sent AS (DELETE FROM outbox WHERE id = ANY(CAST($1::text AS bigint[])) RETURNING *) "
    "INSERT INTO outbox_archive (id, event_id, topic, key, headers, value) "
    "SELECT id, event_id, topic, key, headers, value FROM sent, quietly "
    "WHERE topic <> ALL($2::text[])"
)
_ARCHIVE_PARTITIONS: Final = text(
    "SELECT child.relname AS name FROM pg_inherits "
    "JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = 'outbox_archive'::regclass"
)
_REQUESTS: Final = "SELECT id, since FROM republish_request WHERE served_at IS NULL ORDER BY id"
_SERVED: Final = text("UPDATE republish_request SET served_at = now(), sent = :sent WHERE id = :id")
