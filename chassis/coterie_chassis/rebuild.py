"""Projections made again from the log beside the live ones, compared, and swapped if asked.

The same consumer applies the log with the same handlers to a schema of its own, which has the
service's tables and an outbox that stays empty: nothing is published, sent or noted in the live
schema. What the live database left out is left out here too: letters that are open or dropped, and
beyond the group's offsets what its inbox does not know.

Consumers go on meanwhile. For the comparison alone the inbox and the projections are locked against
writers, so both sides stand at the same event; a batch that meets the lock is undone and comes
again. Readers never wait. Whatever interrupts a rebuild leaves a schema at most, which the next run
drops.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from aiokafka import TopicPartition
from sqlalchemy import Column, MetaData, Table, Uuid, text
from sqlalchemy.exc import DBAPIError

from coterie_chassis import comparison, connections, migrate
from coterie_chassis.comparison import Comparison, Schemas
from coterie_chassis.consumer import Batch, Fold, Handler, LaneConsumer, handles
from coterie_chassis.deadletter import COMPACTED, Record, attributed_event_id
from coterie_chassis.errors import ConfigurationFault, HaltedConsumer, is_transient
from coterie_chassis.inbox import Inbox
from coterie_chassis.outbox import message_of
from coterie_chassis.projections import Projection, writers
from coterie_chassis.store import Database, SilentUnitOfWork, UnitOfWork, bulk_insert
from coterie_chassis.topiclog import Offsets, TopicLog
from coterie_contracts.community import ClockAdvanced, ClockMode
from coterie_contracts.envelope import Unreadable, decode
from coterie_contracts.member import MemberErased
from coterie_contracts.topics import TOPICS, Lane, topic_of

if TYPE_CHECKING:
    from coterie_chassis.service import Runtime

__all__ = ["Rebuilt", "Tell", "rebuild"]

_log = logging.getLogger(__name__)
_ALONE: Final = 7_203_555
_SMALL: Final = 2_000
_ROUNDS: Final = 8
_ATTEMPTS: Final = 60
_PAUSE_S: Final = 0.5

Tell = Callable[[int, int], None]
"""Called after each batch with the records read so far and those known to be there in all."""

_went_live: Final = Table("went_live", MetaData(), Column("community_id", Uuid, primary_key=True))


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild found. `failed` are events that could not be applied; `swapped` says that
    rows were mended, and then `tables` tells what still differs."""

    read: int = 0
    left_out: int = 0
    unreadable: int = 0
    failed: list[str] = field(default_factory=list)
    tables: list[Comparison] = field(default_factory=list)
    before: list[Comparison] = field(default_factory=list)
    swapped: bool = False

    @property
    def equal(self) -> bool:
        return not self.failed and all(one.equal for one in self.tables)


@handles(ClockAdvanced, fold=Fold.EVERY)
async def _note_going_live(events: Batch[ClockAdvanced], uow: UnitOfWork) -> None:
    """Remember whose driven clock ended, for columns that this moment restarted."""
    live = {e.data.community_id for e in events if e.data.mode is ClockMode.WALL}
    rows = [{"community_id": id_} for id_ in sorted(live)]
    await bulk_insert(uow, _went_live, rows, on_conflict_do_nothing=True)


async def rebuild(
    runtime: Runtime, *, swap: bool = False, refilled: bool = False, tell: Tell = lambda *_: None
) -> Rebuilt:
    """Make the service's projections again, compare them and, with `swap`, mend the live ones.

    `refilled` says that every owner has sent its whole archive again, so that a partition may
    begin later than at its first event. Raises `ConfigurationFault` where the log cannot tell
    everything, or another rebuild is running; `TimeoutError` where the database or Kafka does not
    let it go on.
    """
    service = runtime.service
    if not service.projections:
        return Rebuilt()
    await migrate.check_schema(runtime.database, service)
    async with AsyncExitStack() as stack:
        schemas = await stack.enter_async_context(_shadow_schema(runtime.database))
        shadow = Database(
            runtime.settings.database_url.get_secret_value(),
            service=service.name,
            pool_size=2,
            tls=connections.database_tls(runtime.settings),
            shadow=schemas.rebuilt.strip('"'),
        )
        stack.push_async_callback(shadow.close)
        await migrate.upgrade(shadow, service)
        async with shadow.engine.begin() as connection:
            await connection.run_sync(_went_live.create)
        topics = _Topics.of(runtime).all
        log = await stack.enter_async_context(TopicLog(runtime.settings, topics))
        _refuse_a_cut_log(log, service.name, refilled=refilled)
        run = _Run(runtime, shadow, log, schemas=schemas, tell=tell)
        await run.read_what_took_effect()
        return await run.compare_at_one_event(swap=swap)


