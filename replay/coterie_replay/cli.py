"""The command `coterie-replay`: record, look at, cut, redact, play, compare and verify tapes.

A fault is one line that says what to do, and exit code 2. `diff` and `verify` end with 1 where
they found something, an interrupted command with 130.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from coterie_replay.comparing import compare
from coterie_replay.faults import ReplayFault
from coterie_replay.ids import IdMap
from coterie_replay.interrupting import ending_in_order, run
from coterie_replay.log import Log
from coterie_replay.options import (
    SECRET_VARIABLE,
    Communities,
    Force,
    Kafka,
    NewTape,
    Prefix,
    Since,
    Tape,
    Types,
    Until,
    fresh_map,
    secret_of,
    selection_of,
    speed_of,
)
from coterie_replay.playing import Pace, Player
from coterie_replay.progress import Progress
from coterie_replay.record import Record
from coterie_replay.redacting import Redaction
from coterie_replay.selecting import effects_of
from coterie_replay.tape import TapeReader, TapeWriter
from coterie_replay.telling import contents, difference, record_line
from coterie_replay.verifying import verify as verdict_on

__all__ = ["app", "main"]

app = typer.Typer(
    name="coterie-replay",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Record Coterie's events on tapes and play them again. A tape ends with .jsonl or "
    ".jsonl.zst. Contact data is never recorded and never played.",
)
_FOUND: Final = 1
_FAULT: Final = 2
_INTERRUPTED: Final = 130


def main() -> None:
    """Run the command line."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    ending_in_order()
    try:
        app()
    except ReplayFault as fault:
        sys.stderr.write(f"coterie-replay: {fault}\n")
        raise SystemExit(_FAULT) from None


@app.command()
def record(
    new: NewTape,
    kafka: Kafka,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="go on until Ctrl-C")] = False,
    prefix: Prefix = "",
    since: Since = None,
    until: Until = None,
    community: Communities = None,
    type_: Types = None,
    force: Force = False,
) -> None:
    """Record what a cluster holds, or from now on with --follow what comes, too.

    The records of all topics stand on the tape oldest first, in their order within a partition.
    Ctrl-C leaves a valid tape of what was recorded until then.
    """
    wanted = selection_of(since, until, community, type_)
    kept: list[TapeWriter] = []

    async def work() -> None:
        async with Log(kafka, prefix=prefix) as log:
            with (
                TapeWriter(new, log.partitions, overwrite=force, keep_partial=True) as tape,
                Progress("recorded", lambda: (log.read, log.total)) as progress,
            ):
                kept.append(tape)
                so_far = f"all that {kafka} holds is recorded, following it until Ctrl-C"
                told = progress.once(so_far)
                async with aclosing(log.records(follow=follow, idle=told)) as records:
                    async for each in records:
                        if wanted.wants(each):
                            tape.write(each)
                        progress.step()

    _, interrupted = run(work())
    for tape in kept:
        _say(f"{new}: {tape.records:,} records{' until it was interrupted' if interrupted else ''}")
    if interrupted and not (kept and follow):
        raise typer.Exit(_INTERRUPTED)


