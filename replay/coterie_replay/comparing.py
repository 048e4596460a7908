"""What two tapes tell differently, whatever way their records took.

Where and when a record lay in the log says nothing about what happened, nor do trace context and
replay mark. Events are matched by id, everything else by all that it holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from pydantic_core import from_json

from coterie_contracts.envelope import REPLAY_HEADER
from coterie_replay.record import Record

__all__ = ["Difference", "compare", "differing", "flat"]

PASSING: Final = frozenset({"traceparent", REPLAY_HEADER})


@dataclass(slots=True)
class Difference:
    """Ids of events that only one side has or that differ, and keys whose events stand in another
    order. Records that are no events are counted by topic and digest: how many more of each the
    right side has.
    """

    only_left: list[str] = field(default_factory=list)
    only_right: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)
    others: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        lists = (self.only_left, self.only_right, self.changed, self.reordered)
        return any(lists) or any(self.others.values())


def compare(left: Iterable[Record], right: Iterable[Record]) -> Difference:
    """How `right` differs from `left`. Holds about 200 bytes an event in memory.

    Of an event that stands twice on one side the last counts.
    """
    found = Difference()
    events: list[dict[str, bytes]] = [{}, {}]
    orders: list[dict[tuple[str, bytes | None], list[str]]] = [{}, {}]
    for side, records in enumerate((left, right)):
        for record in records:
            digest = _digest(record)
            if (event_id := record.event_id) is None:
                found.others[record.topic, digest.hex()] += 2 * side - 1
                continue
            if event_id not in events[side]:
                orders[side].setdefault((record.topic, record.key), []).append(event_id)
            events[side][event_id] = digest
    before, after = events
    found.only_left = [event_id for event_id in before if event_id not in after]
    found.only_right = [event_id for event_id in after if event_id not in before]
    found.changed = [each for each in before if after.get(each, before[each]) != before[each]]
    found.reordered = [
        f"{topic} {(key or b'').decode(errors='replace')}"
        for (topic, key), order in orders[0].items()
        if _differ_in_order(order, orders[1].get((topic, key), []))
    ]
    return found


def _differ_in_order(left: list[str], right: list[str]) -> bool:
    """Whether what both have stands differently."""
    common = set(left) & set(right)
    return [each for each in left if each in common] != [each for each in right if each in common]


def flat(record: Record) -> dict[str, Any]:
    """What a record tells, by the paths of its parts: `data.round`, `ce_type`, `key`."""
    told: dict[str, Any] = {"topic": record.topic, "key": _text(record.key)}
    told |= {name: _text(value) for name, value in record.headers if name not in PASSING}
    if record.value is None:
        return told | {"data": None}
    try:
        return told | dict(_leaves(from_json(record.value), "data"))
    except ValueError:
        return told | {"data": _text(record.value)}


def differing(left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Path and both values wherever two records differ; what is not there is `...`."""
    for path in [*left, *(path for path in right if path not in left)]:
        if left.get(path, ...) != right.get(path, ...):
            yield path, left.get(path, ...), right.get(path, ...)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{number}")
    else:
        yield path, value


def _digest(record: Record) -> bytes:
    told = blake2b(digest_size=16)
    headers = sorted(
        (name, value is not None, value or b"")
        for name, value in record.headers
        if name not in PASSING
    )
    told.update(repr((record.topic, record.key, headers, record.value)).encode())
    return told.digest()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")