@dataclass(frozen=True, slots=True)
class _Topics:
    """What is read: what the service listens to, by lane, and its own topics."""

    heard: dict[Lane, frozenset[str]]
    own: frozenset[str]

    @classmethod
    def of(cls, runtime: Runtime) -> _Topics:
        service = runtime.service
        bodies = {body for handler in writers(service.projections) for body in handler.bodies}
        own = frozenset(body.topic for body in bodies if topic_of(body).owner == service.name)
        return cls({lane.lane: frozenset(lane.topics) for lane in runtime.lanes}, own)

    @property
    def all(self) -> frozenset[str]:
        return self.own.union(*self.heard.values())


class _Run:
    """One rebuild: the log into the shadow, then both sides at one event."""

    def __init__(
        self, runtime: Runtime, shadow: Database, log: TopicLog, *, schemas: Schemas, tell: Tell
    ) -> None:
        self._runtime = runtime
        self._projections = runtime.service.projections
        self._live = runtime.database
        self._shadow = shadow
        self._log = log
        self._topics = _Topics.of(runtime)
        self._schemas = schemas
        self._found = Rebuilt()
        self._tell = tell
        self._letters = _Letters()
        self._skipped: set[UUID] = set()
        self._waiting: set[UUID] = set()
        handlers = [*writers(self._projections)]
        if runtime.service.circle:
            handlers.append(_note_going_live)
        self._lanes = _lanes(handlers, shadow)

    async def read_what_took_effect(self) -> None:
        """Read up to the offsets that the service's groups have committed, until that is near."""
        for _ in range(_ROUNDS):
            stops = await self._committed()
            async with self._live.begin() as uow:  # a letter is stored before its offset
                self._letters = await _Letters.of(uow)
            if not (behind := self._log.behind(stops)):
                return
            await self._read(stops)
            if behind < _SMALL:
                return

    async def compare_at_one_event(self, *, swap: bool) -> Rebuilt:
        """Hold all writers up, read what they had done by then, compare and, if asked, mend."""
        async with _held(self._live, self._projections) as uow:
            self._letters = await _Letters.of(uow)
            if self._waiting - self._letters.ids:
                raise ConfigurationFault("dead letters were redriven meanwhile: rebuild once more")
            unsent = await self._unsent(uow)
            await self._read(await self._log.ends(), known_to=uow)
            await self._apply(unsent)
            await self._refuse_a_log_that_lacks_events(uow)
            self._found.failed = await _failed(self._shadow)
            self._found.tables = await self._compare(uow)
            self._found.before = self._found.tables
            if swap and not self._found.equal and not self._found.failed:
                await self._swap(uow)
        return self._found

    async def _swap(self, uow: UnitOfWork) -> None:
        differing = [one.projection for one in self._found.tables if not one.equal]
        communities: set[UUID] = set()
        for projection in differing:
            communities |= await comparison.mended_communities(uow, projection, self._schemas)
        for projection in differing:
            await comparison.mend(uow, projection, self._schemas)
        if self._runtime.service.after_swap is not None:
            await self._runtime.service.after_swap(uow, communities)
        self._found.tables = await self._compare(uow)
        self._found.swapped = True

    async def _compare(self, uow: UnitOfWork) -> list[Comparison]:
        return [await comparison.compare(uow, each, self._schemas) for each in self._projections]

    async def _committed(self) -> Offsets:
        """How far each group is, and the ends of the service's own topics."""
        stops: dict[TopicPartition, int] = {}
        for lane, topics in self._topics.heard.items():
            if topics:
                prefix, name = self._runtime.settings.kafka_group_prefix, self._live.service
                stops |= await self._log.committed(f"{prefix}.{name}.{lane}", topics)
        ends = await self._log.ends()
        _refuse_another_log(stops, ends, self._live.service)
        return stops | {p: end for p, end in ends.items() if p.topic in self._topics.own}

    async def _read(self, stops: Offsets, *, known_to: UnitOfWork | None = None) -> None:
        expected = self._found.read + self._log.behind(stops)
        async for batch in self._log.until(stops):
            self._found.read += len(batch)
            wanted = batch if known_to is None else await self._known(batch, known_to)
            await self._apply([record for record in wanted if self._takes(record)])
            self._tell(self._found.read, expected)

    async def _known(self, batch: Sequence[Record], uow: UnitOfWork) -> list[Record]:
        """What took effect in the live database, of records behind the committed offsets."""
        ids = {id_ for record in batch if (id_ := attributed_event_id(record)) is not None}
        rows = await uow.rows(_KNOWN, {"ids": sorted(ids)})
        known = {row.event_id for row in rows}
        return [
            record
            for record in batch
            if record.topic in self._topics.own or attributed_event_id(record) in known
        ]

    def _takes(self, record: Record) -> bool:
        """Whether the live database applied it; what nobody can read is counted."""
        if record.topic in COMPACTED and record.value is None:
            return False
        if self._letters.hold(record):
            self._found.left_out += 1
            if (id_ := attributed_event_id(record)) is not None:
                self._skipped.add(id_)
                self._waiting |= {id_} & self._letters.ids
            return False
        try:
            decode(record.topic, record.headers, record.value)
        except Unreadable:
            self._found.unreadable += 1
            return False
        return True

    async def _apply(self, records: Sequence[Record]) -> None:
        for piece in _around_erasures(records):
            for lane in self._lanes:
                if mine := [r for r in piece if _LANES[r.topic] is lane.lane]:
                    await _patiently(lane, mine)

    async def _unsent(self, uow: UnitOfWork) -> list[Record]:
        """Events of the service's own topics that its relay has not sent, as records."""
        if not self._topics.own:
            return []
        rows = await uow.rows(_UNSENT, {"topics": sorted(self._topics.own)})
        messages = [message_of(r.topic, r.key, r.headers, r.value) for r in rows]
        return [Record(m.topic, -1, n, m.key, m.headers, m.value) for n, m in enumerate(messages)]

    async def _refuse_a_log_that_lacks_events(self, uow: UnitOfWork) -> None:
        statement = _LACKS.format(live=self._schemas.live, rebuilt=self._schemas.rebuilt)
        values = {"skipped": sorted(self._skipped)}
        lacking = int((await uow.execute(text(statement), values)).scalar_one())
        if lacking > self._log.passed_over:
            raise ConfigurationFault(
                f"the log lacks {lacking} events that {self._live.service} has applied: have their "
                "owners `republish` first"
            )


