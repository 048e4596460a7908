"""From a batch of records to one transaction: dedupe, park, handle, set aside, commit.

Kafka offsets follow the commit, so a record is redelivered until its effect stands, and the inbox
makes the second time nothing. If any event of a batch cannot be handled, the batch is undone and
tried in halves under savepoints until the culprit stands alone; it becomes a dead letter, later
events of its key wait behind it, and everything else takes effect. What came before the culprit
never waits: a record's place in the batch is kept throughout.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis import deadletter, telemetry
from coterie_chassis.deadletter import (
    COMPACTED,
    DeadLetter,
    FailureKind,
    Limits,
    Record,
    Tally,
)
from coterie_chassis.decisions import Refusal
from coterie_chassis.errors import HaltedConsumer, describe, is_transient
from coterie_chassis.handling import AnyEvent, Batch, Fold, Handler, handles
from coterie_chassis.inbox import Inbox
from coterie_chassis.isolation import isolate
from coterie_chassis.store import Database, Opening, UnitOfWork, bulk_upsert
from coterie_chassis.tables import applied_position
from coterie_chassis.telemetry import Telemetry
from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event, UnknownVersion, Unreadable, decode
from coterie_contracts.member import MemberErased
from coterie_contracts.topics import Lane, topic_of

__all__ = ["Batch", "Fold", "Handler", "LaneConsumer", "handles"]

_Decoded = tuple[Record, AnyEvent | Unreadable]
_BEFORE_ALL: Final = -1
_DECODED_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class _Item:
    """A readable record and its place in the batch."""

    place: int
    record: Record
    event: AnyEvent


@dataclass(slots=True)
class _Work:
    """One attempt at a batch: what was read, what failed, and from which place on a key waits."""

    now: datetime
    items: list[_Item] = field(default_factory=list)
    failed: dict[int, DeadLetter] = field(default_factory=dict)
    blocked: dict[UUID, int] = field(default_factory=dict)
    expired: int = 0
    duplicates: int = 0
    letters: list[DeadLetter] = field(default_factory=list)

    def block(self, subject: UUID, place: int) -> None:
        """Have events of `subject` after `place` wait."""
        self.blocked[subject] = min(place, self.blocked.get(subject, place))

    def waits(self, item: _Item) -> bool:
        """Whether an earlier event of its key failed; an erasure passes."""
        return self.blocked.get(item.event.subject, item.place) < item.place and not isinstance(
            item.event.data, MemberErased
        )

    def free(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Those that wait for nothing, in order."""
        return [item for item in items if not self.waits(item)] if self.blocked else items

    def applied(self) -> list[_Item]:
        """What took effect, once all was tried."""
        if not self.failed and not self.blocked:
            return self.items
        return [i for i in self.items if i.place not in self.failed and not self.waits(i)]


class _SomeRefused(Exception):
    """The fast attempt met a refusal: undo it and try in halves."""


class _AnotherDay(Exception):
    """The fast attempt recorded ids by the window of another day: undo it and record them apart."""


