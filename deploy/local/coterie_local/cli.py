"""The command `coterie`: the whole platform on one machine.

Each subcommand is a thin function that imports what it runs when it runs, so that `--help` is
immediate. A fault of this machine is one line that says what to do, and exit code 2.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import psutil
import typer

from coterie_local.import_commands import imports
from coterie_local.interruptible import Interruptible
from coterie_local.options import (
    DATA,
    Data,
    Kafka,
    PortBase,
    Postgres,
    ReportFile,
    check_report,
    console,
    keep_report,
)
from coterie_replay.brokers.processes import LocalFault

if TYPE_CHECKING:
    from coterie_local.platform import Options, Platform

__all__ = ["app", "main"]

app = typer.Typer(name="coterie", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(imports, name="import")
_CHECK_S: Final = 0.5

Bootstrap = Annotated[
    str | None, typer.Option("--kafka", help="HOST:PORT; default: the platform on --data")
]


def main() -> None:
    """Run the command line."""
    # What the client of Kafka logs about a broker that is away, we say ourselves.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app()
    except LocalFault as fault:
        sys.stderr.write(f"coterie: {fault}\n")
        raise SystemExit(2) from None


@app.callback()
def coterie() -> None:
    """The whole Coterie platform on one machine."""


@app.command()
def up(
    data: Data = DATA,
    kafka: Kafka = "embedded",
    postgres: Postgres = "embedded",
    port_base: PortBase = None,
    empty: Annotated[bool, typer.Option("--empty", help="without the demo's community")] = False,
) -> None:
    """Start the platform and keep it up until Ctrl-C; the next start continues where it was."""
    from coterie_local.platform import Platform  # noqa: PLC0415 - see the module's docstring

    options = _options(data, kafka, postgres, port_base)
    with Interruptible(), Platform(options, report=lambda line: console.print(f"  {line}")) as it:
        spent = time.time() - psutil.Process().create_time()
        console.print(f"ready after {spent:.1f} s; data in {it.folder.path}")
        _welcome(it, empty=empty)
        console.print("Ctrl-C stops everything.")
        while (fault := it.fault()) is None:
            time.sleep(_CHECK_S)
        raise LocalFault(f"{fault}; the rest was stopped too")
    console.print("stopped; nothing was left running")


@app.command()
def demo(
    *,
    members: Annotated[int, typer.Option(help="people who apply; 16 at least")] = 16,
    seed: Annotated[int, typer.Option(help="the same seed makes the same choices")] = 1,
    report: ReportFile = None,
    data: Annotated[
        Path | None, typer.Option(help="keep what the platform stores here; default: nothing")
    ] = None,
    kafka: Kafka = "embedded",
    postgres: Postgres = "embedded",
    port_base: PortBase = None,
) -> None:
    """Play a season of one community, tell what came of it, audit it, and stop."""
    from coterie_local.demo.play import run_demo  # noqa: PLC0415 - see the module's docstring

    check_report(report)
    told = None
    with Interruptible(), temporary(data) as folder:
        options = _options(folder, kafka, postgres, port_base)
        told = run_demo(console, options, members=members, seed=seed)
    if told is None:
        raise LocalFault("the demo was interrupted; nothing was left running")
    keep_report(report, told.to_json())
    if not told.audit.ok(require_facts=True):
        raise typer.Exit(1)
    console.print("Next: [bold]make up[/] keeps it running for you; docs/index.md is the map.")


@app.command()
def audit(
    kafka: Bootstrap = None,
    data: Data = DATA,
    report: ReportFile = None,
) -> None:
    """Judge the Kafka log against every promise; exit 1 on a violation or an incomplete log."""
    from coterie_local.audit import audit_kafka  # noqa: PLC0415
    from coterie_local.log import read_kafka  # noqa: PLC0415

    check_report(report)
    found = read_kafka(_bootstrap(kafka, data), audit_kafka)
    console.print(found.render())
    keep_report(report, found.to_json())
    if not found.ok():
        raise typer.Exit(1)


@app.command()
def status(
    *,
    data: Data = DATA,
    url: Annotated[
        list[str] | None,
        typer.Option(help="a service elsewhere, for instance http://127.0.0.1:8000; repeatable"),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="with --url: holds a token with the role operator; or COTERIE_TOKEN"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="one frame, then exit")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="once, for machines")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3_600, help="seconds between looks")] = 2.0,
) -> None:
    """Show the platform at a glance, live; with --once or --json exit 1 if anything is wrong."""
    from coterie_local.status import show, source_of  # noqa: PLC0415

    source = source_of(data, url or [], token_file)
    if not show(console, source, once=once, as_json=as_json, every_s=every):
        raise typer.Exit(1)


@app.command()
def story(
    feedback_id: Annotated[UUID, typer.Argument(help="the suggestion")],
    kafka: Bootstrap = None,
    data: Data = DATA,
) -> None:
    """Tell what became of a suggestion, from the Kafka log alone."""
    from coterie_local.log import read_kafka  # noqa: PLC0415
    from coterie_local.story import NoStory, render, story_on_kafka, tell  # noqa: PLC0415

    try:
        lines = read_kafka(_bootstrap(kafka, data), lambda at: story_on_kafka(at, feedback_id))
    except NoStory as missing:
        raise LocalFault(f"{missing}: the board of feedback shows the ids") from None
    if console.is_terminal:
        console.print(render(lines))
    else:
        sys.stdout.write(tell(lines) + "\n")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def service(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="membership | feedback | recognition | …")],
    data: Data = DATA,
) -> None:
    """Run a command of a service, such as `redrive list`, beside the one that runs on --data."""
    from coterie_local.data_folder import DataFolder, running_in  # noqa: PLC0415

    if (running := running_in(data)) is None:
        raise LocalFault(f"no platform runs on {data}: start one with `coterie up`")
    if name not in running.services:
        raise LocalFault(f"{name!r} is none of: {', '.join(running.services)}")
    program = [sys.executable, "-m", f"coterie_{name}", *context.args]
    done = subprocess.run(program, env=DataFolder(data).environment(name), check=False)
    raise typer.Exit(done.returncode)


@app.command()
def why(
    notification_id: Annotated[UUID, typer.Argument(help="sent or withheld")],
    data: Data = DATA,
) -> None:
    """Show each answer of the guard to a notification of the platform on --data."""
    from coterie_local.data_folder import running_in  # noqa: PLC0415
    from coterie_local.why import explain  # noqa: PLC0415

    if (running := running_in(data)) is None:
        raise LocalFault(f"no platform runs on {data}: start one with `coterie up`")
    explain(console, running, data, notification_id)


@contextmanager
def temporary(data: Path | None) -> Iterator[Path]:
    """`data`, or a folder that is gone afterwards."""
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="coterie-") as folder:
        yield Path(folder)


def _options(data: Path, kafka: str, postgres: str, port_base: int | None) -> Options:
    from coterie_local.platform import Options  # noqa: PLC0415

    return Options(data=data, kafka=kafka, postgres=postgres, port_base=port_base)


def _welcome(platform: Platform, *, empty: bool) -> None:
    """Greet; the community that is loaded without `--empty` brings its own people and requests."""
    from coterie_chassis.auth import Role  # noqa: PLC0415
    from coterie_local.demo import tour  # noqa: PLC0415
    from coterie_local.demo.play import play_once  # noqa: PLC0415
    from coterie_local.welcome import greet  # noqa: PLC0415

    if empty:
        greet(console, platform, requests=tour.first_steps(platform))
        return
    loaded = play_once(console, platform)
    greet(
        console,
        platform,
        requests=tour.requests(platform, loaded),
        commands=list(tour.commands(platform, loaded)),
        people={Role.MEMBER: loaded.subject("ada")},
    )


def _bootstrap(kafka: str | None, data: Path) -> str:
    """The broker to read from: the named one, or that of the platform that runs on `data`."""
    from coterie_local.brokers import is_address  # noqa: PLC0415
    from coterie_local.data_folder import running_in  # noqa: PLC0415

    if kafka is not None:
        if not is_address(kafka):
            raise LocalFault(f"--kafka {kafka!r} is not HOST:PORT")
        return kafka
    if (running := running_in(data)) is None:
        raise LocalFault(
            f"no platform runs on {data}: start one with `coterie up`, or pass --kafka HOST:PORT"
        )
    return running.kafka