def _lanes(handlers: Sequence[Handler], shadow: Database) -> list[LaneConsumer]:
    inbox = Inbox(0)
    return [LaneConsumer(lane, handlers, shadow, inbox) for lane in Lane]


async def _patiently(lane: LaneConsumer, records: Sequence[Record]) -> None:
    """Apply; an erasure may have to wait for a live one of another member."""
    for attempt in range(_ATTEMPTS):
        try:
            await lane.apply(records)
        except HaltedConsumer as error:
            raise ConfigurationFault(f"too much cannot be applied: {error}") from None
        except Exception as error:
            if not is_transient(error) or attempt == _ATTEMPTS - 1:
                raise
        else:
            return
        await asyncio.sleep(_PAUSE_S)


def _around_erasures(records: Iterable[Record]) -> list[list[Record]]:
    """Cut so that an erasure stands alone: what was said before it is forgotten by it."""
    pieces: list[list[Record]] = [[]]
    for record in records:
        if record.topic == MemberErased.topic:
            pieces += [[record], []]
        else:
            pieces[-1].append(record)
    return [piece for piece in pieces if piece]


@dataclass(frozen=True, slots=True)
class _Letters:
    """What the live database has set aside and not applied since."""

    ids: frozenset[UUID] = frozenset()
    places: frozenset[tuple[str, int, int]] = frozenset()

    @classmethod
    async def of(cls, uow: UnitOfWork) -> _Letters:
        rows = await uow.rows(_LETTERS)
        return cls(
            frozenset(row.event_id for row in rows if row.event_id is not None),
            frozenset((row.topic, row.partition, row.offset) for row in rows),
        )

    def hold(self, record: Record) -> bool:
        place = (record.topic, record.partition, record.offset)
        return place in self.places or attributed_event_id(record) in self.ids


@asynccontextmanager
async def _shadow_schema(live: Database) -> AsyncIterator[Schemas]:
    """A new empty schema beside the live one, for as long as nobody else makes one."""
    async with live.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        alone = (await connection.execute(text(f"SELECT pg_try_advisory_lock({_ALONE})"))).scalar()
        if not alone:
            raise ConfigurationFault(f"another rebuild of {live.service} is running")
        for (left,) in (await connection.execute(_LEFT_BEHIND)).all():
            await connection.execute(text(f'DROP SCHEMA "{left}" CASCADE'))
        row = (await connection.execute(_NAMES)).one()
        try:
            await connection.execute(text(f'CREATE SCHEMA "{row.shadow}"'))
        except DBAPIError as error:
            if getattr(error.driver_exception, "sqlstate", None) != _NO_RIGHT:
                raise
            raise ConfigurationFault(
                f"the role of {live.service} may not create a schema in its database: "
                "GRANT CREATE ON DATABASE"
            ) from None
        try:
            yield Schemas(f'"{row.live}"', f'"{row.shadow}"')
        finally:
            with suppress(DBAPIError, OSError):
                await connection.execute(text(f'DROP SCHEMA IF EXISTS "{row.shadow}" CASCADE'))
            with suppress(DBAPIError, OSError):
                await connection.execute(text(f"SELECT pg_advisory_unlock({_ALONE})"))


