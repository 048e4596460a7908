"""`run` reads until it is stopped, or with `--once` to the end of the log; `show` prints counts."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sqlite3
import sys
from pathlib import Path

from aiokafka.errors import KafkaConnectionError
from faststream import FastStream

from insider_stats.reader import MissingTopics, Reader
from insider_stats.store import Store


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="insider-stats", description=__doc__)
    parser.add_argument("--store", type=Path, default=Path("insider-stats.sqlite"))
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="read the events")
    run.add_argument("--kafka", default="127.0.0.1:9092", metavar="HOST:PORT")
    run.add_argument("--once", action="store_true", help="stop at the end of the log")
    commands.add_parser("show", help="print suggestions by community")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        store = Store(given.store)
        if given.command == "show":
            _show(store)
        else:
            asyncio.run(_read(given.kafka, store, once=given.once))
    except sqlite3.Error as error:
        sys.stderr.write(f"{given.store}: {error}\n")
        return 1
    except KafkaConnectionError as error:
        sys.stderr.write(f"no Kafka at {given.kafka}: {error}\n")
        return 1
    except MissingTopics as error:
        sys.stderr.write(f"Kafka at {given.kafka} has no topic {error}: is it Coterie's?\n")
        return 1
    return 0


async def _read(bootstrap: str, store: Store, *, once: bool) -> None:
    reader = Reader(bootstrap, store)
    app = FastStream(reader.broker, logger=None)
    await reader.check()
    reading = asyncio.create_task(app.run())
    if once:
        end = asyncio.create_task(reader.caught_up())
        await asyncio.wait({reading, end}, return_when=asyncio.FIRST_COMPLETED)
        app.exit()
        if end.done():
            end.result()
    await reading


def _show(store: Store) -> None:
    sys.stdout.write(f"{'community':36}  implemented  verified\n")
    for count in store.counts():
        sys.stdout.write(f"{count.community_id}  {count.implemented:11}  {count.verified:8}\n")
    for place in store.set_aside():
        sys.stdout.write(f"not read: {place.topic}/{place.partition}/{place.offset}: ")
        sys.stdout.write(f"{place.reason}\n")


if __name__ == "__main__":
    raise SystemExit(main())
