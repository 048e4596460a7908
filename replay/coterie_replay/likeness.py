"""Whether what came tells the same as a tape, and if not, where it differs.

Events are compared key by key in their order, because nothing else is ordered. Where a record lay,
and what is new every time, is not compared: `ce_id`, `ce_recordedtime`, trace context, the mark.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any, Final

from coterie_contracts.envelope import Event, encode
from coterie_contracts.model import EventBody
from coterie_replay.awaiting import Seen
from coterie_replay.comparing import differing, flat
from coterie_replay.record import Record

__all__ = ["ALWAYS_NEW", "differences", "records_of"]

ALWAYS_NEW: Final = frozenset({"ce_id", "ce_recordedtime"})
_Key = tuple[str, bytes | None]


def records_of(came: Iterable[Record | Event[EventBody] | Seen]) -> list[Record]:
    """Events as the records they would be, numbered as they come; records as they are."""
    return [_record(number, each) for number, each in enumerate(came)]


def differences(
    expected: Iterable[Record], came: Iterable[Record], ignore: Collection[str] = ()
) -> list[str]:
    """A sentence for each difference. `ignore` are paths such as `data.issued_at`, with `*`."""
    before, after = _by_key(expected, ignore), _by_key(came, ignore)
    found: list[str] = []
    for key in [*before, *(key for key in after if key not in before)]:
        found += _of_key(key, before.get(key, []), after.get(key, []))
    return found


def _record(number: int, told: Record | Event[EventBody] | Seen) -> Record:
    if isinstance(told, Record):
        return told
    if isinstance(told, Seen):
        return told.record
    message = encode(told)
    at = int(told.recorded_time.timestamp() * 1000)
    return Record(message.topic, 0, number, at, message.key, message.headers, message.value)


def _by_key(records: Iterable[Record], ignore: Collection[str]) -> dict[_Key, list[dict[str, Any]]]:
    found: dict[_Key, list[dict[str, Any]]] = {}
    for record in records:
        told = {
            path: value
            for path, value in flat(record).items()
            if path not in ALWAYS_NEW and not any(fnmatchcase(path, each) for each in ignore)
        }
        found.setdefault((record.topic, record.key), []).append(told)
    return found


def _of_key(key: _Key, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    topic, raw = key
    name = topic if raw is None else f"{topic} {raw.decode(errors='replace')}"
    if len(before) != len(after):
        yield f"{name}: {len(before)} expected, {len(after)} came"
    for number, (was, now) in enumerate(zip_longest(before, after), start=1):
        if was is None or now is None:
            continue
        for path, expected, came in differing(was, now):
            yield f"{name}, event {number}: {path}: {_told(expected)} expected, {_told(came)} came"


def _told(value: Any) -> str:
    return "nothing" if value is ... else json.dumps(value, ensure_ascii=False)
