"""A service that only publishes, in a process of its own: `python -m tests.bench.upstream …`.

It leads its relay, says `ready`, begins at the next line of its standard input, commits its events
as fast as it can while the relay sends, and ends when the outbox is empty.
"""

from __future__ import annotations

import asyncio
import sys

from coterie_chassis.service import settle_memory
from tests.bench.relaying import leading
from tests.bench.rig import Rig, Stage

AT_ONCE = 1_000


async def main(url: str, bootstrap: str, count: int) -> None:
    rig = Rig(bootstrap, "unused", count, 0, lambda _what: None)
    stage = Stage(rig, url)
    await stage.watch()
    async with leading(stage) as relay:
        stage.database.on_publish = relay.ring
        settle_memory()
        print("ready", flush=True)  # noqa: T201 - the parent waits for it
        await asyncio.to_thread(sys.stdin.readline)
        for first in range(0, count, AT_ONCE):
            await stage.publish(first, min(AT_ONCE, count - first))
        await stage.drained()
    await stage.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
