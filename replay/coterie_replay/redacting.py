"""A tape that can be handed on: other ids, and nothing that the contracts do not declare.

Only what is known survives. A record that is no event of ours is left out, a header or a field that
the contracts do not declare goes, and so does the trace context, which leads into our traces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from coterie_contracts.envelope import Unreadable, decode, encode
from coterie_replay.ids import IdMap
from coterie_replay.record import Record

__all__ = ["Redaction"]

NO_EVENT: Final = "no event that these contracts know"


class Redaction:
    """Redacts records; `left_out` counts, by reason, those that it cannot."""

    def __init__(self, ids: IdMap) -> None:
        self._ids = ids
        self.left_out: Counter[str] = Counter()

    def of(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            try:
                event = decode(record.topic, record.headers, record.value)
            except Unreadable:
                self.left_out[NO_EVENT] += 1
                continue
            message = encode(replace(event, traceparent=None))
            yield self._ids.record(
                replace(record, key=message.key, headers=message.headers, value=message.value)
            )
