"""Whether a tape is what its header says, and whether these contracts can read what is on it."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from coterie_contracts.envelope import UnknownVersion, Unreadable, decode
from coterie_replay.record import Record
from coterie_replay.tape import Digest, TapeReader

__all__ = ["Verdict", "verify"]

_SOURCE: Final = "coterie/"
_TOLD: Final = 20


class Verdict(NamedTuple):
    """How many records there are, and what is wrong, a sentence each."""

    records: int
    faults: list[str]


def verify(tape: TapeReader) -> Verdict:
    """What is wrong with a tape.

    The first `_TOLD` faults of records are told one by one, then their number. Raises
    `ReplayFault` where it cannot be read to its end.
    """
    faults: list[str] = []
    types, digest = Counter[str](), Digest()
    offsets: dict[tuple[str, int], int] = {}
    for record in tape:
        digest.add(record)
        types[record.type or "no event"] += 1
        place = record.topic, record.partition
        if record.offset <= offsets.get(place, -1):
            faults.append(f"{_place(record)} stands behind offset {offsets[place]}: order is lost")
        offsets[place] = max(record.offset, offsets.get(place, -1))
        if (unreadable := _why_unreadable(record)) is not None:
            faults.append(f"{_place(record)}: {unreadable}")
    if len(faults) > _TOLD:
        faults[_TOLD:] = [f"{len(faults) - _TOLD:,} more faults of records"]
    header = tape.header
    if header.digest not in {None, str(digest)}:
        faults.append("records were changed: they do not have the digest of the header")
    if header.types and header.types != dict(types):
        faults.append("the header counts other event types than there are")
    return Verdict(types.total(), faults)


def _why_unreadable(record: Record) -> str | None:
    """Null for a tombstone and for what does not say that it is ours."""
    if record.value is None or not (record.header("ce_source") or "").startswith(_SOURCE):
        return None
    try:
        decode(record.topic, record.headers, record.value)
    except UnknownVersion as error:
        return f"{error} of the contracts that are installed here"
    except Unreadable as error:
        return str(error)
    return None


def _place(record: Record) -> str:
    return f"{record.topic}, partition {record.partition}, offset {record.offset}"