@app.command()
def inspect(
    tape: Tape,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False,
    events: Annotated[int, typer.Option(min=0, help="also show the first N events")] = 0,
) -> None:
    """Tell what is on a tape: when, which communities, how many of each type."""
    reader = TapeReader(tape)
    told = contents(reader)
    if as_json:
        _say(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for name, value in told.items():
        if not isinstance(value, dict):
            _say(
                f"{name + ':':<12} {value:,}"
                if isinstance(value, int)
                else f"{name + ':':<12} {value}"
            )
            continue
        _say(f"{name}:")
        for each, count in value.items():
            _say(f"  {count:>9,}  {each}")
    for number, each in enumerate(reader):
        if number == events:
            break
        _say(record_line(each))


@app.command()
def cut(
    tape: Tape,
    new: NewTape,
    *,
    since: Since = None,
    until: Until = None,
    community: Communities = None,
    type_: Types = None,
    aggregate: Annotated[
        list[UUID] | None,
        typer.Option(help="events of this id and everything they caused; may be repeated"),
    ] = None,
    force: Force = False,
) -> None:
    """Write a tape of those records that fit all that is asked for."""
    source = TapeReader(tape)
    ids = None if aggregate is None else effects_of(aggregate, lambda: source)
    wanted = selection_of(since, until, community, type_, ids)
    with TapeWriter(new, source.header.partitions, overwrite=force) as target:
        for each in wanted.of(_shown("cut", source)):
            target.write(each)
    _say(f"{new}: {target.records:,} records")


@app.command()
def redact(
    tape: Tape,
    new: NewTape,
    *,
    secret_file: Annotated[
        Path | None, typer.Option(help=f"holds the secret; without it {SECRET_VARIABLE} does")
    ] = None,
    force: Force = False,
) -> None:
    """Write a tape with other ids, the same for the same id wherever the secret is the same.

    Only what the contracts declare survives: unknown headers, fields, event types and records that
    are no events are left out, and so is the trace context. Texts that staff wrote stay.
    """
    redaction = Redaction(IdMap(secret_of(secret_file)))
    source = TapeReader(tape)
    with TapeWriter(new, overwrite=force) as target:
        for each in redaction.of(_shown("redacted", source)):
            target.write(each)
    _say(f"{new}: {target.records:,} records")
    for reason, count in redaction.left_out.items():
        _say(f"left out {count:,}: {reason}")


@app.command()
def play(
    tape: Tape,
    kafka: Kafka,
    *,
    speed: Annotated[
        str, typer.Option(metavar="SPEED", help="full, original, or how many times original")
    ] = "full",
    fresh_ids: Annotated[
        bool, typer.Option("--fresh-ids", help="map all ids, so that a tape can be played again")
    ] = False,
    seed: Annotated[
        str | None, typer.Option(help="of --fresh-ids: the same seed maps to the same ids")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="leave the replay mark off; on test clusters only")
    ] = False,
    prefix: Prefix = "",
    create_topics: Annotated[
        bool, typer.Option("--create-topics", help="create missing topics, with one replica")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check everything, send nothing")
    ] = False,
) -> None:
    """Send a tape's records again: same ids, keys and order, marked as a replay.

    Consumers rebuild state from marked records and repeat no effect on the outside.
    """
    source = TapeReader(tape)
    topics = {each.topic for each in _shown("checked", source)}
    player = Player(
        kafka,
        live=live,
        ids=fresh_map(seed) if fresh_ids else None,
        prefix=prefix,
        pace=Pace(speed_of(speed)),
    )

    async def work() -> None:
        would_create = create_topics and dry_run
        await player.check(() if would_create else topics, create=create_topics)
        if not dry_run:
            await player.play(_shown("played", source), source.header.partitions)

    if seed is not None and not fresh_ids:
        raise ReplayFault("--seed belongs to --fresh-ids")
    _, interrupted = run(work())
    marked = "without the replay mark" if live else "with the replay mark"
    if dry_run:
        _say(f"would play {source.header.records or 0:,} records to {len(topics)} topics {marked}")
        return
    _say(f"played {player.played.records:,} records {marked}")
    if interrupted:
        _say("interrupted: play it again as a whole, records that are there have no effect twice")
        raise typer.Exit(_INTERRUPTED)


@app.command()
def diff(left: Tape, right: Tape) -> None:
    """Say what two tapes tell differently, wherever and whenever their records lay in a log.

    Events are matched by id. Partition, offset, timestamp, trace context and mark do not count.
    """
    found = compare(_shown("read", TapeReader(left)), _shown("read", TapeReader(right)))
    for line in difference(found, left, right):
        _say(line)
    if found:
        raise typer.Exit(_FOUND)
    _say("they tell the same")


@app.command()
def verify(tape: Tape) -> None:
    """Check a tape: complete, unchanged since it was written, in order, and readable here."""
    verdict = verdict_on(TapeReader(tape))
    for fault in verdict.faults:
        _say(fault)
    if verdict.faults:
        raise typer.Exit(_FOUND)
    _say(f"{tape}: {verdict.records:,} records, all in order")


def _shown(what: str, tape: TapeReader) -> Iterator[Record]:
    with Progress(what, lambda: (tape.read_bytes, tape.total_bytes)) as progress:
        for each in tape:
            yield each
            progress.step()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
