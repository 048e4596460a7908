"""`make bench`: measure on Apache Kafka and PostgreSQL, and write `build/bench.json`.

Ends with 1 where a bound is missed, or a row could not be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from coterie_chassis.service import settle_memory
from coterie_local.postgres import EmbeddedPostgres
from coterie_replay.brokers.apache import ApacheKafka, missing_parts
from coterie_replay.brokers.topics import create_topics
from tests.bench import (
    commanding,
    consuming,
    flowing,
    paging,
    peers,
    rating,
    relaying,
    remembering,
    replaying,
    weighing,
)
from tests.bench.measure import ROWS, Result
from tests.bench.report import DOCUMENT, document, table, write
from tests.bench.rig import Rig

SUBJECTS: Final = (
    relaying,
    peers,
    consuming,
    flowing,
    rating,
    commanding,
    remembering,
    paging,
    weighing,
    replaying,
)
PARTITIONS: Final = 4
FEWEST_ROUNDS: Final = 5
_WIDTH_OF_A_FILE: Final = 160
SERVERS: Final = {"shared_buffers": "512MB"}
"""What a server of its own has of memory; the demo's 64 MB would be full within a round."""


async def measure(rig: Rig, names: list[str], console: Console) -> list[Result]:
    """Every named row, one after the other."""
    await create_topics(rig.bootstrap, partitions=PARTITIONS)
    settle_memory()
    rig.say = lambda what: console.print(f"[dim]{what}[/]")
    await relaying.warm(rig)
    results = []
    for name in names:
        rig.say = lambda what, name=name: console.print(f"[dim]{name}: {what}[/]")
        try:
            result = ROWS[name].result(await ROWS[name].measure(rig))
        except Exception:  # noqa: BLE001 - the rows before it are told all the same
            console.print_exception()
            console.print(f"{name}: FAILED, and is not in the table")
            continue
        console.print(f"{name}: {result.ratio:.2f} ({'holds' if result.holds else 'MISSED'})")
        results.append(result)
    return results


@contextmanager
def parts() -> Iterator[tuple[ApacheKafka, EmbeddedPostgres]]:
    """A broker and a database server of this run's own, both durable."""
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as name:
        folder = Path(name)
        kafka = ApacheKafka(folder / "kafka")
        postgres = EmbeddedPostgres(folder / "postgres", SERVERS)
        kafka.start()
        try:
            postgres.start()
            try:
                yield kafka, postgres
            finally:
                postgres.stop()
        finally:
            kafka.stop()


def main() -> int:
    given = arguments()
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
    if (missing := missing_parts()) is not None:
        console.print(f"bench needs Apache Kafka: {missing}")
        return 2
    with parts() as (kafka, postgres):
        rig = Rig(
            kafka.bootstrap,
            postgres.admin_url,
            given.events,
            given.rounds,
            lambda _what: None,
            history=given.history,
            ratings=given.ratings,
        )
        names = given.rows or list(ROWS)
        results = asyncio.run(measure(rig, names, console))
        on = {"kafka": kafka.version, "postgresql": postgres.version}
    write(results, on)
    if given.document:
        DOCUMENT.write_text(document(DOCUMENT.read_text(), results, on))
    console.print(table(results))
    return 0 if len(results) == len(names) and all(result.holds for result in results) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of: {', '.join(ROWS)}")
    parser.add_argument("--events", type=int, default=50_000, help="a round, where all is fast")
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS)
    parser.add_argument("--document", action="store_true", help=f"write {DOCUMENT} as well")
    parser.add_argument(
        "--history", type=int, default=3_000_000, help="rows of archive and inbox for history_cost"
    )
    parser.add_argument(
        "--ratings", type=int, default=1_000_000, help="ratings that lie behind pages and circles"
    )
    given = parser.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    if given.rounds < FEWEST_ROUNDS:
        parser.error(f"fewer than {FEWEST_ROUNDS} rounds say nothing")
    return given


if __name__ == "__main__":
    sys.exit(main())
