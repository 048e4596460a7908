"""From a batch of records to one transaction: dedupe, park, handle, set aside, commit.

Kafka offsets follow the commit, so a record is redelivered until its effect stands, and the inbox
makes the second time nothing. If any event of a batch cannot be handled, the batch is undone and
tried in halves under savepoints until the culprit stands alone; it becomes a dead letter, later
events of its key wait behind it, and everything else takes effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import text

from coterie_chassis import deadletter, telemetry
from coterie_chassis.deadletter import COMPACTED, DeadLetter, FailureKind, Record
from coterie_chassis.decisions import Refusal
from coterie_chassis.errors import HaltedConsumer, is_transient
from coterie_chassis.inbox import Inbox
from coterie_chassis.store import Database, UnitOfWork, bulk_upsert
from coterie_chassis.tables import applied_position
from coterie_chassis.telemetry import Telemetry
from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event, UnknownVersion, Unreadable, decode
from coterie_contracts.member import MemberErased
from coterie_contracts.model import EventBody
from coterie_contracts.topics import Lane, topic_of

__all__ = ["Batch", "Fold", "Handler", "LaneConsumer", "handles"]

B = TypeVar("B", bound=EventBody)
Batch = Sequence[Event[B]]
AnyEvent = Event[EventBody]
_Decoded = tuple[Record, AnyEvent | Unreadable]
Run = Callable[[Any, UnitOfWork], Awaitable[None]]


class Fold(StrEnum):
    """`LATEST`: copied state, only the highest sequence of a subject counts. `EVERY`: facts."""

    LATEST = "latest"
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class Handler:
    """Events in, a service's state out. Called with a batch; never commits."""

    bodies: tuple[type[EventBody], ...]
    fold: Fold
    run: Run

    @property
    def name(self) -> str:
        return getattr(self.run, "__name__", "handler")

    async def __call__(self, events: Sequence[AnyEvent], uow: UnitOfWork) -> None:
        await self.run(_highest(events) if self.fold is Fold.LATEST else events, uow)


def handles(*bodies: type[EventBody], fold: Fold) -> Callable[[Run], Handler]:
    """Declare the events that a function handles, in batches, and how it folds them."""

    def declare(run: Run) -> Handler:
        return Handler(bodies, fold, run)

    return declare