class LaneConsumer:
    """Applies the records of one lane of one service."""

    def __init__(
        self,
        lane: Lane,
        handlers: Sequence[Handler],
        database: Database,
        inbox: Inbox,
        *,
        limits: Limits | None = None,
        on_driven: Callable[[], None] = lambda: None,
    ) -> None:
        self.lane = lane
        self.latest_recorded: datetime | None = None
        self._handlers = [handler for handler in handlers if handler.is_in(lane)]
        self._database = database
        self._inbox = inbox
        self._limits = limits or Limits()
        self._tally = Tally(self._limits)
        self._telemetry = Telemetry(database.service)
        self._known_clocks: set[UUID] = set()
        self._window = inbox.window(datetime.now(UTC))
        self._on_driven = on_driven
        self._ahead: tuple[Sequence[Record], list[_Decoded]] = ((), [])

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that this lane reads, sorted."""
        bodies = {body for handler in self._handlers for body in handler.bodies}
        return tuple(sorted(body.topic for body in bodies if topic_of(body).lane is self.lane))

    async def apply(self, records: Sequence[Record], following: Sequence[Record] = ()) -> None:
        """Apply `records` in one transaction. Raises only what may pass by itself, or a halt.

        `following` is what the next call will be given: it is decoded while the database works.
        """
        known, decoded = self._ahead
        if known is not records:
            decoded = [_decoded(record) for record in records]
        ahead = asyncio.create_task(_decode_ahead(following))
        try:
            await self._apply(decoded)
            self._ahead = following, await ahead
        finally:
            ahead.cancel()

    async def _apply(self, decoded: Sequence[_Decoded]) -> None:
        began = time.monotonic()
        events = [item for _, item in decoded if isinstance(item, Event)]
        await self._inbox.prepare(self._database, [event.id for event in events])
        with telemetry.consuming(self.lane, [e.traceparent for e in events if e.traceparent]):
            try:
                work = await self._attempt(decoded, careful=False)
            except Exception as error:
                if is_transient(error) or isinstance(error, HaltedConsumer):
                    raise
                work = await self._attempt(decoded, careful=True)
        self._report(work, time.monotonic() - began)
        if any(item.event.clock is ClockMode.DRIVEN for item in work.items):
            self._on_driven()

    async def apply_alone(self, record: Record, uow: UnitOfWork, *, new: bool) -> str | None:
        """Apply a record that was set aside; why it fails again, or None when it took effect.

        `new` says that the inbox has not seen it, because it could not be read when it came. Then
        a copy of it that was applied meanwhile makes it nothing.
        """
        try:
            async with uow.savepoint():
                event = decode(record.topic, record.headers, record.value)
                if event.id.int >= self._inbox.window(uow.now).end:
                    raise Unreadable("the time inside ce_id is days ahead")
                if new and not await self._inbox.record_late(uow, event.id):
                    return None
                await self._follow_clocks(uow, [event])
                await self._handle([event], uow)
                if uow.refusals:
                    raise uow.refusals[-1][1]
                if isinstance(event.data, MemberErased):
                    await deadletter.purge(uow, self.lane, [event.subject])
                await self._advance_positions([event], uow)
                await uow.flush()
        except Exception as error:
            if is_transient(error):
                raise
            return describe(error)
        return None

    async def _attempt(self, decoded: Sequence[_Decoded], *, careful: bool) -> _Work:
        opening = None if careful else self._opening(decoded)
        async with self._database.begin(opening) as uow:
            recorded = None if opening is None else uow.opened
            self._see_the_day(uow, recorded)
            work = await self._read(decoded, uow)
            await self._drop_duplicates(work, uow, recorded)
            await self._park(work, uow)
            free = [item.event for item in work.free(work.items)]
            learned = await self._follow_clocks(uow, free)
            if careful:
                await self._in_halves(work, uow)
            else:
                await self._handle(free, uow)
                if uow.refusals:
                    raise _SomeRefused
            applied = work.applied()
            await self._forget_erased(work, applied, uow)
            await self._advance_positions([item.event for item in applied], uow)
            await self._set_aside(work, uow)
            tally = self._judge(work, applied)
        self._tally = tally
        self._known_clocks |= learned
        return work

    def _opening(self, decoded: Sequence[_Decoded]) -> Opening | None:
        """Record the ids with the transaction's first statement, by the window known so far."""
        begin, end = self._window
        ids = {i.id for _, i in decoded if isinstance(i, Event) and begin <= i.id.int < end}
        return self._inbox.recording(ids) if ids else None

    def _see_the_day(self, uow: UnitOfWork, recorded: Row[Any] | None) -> None:
        """Take the window of the database's clock; what was recorded by another one is undone."""
        known, self._window = self._window, self._inbox.window(uow.now)
        if recorded is not None and known != self._window:
            raise _AnotherDay

    async def _read(self, decoded: Sequence[_Decoded], uow: UnitOfWork) -> _Work:
        work = _Work(now=uow.now)
        window = self._window
        seen: set[int] = set()
        for place, (record, item) in enumerate(decoded):
            if isinstance(item, Unreadable):
                if record.value is not None or record.topic not in COMPACTED:
                    work.failed[place] = self._unreadable(record, item, uow)
            elif (number := item.id.int) >= window.end:
                error = Unreadable("the time inside ce_id is days ahead")
                work.failed[place] = self._unreadable(record, error, uow)
            elif number < window.begin:
                work.expired += 1
            elif number in seen:
                work.duplicates += 1
            else:
                seen.add(number)
                work.items.append(_Item(place, record, item))
        await self._leave_known_letters(work, uow)
        return work

    def _unreadable(self, record: Record, error: Unreadable, uow: UnitOfWork) -> DeadLetter:
        is_version = isinstance(error, UnknownVersion)
        kind = FailureKind.VERSION if is_version else FailureKind.UNREADABLE
        id_ = deadletter.attributed_event_id(record)
        known_id = id_ if id_ is not None and self._inbox.covers(id_, uow.now) else None
        return DeadLetter(record, kind, str(error), deadletter.attributed_subject(record), known_id)

    async def _leave_known_letters(self, work: _Work, uow: UnitOfWork) -> None:
        """A redelivered letter is left as it is; if it was settled, nothing waits behind it."""
        if not work.failed:
            return
        known = await deadletter.stored_before(uow, self.lane, list(work.failed.values()))
        for place, letter in list(work.failed.items()):
            record = letter.record
            if (record.topic, record.partition, record.offset) in known:
                work.duplicates += 1
                del work.failed[place]
            elif letter.subject is not None:
                work.block(letter.subject, place)

    async def _drop_duplicates(
        self, work: _Work, uow: UnitOfWork, recorded: Row[Any] | None
    ) -> None:
        if not work.items:
            return
        ids = [item.event.id for item in work.items]
        if recorded is None:
            known = await self._inbox.record(uow, ids)
        else:
            known = self._inbox.known_among(ids, recorded)
        if known:
            work.duplicates += len(known)
            work.items = [item for item in work.items if item.event.id not in known]

    async def _park(self, work: _Work, uow: UnitOfWork) -> None:
        if subjects := {item.event.subject for item in work.items}:
            for subject in await deadletter.parked(uow, self.lane, subjects):
                work.block(subject, _BEFORE_ALL)

    async def _handle(self, events: Sequence[AnyEvent], uow: UnitOfWork) -> None:
        for handler in self._handlers:
            if mine := [event for event in events if type(event.data) in handler.bodies]:
                await handler(mine, uow)

    async def _in_halves(self, work: _Work, uow: UnitOfWork) -> None:
        async def act(items: Sequence[_Item]) -> None:
            free, before = work.free(items), len(uow.refusals)
            await self._handle([item.event for item in free], uow)
            if len(uow.refusals) > before:
                raise uow.refusals[-1][1] if len(items) == 1 else _SomeRefused

        async def condemn(item: _Item, error: Exception) -> None:
            kind = FailureKind.REFUSED if isinstance(error, Refusal) else FailureKind.BUG
            event = item.event
            why = describe(error)
            work.failed[item.place] = DeadLetter(item.record, kind, why, event.subject, event.id)
            work.block(event.subject, item.place)
            if len(work.failed) > self._limits.in_a_row:
                raise self._halt(f"{len(work.failed)} events of one batch failed; the last: {why}")

        await isolate(uow, work.items, act, condemn)

    async def _follow_clocks(self, uow: UnitOfWork, events: Sequence[AnyEvent]) -> set[UUID]:
        """Learn communities' clocks; a driven one moves to the latest `time` seen on it.

        Only `clock.advanced` ends it: anything else that happened since may be read before, while
        open deadlines still stand in the past. Returns those on the wall clock, which are known
        once this is committed.
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
            return set()
        ordered = [rows[community] for community in sorted(rows)]
        columns = {name: [row[name] for row in ordered] for name in ordered[0]}
        await uow.execute(_FOLLOW_CLOCKS, columns)
        return {row["community_id"] for row in ordered if row["mode"] == ClockMode.WALL.value}

    async def _forget_erased(self, work: _Work, applied: Iterable[_Item], uow: UnitOfWork) -> None:
        erased = {i.event.subject for i in applied if type(i.event.data) is MemberErased}
        if erased:
            await deadletter.purge(uow, self.lane, erased)
        if not work.failed and not work.blocked:
            return
        waiting = {item.place: _parked(item) for item in work.items if work.waits(item)}
        letters = sorted({**waiting, **work.failed}.items())
        work.letters = [letter for _, letter in letters if letter.subject not in erased]

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
        if work.letters:
            await deadletter.store(uow, self.lane, work.letters)
            if excess := self._limits.excess(*await deadletter.counts(uow, self.lane)):
                raise self._halt(excess)

    def _judge(self, work: _Work, applied: Sequence[_Item]) -> Tally:
        outcomes = {item.place: False for item in applied} | dict.fromkeys(work.failed, True)
        tally = self._tally.with_(outcomes[place] for place in sorted(outcomes))
        if work.failed and (excess := tally.excess):
            raise self._halt(excess)
        return tally

    def _halt(self, excess: str) -> HaltedConsumer:
        return HaltedConsumer(
            f"lane {self.lane} of {self._database.service} has stopped: {excess}. "
            f"See `coterie-{self._database.service} redrive list`."
        )

    def _report(self, work: _Work, seconds: float) -> None:
        record, lane = self._telemetry.record, {"lane": self.lane.value}
        applied = work.applied()
        record(telemetry.CONSUMER_BATCH_EVENTS, len(applied), **lane)
        record(telemetry.CONSUMER_BATCH_SECONDS, seconds, **lane)
        record(telemetry.CONSUMER_DUPLICATES, work.duplicates, **lane)
        record(telemetry.CONSUMER_EXPIRED, work.expired, **lane)
        record(telemetry.DEAD_LETTERS, len(work.letters), **lane)
        if applied:
            times = [item.event.recorded_time for item in applied]
            self.latest_recorded = max(times)
            since_oldest = (work.now - min(times)).total_seconds() + seconds
            record(telemetry.END_TO_END_SECONDS, since_oldest, **lane)


def _parked(item: _Item) -> DeadLetter:
    why = "waits behind an earlier event of its key"
    event = item.event
    return DeadLetter(item.record, FailureKind.PARKED, why, event.subject, event.id)


async def _decode_ahead(records: Sequence[Record]) -> list[_Decoded]:
    """A few at a time, so that an answer of the database waits for few."""
    decoded: list[_Decoded] = []
    for start in range(0, len(records), _DECODED_AT_ONCE):
        await asyncio.sleep(0)
        decoded += [_decoded(record) for record in records[start : start + _DECODED_AT_ONCE]]
    return decoded


def _decoded(record: Record) -> _Decoded:
    try:
        return record, decode(record.topic, record.headers, record.value)
    except Unreadable as error:
        return record, error


_FOLLOW_CLOCKS: Final = text(
    "INSERT INTO community_clock (community_id, brand_id, mode, now) "
    "SELECT * FROM unnest(CAST(:community_id AS uuid[]), CAST(:brand_id AS uuid[]), "
    "CAST(:mode AS text[]), CAST(:now AS timestamptz[])) "
    "ON CONFLICT (community_id) DO UPDATE SET "
    "now = greatest(community_clock.now, excluded.now) "
    "WHERE community_clock.mode = 'driven' AND excluded.mode = 'driven'"
)
