"""`make bench`: measure on Apache Kafka and PostgreSQL, and write `build/bench.json`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from coterie_chassis.testing import create_database
from coterie_local.postgres import EmbeddedPostgres
from coterie_replay.brokers.apache import ApacheKafka
from coterie_replay.brokers.topics import create_topics
from tests.bench.measure import Result, compare
from tests.bench.rig import Rig
from tests.chassis import sample

REPORT: Final = Path("build/bench.json")
PACKAGES: Final = ("aiokafka", "asyncpg", "faststream", "pydantic", "sqlalchemy")


async def measure(rig: Rig, *, events: int, rounds: int) -> list[Result]:
    """Every comparison, one after the other."""
    messages = await rig.messages(events)
    results = [
        await compare(
            "relay_vs_raw_send",
            lambda: rig.drain(events),
            lambda: rig.raw_send(messages),
            unit="events/s",
            rounds=rounds,
        )
    ]
    await rig.empty()
    results.append(
        await compare(
            "consumer_vs_copy",
            lambda: rig.consume(events, 1_000),
            lambda: rig.copy(events, 1_000),
            unit="events/s",
            rounds=rounds,
        )
    )
    await rig.empty()
    async with rig.runtime.lifespan(None):  # type: ignore[arg-type] - the app is not used
        results.append(
            await compare(
                "idle_latency_vs_bare",
                lambda: rig.idle_latency(20),
                lambda: rig.bare_latency(20),
                unit="ms, median",
                rounds=rounds,
            )
        )
    return results


async def run(folder: Path, bootstrap: str, admin_url: str, **size: int) -> list[Result]:
    del folder
    await create_topics(bootstrap, partitions=4)
    rig = Rig(await create_database(admin_url, sample.service), bootstrap)
    try:
        return await measure(rig, **size)
    finally:
        await rig.database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="coterie-bench-") as name:
        folder = Path(name)
        kafka, postgres = ApacheKafka(folder / "kafka"), EmbeddedPostgres(folder / "postgres")
        kafka.start()
        try:
            postgres.start()
            try:
                work = run(
                    folder,
                    kafka.bootstrap,
                    postgres.admin_url,
                    events=given.events,
                    rounds=given.rounds,
                )
                results = asyncio.run(work)
                on = {"kafka": kafka.version, "postgresql": postgres.version}
            finally:
                postgres.stop()
        finally:
            kafka.stop()
    write(results, on)
    console.print(table(results))


def write(results: list[Result], on: dict[str, str]) -> None:
    """Write the report as JSON."""
    told: dict[str, Any] = {
        "results": [result.to_json() for result in results],
        "versions": on | {name: version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(told, indent=1) + "\n")


def table(results: list[Result]) -> Table:
    """The same for people."""
    shown = Table(title="Ours over a reference in the same run", title_justify="left")
    for heading in ("what", "ratio", "ours", "reference", "unit", "spread"):
        shown.add_column(heading, justify="left" if heading == "what" else "right")
    for result in results:
        low, high = result.spread
        shown.add_row(
            result.name,
            f"{result.ratio:.2f}",
            f"{result.ours:,.0f}",
            f"{result.reference:,.0f}",
            result.unit,
            f"{low:.2f}-{high:.2f}",
        )
    return shown


if __name__ == "__main__":
    main()
