"""Other ids for all that a tape holds, the same one wherever the same id stands.

An id is mapped by HMAC-SHA-256 under a secret. Its version stays, and so does the time in an id of
version 7 or 8: consumers keep the ids that took effect by the day inside of them.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from functools import lru_cache
from typing import Final
from uuid import UUID

from coterie_replay.faults import ReplayFault
from coterie_replay.record import Record

__all__ = ["SHORTEST_SECRET", "IdMap"]

SHORTEST_SECRET: Final = 16
_ID: Final = re.compile(
    rb"(?<![0-9a-fA-F-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9a-fA-F-])"
)
_KEPT: Final = frozenset({UUID(int=0), UUID(int=2**128 - 1)})
_REMEMBERED: Final = 65_536


class IdMap:
    """Maps every UUID that stands in a key, a header or a value.

    Raises `ReplayFault` for a secret of less than `SHORTEST_SECRET` bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ReplayFault(
                f"a secret has at least {SHORTEST_SECRET} bytes, this one has {len(secret)}"
            )
        self._secret = secret
        self._mapped = lru_cache(_REMEMBERED)(self._map)

    def id(self, known: UUID) -> UUID:
        """The id that stands for `known`."""
        return UUID(self._mapped(str(known).encode()).decode())

    def inside(self, value: bytes | None) -> bytes | None:
        """`value` with all ids in it mapped."""
        return None if value is None else _ID.sub(lambda found: self._mapped(found[0]), value)

    def record(self, record: Record) -> Record:
        """`record` with all ids in it mapped."""
        return replace(
            record,
            key=self.inside(record.key),
            headers=tuple((name, self.inside(value)) for name, value in record.headers),
            value=self.inside(record.value),
        )

    def _map(self, text: bytes) -> bytes:
        known = UUID(text.decode())
        if known in _KEPT:
            return text
        drawn = hmac.digest(self._secret, known.bytes, "sha256")[:16]
        if known.version in {7, 8}:
            drawn = known.bytes[:6] + drawn[6:]
        # The version's and the variant's bits as RFC 9562 places them.
        version, variant = known.bytes[6] & 0xF0, known.bytes[8] & 0xE0
        octets = bytearray(drawn)
        octets[6] = version | (octets[6] & 0x0F)
        octets[8] = variant | (octets[8] & 0x1F)
        return str(UUID(bytes=bytes(octets))).encode()
