"""What commands print about tapes and what differs between them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from coterie_replay.comparing import Difference, differing, flat
from coterie_replay.record import Record
from coterie_replay.tape import Header, TapeReader

__all__ = ["contents", "difference", "record_line"]

_SHOWN: Final = 10


def contents(tape: TapeReader) -> dict[str, Any]:
    """Everything that a tape holds, counted; reads all of it."""
    types, communities, keys = Counter[str](), Counter[str](), set[tuple[str, bytes | None]]()
    first = last = None
    tombstones = marked = 0
    for record in tape:
        types[record.type or "no event"] += 1
        communities[str(record.community) if record.community else "none"] += 1
        keys.add((record.topic, record.key))
        first = min(first or record.happened, record.happened)
        last = max(last or record.happened, record.happened)
        tombstones += record.value is None
        marked += record.header("coterie-replay") is not None
    header: Header = tape.header
    return {
        "tape": str(tape.path),
        "format": header.coterie_tape,
        "contracts": header.contracts,
        "written": header.written and header.written.isoformat(),
        "bytes": tape.total_bytes,
        "records": types.total(),
        "first": first and first.isoformat(),
        "last": last and last.isoformat(),
        "keys": len(keys),
        "tombstones": tombstones,
        "replayed": marked,
        "communities": dict(communities.most_common()),
        "types": dict(sorted(types.items())),
    }


def record_line(record: Record) -> str:
    """An event as one line: when, where, what."""
    value = "" if record.value is None else record.value.decode(errors="backslashreplace")
    return (
        f"{record.happened.isoformat()}  {record.topic}/{record.partition}/{record.offset}  "
        f"{record.event_id or 'no event'}  {value or 'tombstone'}"
    )


def difference(found: Difference, left: Path, right: Path) -> Iterator[str]:
    """What differs between two tapes, in lines; the first few of each kind in full."""
    yield from _ids(f"only in {left}", found.only_left)
    yield from _ids(f"only in {right}", found.only_right)
    yield from _ids("in both, and different", found.changed)
    if found.changed:
        wanted = set(found.changed[:_SHOWN])
        before, after = _events(left, wanted), _events(right, wanted)
        for event_id in found.changed[:_SHOWN]:
            yield f"{event_id} ({before[event_id].topic})"
            for path, was, now in differing(flat(before[event_id]), flat(after[event_id])):
                yield f"  {path}: {_value(was)} -> {_value(now)}"
    yield from _ids("keys whose events stand in another order", found.reordered)
    for (topic, _), count in sorted(found.others.items()):
        if count:
            side = right if count > 0 else left
            yield f"{abs(count):,} records of {topic} that are no events: only in {side}"


def _ids(what: str, ids: list[str]) -> Iterator[str]:
    if ids:
        yield f"{len(ids):,} {what}:"
        yield from (f"  {each}" for each in ids[:_SHOWN])
        if len(ids) > _SHOWN:
            yield f"  … and {len(ids) - _SHOWN:,} more"


def _events(path: Path, wanted: Iterable[str]) -> Mapping[str, Record]:
    ids = set(wanted)
    return {r.event_id: r for r in TapeReader(path) if r.event_id in ids}


def _value(value: Any) -> str:
    return "(not there)" if value is ... else json.dumps(value, ensure_ascii=False)
