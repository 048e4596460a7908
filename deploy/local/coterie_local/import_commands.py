"""`coterie import`: the history of a real community, by the format that it was published in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coterie_local.interruptible import Interruptible
from coterie_local.options import DATA, ReportFile, check_report, console, keep_report
from coterie_replay.brokers.processes import LocalFault

if TYPE_CHECKING:
    from coterie_local.importers.plan import Plan

__all__ = ["imports"]

imports = typer.Typer(no_args_is_help=True, help="Play a real community's history.")
ImportData = Annotated[
    Path | None,
    typer.Option(
        "--data", help="of the platform; default: .coterie/histories, or .coterie with --url"
    ),
]
ImportKafka = Annotated[
    str | None,
    typer.Option(
        "--kafka",
        help="apache | embedded | HOST:PORT; default: apache where it can run; "
        "with --url the HOST:PORT whose log is audited",
    ),
]
Url = Annotated[
    str | None, typer.Option(help="of membership of a running platform, http://HOST:PORT")
]


@imports.command("stackexchange")
def import_stackexchange(
    folder: Annotated[Path, typer.Argument(help="the dump's folder")],
    *,
    capacity: Annotated[int, typer.Option(min=1, help="seats of the community")] = 100,
    data: ImportData = None,
    kafka: ImportKafka = None,
    url: Url = None,
    report: ReportFile = None,
) -> None:
    """Play a Stack Exchange dump: who joins, posts, votes, and what became of each request."""
    from coterie_local.importers.stackexchange_plan import plan_stackexchange  # noqa: PLC0415

    _import(lambda: plan_stackexchange(folder, capacity=capacity), data, kafka, url, report)


@imports.command("polis")
def import_polis(
    folder: Annotated[Path, typer.Argument(help="the folder of comments.csv and votes.csv")],
    *,
    data: ImportData = None,
    kafka: ImportKafka = None,
    url: Url = None,
    report: ReportFile = None,
) -> None:
    """Play a Polis conversation: its named votes become ratings."""
    from coterie_local.importers.polis import plan_polis  # noqa: PLC0415

    _import(lambda: plan_polis(folder), data, kafka, url, report)


def _import(
    read: Callable[[], Plan],
    data: Path | None,
    kafka: str | None,
    url: str | None,
    report: Path | None,
) -> None:
    from coterie_local import importing  # noqa: PLC0415

    check_report(report)
    plan = importing.read_history(read)
    outcome = None
    with Interruptible():
        if url is not None:
            target = importing.joined(url, plan, data or DATA, kafka)
            outcome = importing.import_into(target, plan, console)
        else:
            with importing.started(plan, data or DATA / "histories", kafka, console) as target:
                outcome = importing.import_into(target, plan, console)
    if outcome is None:
        raise LocalFault("the import was interrupted; the same command goes on where it stopped")
    told, audited = outcome
    keep_report(report, told.as_json() | {"audit": None if audited is None else audited.to_json()})
    if not told.complete or (audited is not None and not audited.ok()):
        raise typer.Exit(1)
