"""What must hold after a storm; each check gives violations in words, none where all is well.

The log is read from Kafka, what services wrote, received and applied from the tables that triggers
and the witness filled (see `ground`), so no check believes what it checks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import asyncpg

from coterie_contracts.topics import TOPICS
from coterie_local.audit import audit
from coterie_local.audit.facts import COMPACTED
from coterie_local.log import Record
from coterie_local.platform import SERVICES
from tests.faults.storm.arena import Arena
from tests.faults.storm.journal import Journals
from tests.faults.storm.plan import Plan
from tests.faults.storm.records import Injected

__all__ = ["Seen", "moved_in", "seen_in", "violations_of"]

_WINDOW_S: Final = 5.0
_TRIES_IN_WINDOW: Final = 30
_OWNERS: Final = {topic.name: topic.owner for topic in TOPICS}
_CONSUMERS: Final = {topic.name: topic.consumers for topic in TOPICS}


@dataclass(frozen=True)
class Service:
    """What one service's database tells."""

    written: dict[UUID, str]
    received: list[UUID]
    handled: list[Any]
    letters: list[Any]
    failed_deadlines: int


@dataclass(frozen=True)
class Seen:
    """All that the checks look at."""

    plan: Plan
    log: list[Record]
    injected: Injected
    services: dict[str, Service]
    journals: Journals
    given: set[UUID]
    codes: list[Any]


async def seen_in(
    arena: Arena, plan: Plan, log: list[Record], injected: Injected, given: set[UUID]
) -> Seen:
    """Read what there is to judge, once everything is at rest; `given` are gifts from outside."""
    services = {service: await _service(arena, service) for service in SERVICES}
    codes = await _codes(arena)
    return Seen(plan, log, injected, services, arena.journals, given, codes)


async def moved_in(arena: Arena) -> list[tuple[int, int, int]]:
    """Of each service: events written and received so far, and those that wait to be sent."""
    counts: list[tuple[int, int, int]] = []
    for service in SERVICES:
        database = await asyncpg.connect(arena.server.admin_url, database=f"coterie_{service}")
        try:
            counts.append(tuple(await database.fetchrow(_MOVED)))
        finally:
            await database.close()
    return counts


async def _codes(arena: Arena) -> list[Any]:
    database = await asyncpg.connect(arena.server.admin_url, database="coterie_recognition")
    try:
        found: list[Any] = await database.fetch(_CODES)
        return found
    finally:
        await database.close()


async def _service(arena: Arena, service: str) -> Service:
    database = await asyncpg.connect(arena.server.admin_url, database=f"coterie_{service}")
    try:
        written = await database.fetch("SELECT event_id, topic FROM storm.written")
        received = await database.fetch("SELECT event_id FROM storm.received")
        return Service(
            written={row["event_id"]: row["topic"] for row in written},
            received=[row["event_id"] for row in received],
            handled=await database.fetch(_HANDLED),
            letters=await database.fetch(_LETTERS),
            failed_deadlines=await database.fetchval("SELECT count(*) FROM failed_deadline"),
        )
    finally:
        await database.close()


def violations_of(seen: Seen) -> list[str]:
    """Everything that is not as it must be."""
    found: list[str] = []
    for check in _CHECKS:
        name = check.__name__.strip("_").replace("_", " ")
        found += [f"{name}: {violation}" for violation in check(seen)]
    return found


def _the_audit_is_clean(seen: Seen) -> Iterator[str]:
    report = audit(_readable(seen))
    for violation in report.violations[:6]:
        yield f"{violation.rule}: {violation.explanation} (event {violation.event_id})"


def _what_was_written_was_sent(seen: Seen) -> Iterator[str]:
    sent = _sent(seen)
    for name, service in seen.services.items():
        missing = [id_ for id_, topic in service.written.items() if id_ not in sent[topic]]
        if missing:
            which = Counter(service.written[id_] for id_ in missing)
            yield f"{name} committed {len(missing)} events that Kafka does not have: {dict(which)}"


def _what_was_sent_was_written(seen: Seen) -> Iterator[str]:
    for topic, ids in _sent(seen).items():
        if topic not in COMPACTED:
            extra = ids - seen.services[_OWNERS[topic]].written.keys()
            if extra:
                yield f"{topic} has {len(extra)} events that nobody committed"


def _what_was_sent_is_kept(seen: Seen) -> Iterator[str]:
    for topic, ids in _sent(seen, tombstones=False).items():
        for name in _CONSUMERS[topic]:
            service = seen.services[name]
            letters = {letter["event_id"] for letter in service.letters}
            if missing := ids - set(service.received) - letters:
                yield f"{name} has {len(missing)} of {topic} neither applied nor set aside"


def _what_was_received_took_effect(seen: Seen) -> Iterator[str]:
    for name, service in seen.services.items():
        handled = {row["event_id"] for row in service.handled}
        letters = {letter["event_id"] for letter in service.letters}
        if missing := set(service.received) - handled - letters:
            yield f"{name} has {len(missing)} events in its inbox that took no effect"


def _each_event_is_applied_once(seen: Seen) -> Iterator[str]:
    for name, service in seen.services.items():
        times = Counter((row["lane"], row["event_id"]) for row in service.handled)
        if again := [key for key, count in times.items() if count > 1]:
            yield f"{name} applied {len(again)} events more than once"


