"""The options that several commands share, and the console that they all print to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from coterie_replay.brokers.processes import LocalFault

__all__ = [
    "DATA",
    "Data",
    "Kafka",
    "PortBase",
    "Postgres",
    "ReportFile",
    "check_report",
    "console",
    "keep_report",
]

console: Final = Console(highlight=False)
DATA: Final = Path(".coterie")
_LAST_BASE: Final = 65_532

Data = Annotated[Path, typer.Option(help="everything that the platform keeps lies here")]
Kafka = Annotated[str, typer.Option(help="embedded | apache | HOST:PORT", metavar="BROKER")]
Postgres = Annotated[str, typer.Option(help="embedded | URL of a role that may create databases")]
PortBase = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=_LAST_BASE,
        help="first of four ports; without it free ones, kept if possible",
    ),
]
ReportFile = Annotated[Path | None, typer.Option(help="also write the report as JSON")]


def check_report(path: Path | None) -> None:
    """Refuse before the work what could not be written after it; raises `LocalFault`."""
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise LocalFault(f"--report {path} cannot be written: name a file in a folder of yours")


def keep_report(path: Path | None, told: Mapping[str, Any]) -> None:
    """Write what was told as JSON, where it was asked for."""
    if path is not None:
        path.write_text(json.dumps(told, indent=2, default=str) + "\n")
