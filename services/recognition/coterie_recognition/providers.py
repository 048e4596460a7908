"""Who delivers what this platform cannot: gifts and donations through somebody outside.

No provider ships with the platform; a deployment registers its own in `PROVIDERS` by name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

__all__ = ["PROVIDERS", "Answer", "Provider"]


class Answer(StrEnum):
    """`UNKNOWN`: the provider has no order of that id, so it was never received."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Provider(Protocol):
    """Called outside of any lock, at most once at a time per reward. May raise anything.

    A call that does not answer within the time limit is cancelled; whether it took effect is
    then asked. An exception means that it did not.
    """

    async def issue(
        self, reward_id: UUID, product: str, amount_minor: int, currency: str
    ) -> Answer:
        """Deliver; `reward_id` is the idempotency key, and a duplicate of it is `DONE`."""

    async def ask(self, reward_id: UUID) -> Answer:
        """What became of the order with that idempotency key."""


PROVIDERS: Final[dict[str, Provider]] = {}