@asynccontextmanager
async def _held(live: Database, projections: Sequence[Projection]) -> AsyncIterator[UnitOfWork]:
    """A transaction that no writer of the inbox or of a projection runs beside.

    Raises `TimeoutError` where such a transaction does not end for half a minute.
    """
    names = ", ".join(f'"{one.table.name}"' for one in projections)
    async with live.engine.connect() as connection:
        for attempt in range(_ATTEMPTS):
            transaction = await connection.begin()
            try:
                now = (await connection.execute(text("SELECT now()"))).scalar_one()
                await connection.execute(text("SET LOCAL lock_timeout = '2s'"))
                await connection.execute(
                    text("SET LOCAL idle_in_transaction_session_timeout = '60s'")
                )
                await connection.execute(
                    text(f'LOCK TABLE "inbox", {names} IN SHARE ROW EXCLUSIVE MODE')
                )
                break
            except DBAPIError as error:
                await transaction.rollback()
                if not is_transient(error):
                    raise
                _log.info("waiting for transactions under way, attempt %d", attempt + 1)
            await asyncio.sleep(_PAUSE_S)
        else:
            raise TimeoutError(f"the projections of {live.service} are written without a pause")
        try:
            yield SilentUnitOfWork(connection, live.service, now)
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()


async def _failed(shadow: Database) -> list[str]:
    async with shadow.begin() as uow:
        rows = await uow.rows(_FAILED)
    return [f"{row.topic} {row.event_id}: {row.error}" for row in rows]


def _refuse_a_cut_log(log: TopicLog, service: str, *, refilled: bool) -> None:
    cut = {p: offset for p, offset in log.beginnings.items() if offset and p.topic not in COMPACTED}
    if cut and not refilled:
        partition, offset = min(cut.items())
        owner = _OWNERS[partition.topic]
        raise ConfigurationFault(
            f"{partition.topic}, partition {partition.partition}, begins at offset {offset}, so "
            f"earlier events of {service} cannot be read ({len(cut)} such partitions). Where its "
            f"owner keeps them all: `coterie-{owner} republish`, then `rebuild --refilled`"
        )


def _refuse_another_log(committed: Offsets, ends: Offsets, service: str) -> None:
    for place, offset in committed.items():
        if offset > ends[place]:
            raise ConfigurationFault(
                f"{service} has applied {place.topic}, partition {place.partition}, up to offset "
                f"{offset}, and it ends at {ends[place]}: is this the cluster that it consumes?"
            )


_LANES: Final = {topic.name: topic.lane for topic in TOPICS}
_OWNERS: Final = {topic.name: topic.owner for topic in TOPICS}
_NO_RIGHT: Final = "42501"
_LEFT_BEHIND: Final = text(
    "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'rebuild_') "
    "AND pg_get_userbyid(nspowner) = current_user"
)
_NAMES: Final = text(
    "SELECT current_schema() AS live, "
    "'rebuild_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD\"t\"HH24MISS') AS shadow"
)
_LETTERS: Final = text(
    'SELECT event_id, topic, partition, "offset" FROM dead_letter '
    "WHERE state IN ('open', 'dropped')"
)
_KNOWN: Final = text("SELECT event_id FROM inbox WHERE event_id = ANY(CAST(:ids AS uuid[]))")
_UNSENT: Final = text(
    "SELECT topic, key, headers, value FROM outbox WHERE topic = ANY(CAST(:topics AS text[])) "
    "ORDER BY id"
)
_FAILED: Final = text(
    "SELECT topic, event_id, error FROM dead_letter WHERE kind <> 'parked' ORDER BY id LIMIT 5"
)
_LACKS: Final = """
    SELECT count(*) FROM {live}.inbox AS l
    WHERE NOT EXISTS (SELECT FROM {rebuilt}.inbox AS r WHERE r.event_id = l.event_id)
        AND NOT l.event_id = ANY(CAST(:skipped AS uuid[]))
"""