@dataclass(slots=True)
class _Work:
    """One attempt at a batch: what was read, what was set aside, which keys wait."""

    now: Any
    events: list[tuple[Record, AnyEvent]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    blocked: set[UUID] = field(default_factory=set)
    expired: int = 0
    duplicates: int = 0


class _SomeRefused(Exception):
    """The fast attempt met a refusal: undo it and try in halves."""


class LaneConsumer:
    """Applies the records of one lane of one service."""

    def __init__(
        self,
        lane: Lane,
        handlers: Sequence[Handler],
        database: Database,
        inbox: Inbox,
        *,
        limits: tuple[int, int] = (1_000, 10_000),
        on_driven: Callable[[], None] = lambda: None,
    ) -> None:
        self.lane = lane
        self._handlers = [handler for handler in handlers if _in_lane(handler, lane)]
        self._database = database
        self._inbox = inbox
        self._per_key, self._in_total = limits
        self._telemetry = Telemetry(database.service)
        self._known_clocks: set[UUID] = set()
        self._on_driven = on_driven

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that this lane reads, sorted."""
        return tuple(
            sorted(
                {
                    body.topic
                    for handler in self._handlers
                    for body in handler.bodies
                    if topic_of(body).lane is self.lane
                }
            )
        )

    async def apply(self, records: Sequence[Record]) -> None:
        """Apply `records` in one transaction. Raises only what may pass by itself, or a halt."""
        decoded = [_decoded(record) for record in records]
        events = [item for _, item in decoded if isinstance(item, Event)]
        await self._inbox.prepare(self._database, [event.id for event in events])
        with telemetry.consuming(self.lane, [e.traceparent for e in events if e.traceparent]):
            try:
                work = await self._attempt(decoded, careful=False)
            except Exception as error:
                if is_transient(error) or isinstance(error, HaltedConsumer):
                    raise
                work = await self._attempt(decoded, careful=True)
        self._report(work)
        if any(event.clock is ClockMode.DRIVEN for _, event in work.events):
            self._on_driven()

    async def redrive(self, subject: UUID) -> int:
        """Apply the open letters of a key in order; stops at one that fails again.

        Returns how many took effect. One transaction a letter.
        """
        applied = 0
        while True:
            async with self._database.begin() as uow:
                row = await deadletter.next_open(uow, self.lane, subject)
                if row is None:
                    return applied
                error = await self._redrive_one(uow, deadletter.record_of(row))
                values = {"id": row.id, "error": error}
                await uow.execute(_STILL_OPEN if error else _REDRIVEN, values)
            if error:
                return applied
            applied += 1

    async def redrive_letter(self, letter_id: int) -> bool:
        """Apply one letter that parks nothing; true if it took effect."""
        async with self._database.begin() as uow:
            row = await uow.one_or_none(_LETTER, {"id": letter_id, "lane": self.lane})
            if row is None:
                return False
            error = await self._redrive_one(uow, deadletter.record_of(row))
            await uow.execute(_STILL_OPEN if error else _REDRIVEN, {"id": row.id, "error": error})
            return error is None

    async def _redrive_one(self, uow: UnitOfWork, record: Record) -> str | None:
        try:
            event = decode(record.topic, record.headers, record.value)
            async with uow.savepoint():
                await self._follow_clocks(uow, [event])
                await self._handle([event], uow)
                if uow.refusals:
                    raise uow.refusals[-1][1]
                await self._advance_positions([event], uow)
        except Exception as error:
            if is_transient(error):
                raise
            return _text(error)
        return None

    async def _attempt(self, decoded: Sequence[_Decoded], *, careful: bool) -> _Work:
        async with self._database.begin() as uow:
            work = self._read(decoded, uow)
            await self._drop_duplicates(work, uow)
            await self._park(work, uow)
            await self._follow_clocks(uow, [event for _, event in work.events])
            if careful:
                work.events = await self._in_halves(work, work.events, uow)
            else:
                await self._handle([event for _, event in work.events], uow)
                if uow.refusals:
                    raise _SomeRefused
            await self._forget_erased(work, uow)
            await self._advance_positions([event for _, event in work.events], uow)
            await self._set_aside(work, uow)
        return work

    def _read(self, decoded: Sequence[_Decoded], uow: UnitOfWork) -> _Work:
        work = _Work(now=uow.now)
        seen: set[UUID] = set()
        for record, item in decoded:
            if isinstance(item, Unreadable):
                if record.value is not None or record.topic not in COMPACTED:
                    _set_unreadable_aside(work, record, item)
            elif self._inbox.is_from_the_future(item.id, uow.now):
                error = Unreadable("the time inside ce_id is days ahead")
                _set_unreadable_aside(work, record, error)
            elif self._inbox.is_expired(item.id, uow.now):
                work.expired += 1
            elif item.id in seen:
                work.duplicates += 1
            else:
                seen.add(item.id)
                work.events.append((record, item))
        return work

    async def _drop_duplicates(self, work: _Work, uow: UnitOfWork) -> None:
        if not work.events:
            return
        new = await self._inbox.record(uow, [event.id for _, event in work.events])
        work.duplicates += len(work.events) - len(new)
        work.events = [(record, event) for record, event in work.events if event.id in new]

    async def _park(self, work: _Work, uow: UnitOfWork) -> None:
        subjects = {event.subject for _, event in work.events}
        if subjects:
            work.blocked |= await deadletter.parked(uow, self.lane, subjects)
        work.events = self._hold_back(work, work.events)

    def _hold_back(
        self, work: _Work, events: Iterable[tuple[Record, AnyEvent]]
    ) -> list[tuple[Record, AnyEvent]]:
        """Set events of parked keys aside; an erasure passes."""
        free = []
        for record, event in events:
            if event.subject in work.blocked and not isinstance(event.data, MemberErased):
                work.letters.append(
                    DeadLetter(
                        record,
                        FailureKind.PARKED,
                        "waits behind an earlier event of its key",
                        event.subject,
                        event.id,
                    )
                )
            else:
                free.append((record, event))
        return free

    async def _handle(self, events: Sequence[AnyEvent], uow: UnitOfWork) -> None:
        for handler in self._handlers:
            if mine := [event for event in events if isinstance(event.data, handler.bodies)]:
                await handler(mine, uow)

    async def _in_halves(
        self, work: _Work, events: list[tuple[Record, AnyEvent]], uow: UnitOfWork
    ) -> list[tuple[Record, AnyEvent]]:
        """Handle `events` under a savepoint; on failure each half alone. Returns the handled."""
        events = self._hold_back(work, events)
        if not events:
            return []
        before = len(uow.refusals)
        try:
            async with uow.savepoint():
                await self._handle([event for _, event in events], uow)
                if len(uow.refusals) > before:
                    raise uow.refusals[-1][1] if len(events) == 1 else _SomeRefused
            return events
        except Exception as error:
            if is_transient(error):
                raise
            if len(events) == 1:
                self._condemn(work, events[0], error)
                return []
        middle = len(events) // 2
        first = await self._in_halves(work, events[:middle], uow)
        return first + await self._in_halves(work, events[middle:], uow)

    def _condemn(self, work: _Work, item: tuple[Record, AnyEvent], error: Exception) -> None:
        record, event = item
        kind = FailureKind.REFUSED if isinstance(error, Refusal) else FailureKind.BUG
        work.letters.append(DeadLetter(record, kind, _text(error), event.subject, event.id))
        work.blocked.add(event.subject)

    async def _follow_clocks(self, uow: UnitOfWork, events: Sequence[AnyEvent]) -> None:
        """Learn communities' clocks; a driven one moves to the latest `time` seen on it.

        Only `clock.advanced` ends it: anything else that happened since may be read before, while
        open deadlines still stand in the past.
        """
        rows: dict[UUID, dict[str, Any]] = {}
        for event in events:
            community = event.community_id
            if community is None:
                continue
            if event.clock is ClockMode.WALL and community in self._known_clocks:
                continue
            row = rows.get(community)
            if row is None or row["now"] < event.time:
                rows[community] = {
                    "community_id": community,
                    "brand_id": event.brand_id,
                    "mode": event.clock.value,
                    "now": event.time,
                }
        if not rows:
            return
        ordered = [rows[community] for community in sorted(rows)]
        columns = {name: [row[name] for row in ordered] for name in ordered[0]}
        await uow.execute(_FOLLOW_CLOCKS, columns)
        self._known_clocks |= {row["community_id"] for row in ordered if row["mode"] == "wall"}

    async def _forget_erased(self, work: _Work, uow: UnitOfWork) -> None:
        erased = [e.subject for _, e in work.events if isinstance(e.data, MemberErased)]
        if erased:
            await deadletter.purge(uow, self.lane, erased)
            work.letters = [letter for letter in work.letters if letter.subject not in erased]

    async def _advance_positions(self, events: Sequence[AnyEvent], uow: UnitOfWork) -> None:
        """What `Coterie-After` waits for; facts of the bulk lane are not waited for."""
        if self.lane is Lane.BULK:
            return
        highest: dict[UUID, int] = {}
        for event in events:
            if event.sequence is not None:
                highest[event.subject] = max(event.sequence, highest.get(event.subject, 0))
        rows = [{"subject": s, "sequence": n} for s, n in sorted(highest.items())]
        await bulk_upsert(
            uow,
            applied_position,
            rows,
            keys=("subject",),
            where="excluded.sequence > applied_position.sequence",
        )

    async def _set_aside(self, work: _Work, uow: UnitOfWork) -> None:
        if not work.letters:
            return
        await deadletter.store(uow, self.lane, work.letters)
        total, longest = await deadletter.counts(uow, self.lane)
        if total > self._in_total or longest > self._per_key:
            raise HaltedConsumer(
                f"lane {self.lane}: {total} open dead letters, {longest} of one key; "
                f"the limits are {self._in_total} and {self._per_key}. "
                f"See `coterie-{self._database.service} redrive list`."
            )

    def _report(self, work: _Work) -> None:
        record, lane = self._telemetry.record, {"lane": self.lane.value}
        record(telemetry.CONSUMER_BATCH_EVENTS, len(work.events), **lane)
        record(telemetry.CONSUMER_DUPLICATES, work.duplicates, **lane)
        record(telemetry.CONSUMER_EXPIRED, work.expired, **lane)
        record(telemetry.DEAD_LETTERS, len(work.letters), **lane)
        if work.events:
            oldest = min(event.recorded_time for _, event in work.events)
            record(telemetry.CONSUMER_LAG_SECONDS, (work.now - oldest).total_seconds(), **lane)


def _in_lane(handler: Handler, lane: Lane) -> bool:
    return any(topic_of(body).lane is lane for body in handler.bodies)


def _highest(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    latest: dict[UUID, AnyEvent] = {}
    for event in events:
        known = latest.get(event.subject)
        if known is None or (event.sequence or 0) > (known.sequence or 0):
            latest[event.subject] = event
    return list(latest.values())


def _decoded(record: Record) -> _Decoded:
    try:
        return record, decode(record.topic, record.headers, record.value)
    except Unreadable as error:
        return record, error


def _set_unreadable_aside(work: _Work, record: Record, error: Unreadable) -> None:
    is_version = isinstance(error, UnknownVersion)
    kind = FailureKind.VERSION if is_version else FailureKind.UNREADABLE
    subject = deadletter.attributed_subject(record)
    work.letters.append(DeadLetter(record, kind, str(error), subject))
    if subject is not None:
        work.blocked.add(subject)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


_FOLLOW_CLOCKS: Final = text(
    "INSERT INTO community_clock (community_id, brand_id, mode, now) "
    "SELECT * FROM unnest(CAST(:community_id AS uuid[]), CAST(:brand_id AS uuid[]), "
    "CAST(:mode AS text[]), CAST(:now AS timestamptz[])) "
    "ON CONFLICT (community_id) DO UPDATE SET "
    "now = greatest(community_clock.now, excluded.now) "
    "WHERE community_clock.mode = 'driven' AND excluded.mode = 'driven'"
)
_LETTER: Final = text(
    "SELECT * FROM dead_letter WHERE id = :id AND lane = :lane AND state = 'open' FOR UPDATE"
)
_REDRIVEN: Final = text(
    "UPDATE dead_letter SET state = 'redriven', settled_at = now() "
    "WHERE id = :id AND CAST(:error AS text) IS NULL"
)
_STILL_OPEN: Final = text("UPDATE dead_letter SET error = :error WHERE id = :id")
