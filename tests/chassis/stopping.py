"""A relay that stops itself (SIGSTOP) at a chosen step: `python -m tests.chassis.stopping STEP`.

`COTERIE_…` settings say where. It goes on when somebody sends SIGCONT, and writes a line to its
standard output each time it has lost or could not take the lead. The product knows nothing of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from coterie_chassis.relay import Relay
from coterie_chassis.sending import Packed, Sender
from coterie_chassis.settings import ChassisSettings, load
from coterie_chassis.store import Database

Step = Callable[..., Awaitable[Any]]
STEPS: Final = ("read", "half queued", "queued", "acknowledged", "removed", "refilling")


def arm(step: str) -> None:
    """Stop once, when work is under way: mostly at the second time that `step` is reached.

    After the second removal the outbox may be empty, as a removal takes all that waits for it.
    """
    match step:
        case "read":
            _stop(Relay, "_fetch", before=False, at=2)
        case "half queued":
            _stop_between_batches()
        case "queued":
            _stop(Sender, "_queue", before=False, at=2)
        case "acknowledged":
            _stop(Relay, "_remove", before=True, at=2)
        case "removed":
            _stop(Relay, "_remove", before=False, at=1)
        case "refilling":
            _stop(Relay, "_fetch_archived", before=False, at=2)
        case _:
            raise ValueError(step)


def _stop_between_batches() -> None:
    """Of what is sent at once, one partition's batch is queued and the others are not."""
    queue: Step = Sender._queue
    reached = 0

    async def stopping(self: Sender, packed: Packed) -> Any:
        nonlocal reached
        reached += 1
        if reached == 2:
            _stop(AIOKafkaProducer, "send_batch", before=False, at=1)
        return await queue(self, packed)

    Sender._queue = stopping  # type: ignore[method-assign] # the point of this module


def _stop(owner: type, name: str, *, before: bool, at: int) -> None:
    original: Step = getattr(owner, name)
    reached = 0

    async def stopping(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal reached
        reached += 1
        if reached == at and before:
            os.kill(os.getpid(), signal.SIGSTOP)
        result = await original(self, *arguments, **options)
        if reached == at and not before:
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    setattr(owner, name, stopping)


async def main() -> None:
    settings = load(ChassisSettings)
    relay = Relay(Database(settings.database_url.get_secret_value(), service="sample"), settings)
    attempt = relay._try_to_lead

    async def told() -> None:
        try:
            await attempt()
        finally:
            sys.stdout.write("does not lead\n")
            sys.stdout.flush()

    relay._try_to_lead = told  # type: ignore[method-assign] # the point of this module
    await relay.run()


if __name__ == "__main__":
    arm(sys.argv[1])
    asyncio.run(main())