def _a_key_keeps_its_order(seen: Seen) -> Iterator[str]:
    first: dict[str, tuple[int, int]] = {}
    for record in seen.log:
        first.setdefault(record.header("ce_id") or "", (record.partition, record.offset))
    for name, service in seen.services.items():
        by_key: dict[tuple[str, UUID, str], list[Any]] = defaultdict(list)
        for row in service.handled:
            by_key[row["lane"], row["subject"], row["topic"]].append(row)
        for (_, subject, topic), rows in by_key.items():
            places = [first[str(row["event_id"])] for row in rows if str(row["event_id"]) in first]
            if places != sorted(places):
                yield f"{name} applied {topic} of {subject} in the order {places}"


def _a_parked_key_waits(seen: Seen) -> Iterator[str]:
    for name, service in seen.services.items():
        for letter in service.letters:
            if letter["subject"] is None or letter["kind"] == "parked":
                continue
            early = [
                row
                for row in service.handled
                if row["subject"] == letter["subject"]
                and row["lane"] == letter["lane"]
                and not row["redriven"]
                and row["began"] > letter["kept_at"]
                and (letter["settled_at"] is None or row["began"] < letter["settled_at"])
            ]
            if early:
                yield f"{name} applied {len(early)} events of {letter['subject']}, which is parked"


def _poison_is_kept(seen: Seen) -> Iterator[str]:
    for name, service in seen.services.items():
        kept = {(row["topic"], row["partition"], row["offset"]) for row in service.letters}
        wanted = {place for place in seen.injected.poison if name in _CONSUMERS[place[0]]}
        if missing := wanted - kept:
            yield f"{name} has not set {len(missing)} unreadable records aside"


def _nothing_else_is_set_aside(seen: Seen) -> Iterator[str]:
    for name, service in seen.services.items():
        for letter in service.letters:
            place = (letter["topic"], letter["partition"], letter["offset"])
            if place not in seen.injected.poison and letter["kind"] != "parked":
                yield f"{name} set {letter['topic']} aside: {letter['kind']}: {letter['error']}"
            if letter["state"] == "open" and letter["subject"] is not None:
                yield f"{name} still waits with {letter['topic']} of {letter['subject']}"
        if service.failed_deadlines:
            yield f"{name} has {service.failed_deadlines} failed deadlines"


def _nothing_is_sent_twice_for_no_reason(seen: Seen) -> Iterator[str]:
    if seen.plan.disturbs_relays:
        return
    copies = Counter(str(id_) for id_ in seen.injected.copies)
    times = Counter(id_ for record in _readable(seen) if (id_ := record.header("ce_id")))
    twice = [id_ for id_, count in times.items() if count > 1 + copies[str(id_)]]
    if twice:
        yield f"{len(twice)} events were sent twice, and no relay was disturbed"


def _nothing_goes_out_twice(seen: Seen) -> Iterator[str]:
    ordered = {UUID(note.facts["reward_id"]) for note in seen.journals.notes("provided")}
    if ordered != seen.given:
        yield f"{len(seen.given)} gifts were given and {len(ordered)} ordered outside"
    rewards = Counter(row["reward_id"] for row in seen.codes)
    if twice := [id_ for id_, count in rewards.items() if count > 1]:
        yield f"{len(twice)} rewards were given more than one code"


def _redelivery_backs_off(seen: Seen) -> Iterator[str]:
    tries: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for note in seen.journals.notes("again"):
        tries[note.instance, note.pid, note.facts["lane"]].append(note.at)
    for (instance, _, lane), times in tries.items():
        busiest = max(sum(at <= other < at + _WINDOW_S for other in times) for at in times[::10])
        if busiest > _TRIES_IN_WINDOW:
            yield f"{instance} tried {lane} {busiest} times in {_WINDOW_S:.0f} s"


def _readable(seen: Seen) -> list[Record]:
    """The log with what a storm put there unmarked as ours: the audit counts it as foreign."""
    return [
        replace(record, headers=(), value=None)
        if (record.topic, record.partition, record.offset) in seen.injected.poison
        else record
        for record in seen.log
    ]


def _sent(seen: Seen, *, tombstones: bool = True) -> dict[str, set[UUID]]:
    ids: dict[str, set[UUID]] = {topic.name: set() for topic in TOPICS}
    for record in _readable(seen):
        if (id_ := record.header("ce_id")) and (tombstones or record.value is not None):
            ids[record.topic].add(UUID(id_))
    return ids


_CHECKS: Final = (
    _the_audit_is_clean,
    _what_was_written_was_sent,
    _what_was_sent_was_written,
    _what_was_sent_is_kept,
    _what_was_received_took_effect,
    _each_event_is_applied_once,
    _a_key_keeps_its_order,
    _a_parked_key_waits,
    _poison_is_kept,
    _nothing_else_is_set_aside,
    _nothing_is_sent_twice_for_no_reason,
    _nothing_goes_out_twice,
    _redelivery_backs_off,
)
_CODES: Final = "SELECT reward_id, code_id FROM gift_code WHERE reward_id IS NOT NULL"
_MOVED: Final = """
SELECT (SELECT count(*) FROM storm.written), (SELECT count(*) FROM storm.received),
    (SELECT count(*) FROM outbox)
"""
_HANDLED: Final = """
SELECT lane, event_id, subject, topic, redriven, began FROM storm.handled
ORDER BY pg_xact_commit_timestamp(xmin), place
"""
_LETTERS: Final = """
SELECT d.lane, d.subject, d.event_id, d.topic, d.partition, d."offset", d.kind, d.state, d.error,
    d.settled_at, pg_xact_commit_timestamp(l.xmin) AS kept_at
FROM dead_letter AS d JOIN storm.letters AS l ON l.letter = d.id
"""
