"""The options that several commands share, and what their texts mean.

Each function raises `ReplayFault` that names the option and what it takes.
"""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from coterie_replay.faults import ReplayFault
from coterie_replay.ids import IdMap
from coterie_replay.selecting import Selection

__all__ = [
    "SECRET_VARIABLE",
    "Communities",
    "Force",
    "Kafka",
    "NewTape",
    "Prefix",
    "Since",
    "Tape",
    "Types",
    "Until",
    "fresh_map",
    "secret_of",
    "selection_of",
    "speed_of",
]

SECRET_VARIABLE: Final = "COTERIE_REPLAY_SECRET"  # noqa: S105 - the name of one
Tape = Annotated[Path, typer.Argument(help="a tape", metavar="TAPE")]
NewTape = Annotated[Path, typer.Argument(help="the tape to write; .zst compresses", metavar="NEW")]
Force = Annotated[bool, typer.Option("--force", help="overwrite a file that is there")]
Kafka = Annotated[
    str,
    typer.Option("--kafka", envvar="KAFKA_BOOTSTRAP_SERVERS", metavar="HOST:PORT", help="brokers"),
]
Prefix = Annotated[str, typer.Option(help="stands before the name of each topic there")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="events from this time on")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="events before this time")]
Communities = Annotated[
    list[UUID] | None, typer.Option("--community", help="of this community; may be repeated")
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="topic or event type, with * and ?; may be repeated"),
]


def selection_of(
    since: str | None,
    until: str | None,
    communities: list[UUID] | None,
    types: list[str] | None,
    ids: frozenset[str] | None = None,
) -> Selection:
    return Selection(
        since=_moment("--since", since),
        until=_moment("--until", until),
        communities=frozenset(communities or ()),
        types=frozenset(types or ()),
        ids=ids,
    )


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ReplayFault(f"{option} {text!r} is no time like 2026-02-03T10:15:30Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def speed_of(text: str) -> float | None:
    if text == "full":
        return None
    try:
        speed = 1.0 if text == "original" else float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ReplayFault(f"--speed {text!r} is none of: full, original, a number above 0")
    return speed


def fresh_map(seed: str | None) -> IdMap:
    """A seed is no secret: it only makes the ids the same again."""
    return IdMap(secrets.token_bytes(32) if seed is None else seed.encode().rjust(32, b"\0"))


def secret_of(path: Path | None) -> bytes:
    if path is None:
        if not (told := os.environ.get(SECRET_VARIABLE)):
            raise ReplayFault(f"redact needs a secret: set {SECRET_VARIABLE} or pass --secret-file")
        return told.encode()
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise ReplayFault(f"{path} cannot be read: {error.strerror}") from None
