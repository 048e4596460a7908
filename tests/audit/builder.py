"""Writes a log as the services do: gapless sequences, real bytes, a partition per key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5

from coterie_chassis.decisions import Cause, event_id, member_id_of
from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event, encode
from coterie_contracts.model import EventBody
from coterie_contracts.topics import topic_of
from coterie_local.log import Record

_SPACE = UUID("6f0e9d1c-1111-5222-8333-444455556666")
BEGINNING = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def named(*parts: object) -> UUID:
    """The same id for the same name, of a version that no event has."""
    return uuid5(_SPACE, "/".join(map(str, parts)))


class LogBuilder:
    """One community's log. `at` is the community's clock; every command moves it a minute."""

    def __init__(self, community: str = "circle") -> None:
        self.brand_id = named("brand")
        self.community_id = named("community", community)
        self.at = BEGINNING
        self.records: list[Record] = []
        self._commands = 0
        self._changes: dict[tuple[str, UUID], tuple[int, UUID]] = {}
        self._ends: dict[tuple[str, int], int] = defaultdict(int)

    def member_id(self, name: str) -> UUID:
        return member_id_of(self.community_id, named("person", name))

    def wait(self, **span: float) -> None:
        self.at += timedelta(**span)

    def command(self) -> UUID:
        self.wait(minutes=1)
        self._commands += 1
        return named("command", self.community_id, self._commands)

    def publish(
        self,
        subject: UUID,
        body: EventBody,
        *,
        cause: Event[EventBody] | UUID | None = None,
        actor: str = "system",
    ) -> Event[EventBody]:
        """`cause`: the event or command behind it; without one, a command of its own."""
        cause_id = cause.id if isinstance(cause, Event) else cause or self.command()
        source = f"coterie/{topic_of(type(body)).owner}"
        sequence, last = self._changes.get((source, subject), (0, None))
        sequence += cause_id != last
        self._changes[source, subject] = (sequence, cause_id)
        event = Event(
            id=self._event_id(cause_id, source, body, subject),
            source=source,
            subject=subject,
            time=self.at,
            recorded_time=self.at,
            data=body,
            brand_id=self.brand_id,
            community_id=self.community_id,
            actor=actor,
            causation_id=cause_id,
            correlation_id=cause.correlation_id if isinstance(cause, Event) else cause_id,
            sequence=sequence,
            clock=ClockMode.DRIVEN,
        )
        self._append(event)
        return event

    def _event_id(self, cause_id: UUID, source: str, body: EventBody, subject: UUID) -> UUID:
        cause = Cause(
            id=cause_id, actor="system", at=self.at, recorded_at=self.at, correlation_id=cause_id
        )
        return event_id(cause, source, body.event_type(), subject, str(len(self.records)))

    def _append(self, event: Event[EventBody]) -> None:
        message = encode(event)
        partition = sha256(message.key).digest()[0] % 12
        place = (message.topic, partition)
        self.records.append(
            Record(
                message.topic,
                partition,
                self._ends[place],
                int(event.recorded_time.timestamp() * 1000),
                message.key,
                message.headers,
                message.value,
            )
        )
        self._ends[place] += 1


def in_order(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (record.topic, record.partition, record.offset))
