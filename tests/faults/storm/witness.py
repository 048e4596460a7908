"""What a service process under test tells of itself, from inside, to a journal and its database.

The journal is one JSON line a happening. Applied events are written to `storm.handled` in the
transaction that applies them, so that what is told there is exactly what took effect. SIGUSR1 has
the process read an order from the file beside its journal: to crash at a point (see `crashing`).
"""

from __future__ import annotations

import datetime as wall
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.deadletter import Record
from coterie_chassis.errors import is_transient
from coterie_chassis.relay import Relay
from coterie_chassis.sending import Packed
from coterie_chassis.store import UnitOfWork
from coterie_chassis.subscriptions import LaneLoop, _DrainBeforeRevoke
from coterie_contracts.envelope import decode
from coterie_recognition.providers import PROVIDERS, Answer
from tests.faults import crashing

__all__ = ["PROVIDER", "install", "order_of"]

PROVIDER: Final = "cards"
_now = time.time


class _Journal:
    """Appends whole lines, which several processes may do at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, what: str, **facts: Any) -> None:
        line = {"at": _now(), "pid": os.getpid(), "what": what, **facts}
        os.write(self._file, json.dumps(line, default=str).encode() + b"\n")


def order_of(journal: Path) -> Path:
    """The file that SIGUSR1 has the process with this journal read."""
    return journal.with_suffix(".order")


def install(journal: str, skew_s: float) -> None:
    """Begin to tell; the process's wall clock goes `skew_s` ahead of the machine's."""
    notes = _Journal(Path(journal))
    crashing.install()
    crashing.before_death(lambda point: notes.note("crashed", point=point))
    _watch_lanes(notes)
    _watch_batches(notes)
    _watch_relay(notes)
    PROVIDERS[PROVIDER] = _Provider(notes)
    if skew_s:
        _skew(skew_s)
        notes.note("skewed", seconds=skew_s)

    def obey(*_: object) -> None:
        point, nth = order_of(Path(journal)).read_text().split()
        crashing.arm(point, int(nth))
        notes.note("armed", point=point)

    signal.signal(signal.SIGUSR1, obey)
    notes.note("born", command=sys.argv)


def _watch_lanes(notes: _Journal) -> None:
    on_partitions_assigned = _DrainBeforeRevoke.on_partitions_assigned
    on_partitions_revoked = _DrainBeforeRevoke.on_partitions_revoked
    wait_after = LaneLoop._wait_after

    async def on_assigned(self: _DrainBeforeRevoke, assigned: Any) -> None:
        notes.note("assigned", lane=self._lane.group, partitions=len(assigned))
        await on_partitions_assigned(self, assigned)

    async def on_revoked(self: _DrainBeforeRevoke, revoked: Any) -> None:
        await on_partitions_revoked(self, revoked)
        notes.note("revoked", lane=self._lane.group, partitions=len(revoked))

    async def waiting_after(self: LaneLoop, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"[:300]
        notes.note("again", lane=self.group, error=told, transient=is_transient(error))
        await wait_after(self, error)

    _DrainBeforeRevoke.on_partitions_assigned = on_assigned  # type: ignore[method-assign] # the point of this module
    _DrainBeforeRevoke.on_partitions_revoked = on_revoked  # type: ignore[method-assign] # as above
    LaneLoop._wait_after = waiting_after  # type: ignore[method-assign] # as above


def _watch_batches(notes: _Journal) -> None:
    set_aside, apply_alone = LaneConsumer._set_aside, LaneConsumer.apply_alone
    report = LaneConsumer._report

    async def setting_aside(self: LaneConsumer, work: Any, uow: UnitOfWork) -> None:
        await set_aside(self, work, uow)
        applied = [item.event for item in work.applied()]
        await _handled(uow, self.lane, applied, redriven=False)

    async def applying_alone(
        self: LaneConsumer, record: Record, uow: UnitOfWork, *, new: bool
    ) -> str | None:
        failure = await apply_alone(self, record, uow, new=new)
        if failure is None:
            event = decode(record.topic, record.headers, record.value)
            await _handled(uow, self.lane, [event], redriven=True)
        return failure

    def reporting(self: LaneConsumer, work: Any, seconds: float) -> None:
        report(self, work, seconds)
        if work.duplicates or work.letters:
            notes.note("met", lane=self.lane, again=work.duplicates, letters=len(work.letters))

    LaneConsumer._set_aside = setting_aside  # type: ignore[method-assign] # the point of this module
    LaneConsumer.apply_alone = applying_alone  # type: ignore[method-assign] # as above
    LaneConsumer._report = reporting  # type: ignore[method-assign] # as above


async def _handled(uow: UnitOfWork, lane: str, events: Sequence[Any], *, redriven: bool) -> None:
    if events:
        columns = {
            "ids": [event.id for event in events],
            "subjects": [event.subject for event in events],
            "topics": [event.topic for event in events],
        }
        await uow.execute(_HANDLED, {"lane": str(lane), "redriven": redriven, **columns})


def _watch_relay(notes: _Journal) -> None:
    lead, send, remove = Relay._lead, Relay._send, Relay._remove

    async def leading(self: Relay) -> None:
        notes.note("leads")
        try:
            await lead(self)
        except BaseException as error:
            notes.note("lost the lead", error=f"{type(error).__name__}: {error}"[:300])
            raise
        notes.note("handed the lead over")

    async def sending(self: Relay, sender: Any, packed: Packed) -> None:
        await send(self, sender, packed)
        notes.note("sent", count=packed.count)

    async def removing(self: Relay, ids: Sequence[int]) -> None:
        await remove(self, ids)
        notes.note("removed", ids=list(ids))

    Relay._lead = leading  # type: ignore[method-assign] # the point of this module
    Relay._send = sending  # type: ignore[method-assign] # as above
    Relay._remove = removing  # type: ignore[method-assign] # as above


class _Provider:
    """Delivers gifts outside of the platform: each order is an outward effect, and is told."""

    def __init__(self, notes: _Journal) -> None:
        self._notes = notes

    async def issue(self, reward_id: Any, product: str, amount_minor: int, currency: str) -> Answer:
        del product, currency
        self._notes.note("provided", reward_id=reward_id, amount_minor=amount_minor)
        return Answer.DONE

    async def ask(self, reward_id: Any) -> Answer:
        self._notes.note("asked", reward_id=reward_id)
        return Answer.DONE


def _skew(seconds: float) -> None:
    """Put the wall clock ahead wherever a service reads it; monotonic time is left alone."""

    class Skewed(wall.datetime):
        @classmethod
        def now(cls, tz: wall.tzinfo | None = None) -> wall.datetime:  # type: ignore[override] # a plain one, as the real clock gives
            return wall.datetime.fromtimestamp(_now() + seconds, tz)

    time.time = lambda: _now() + seconds
    for name in _CLOCKS:
        vars(sys.modules[name])["datetime"] = Skewed


_CLOCKS: Final = (
    "coterie_chassis.inbox",
    "coterie_chassis.relay",
    "coterie_chassis.subscriptions",
)
"""Whoever asks for the wall clock in a service; everything else has the database's.

Tokens are left alone: a service whose clock is far off refuses them, as it should.
"""
_HANDLED: Final = text(
    "INSERT INTO storm.handled (lane, event_id, subject, topic, redriven) "
    "SELECT :lane, t.*, :redriven FROM unnest(CAST(:ids AS uuid[]), "
    "CAST(:subjects AS uuid[]), CAST(:topics AS text[])) AS t"
)
