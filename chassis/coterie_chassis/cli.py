"""The command line that every service has: serve, migrate, topics, redrive, republish, rebuild."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
import uvicorn
from sqlalchemy import text

from coterie_chassis import connections, deadletter, rebuild_report, redrive, telemetry
from coterie_chassis import migrate as schema
from coterie_chassis.errors import ConfigurationFault, describe, is_transient
from coterie_chassis.rebuild import rebuild as run_rebuild
from coterie_chassis.roles import Role
from coterie_chassis.service import Runtime, Service
from coterie_chassis.settings import load
from coterie_chassis.topics import create_missing, owned_by
from coterie_contracts.topics import Lane

__all__ = ["run"]

_REPUBLISH_WAIT_S: Final = 600
_ALL: Final = 1_000_000
_Letter = Annotated[str, typer.Argument(help="id from `list`")]


def run(service: Service) -> None:
    """Run the command line of `service`; what an operator can mend is one line.

    Exit code 2: a fault of configuration or of the arguments. 3: a part that does not answer now.
    """
    try:
        _app(service)()
    except ConfigurationFault as fault:
        sys.stderr.write(f"coterie-{service.name}: {fault}\n")
        raise SystemExit(2) from None
    except Exception as error:
        if not (is_transient(error) or isinstance(error, OSError)):
            raise
        sys.stderr.write(f"coterie-{service.name}: try again later: {describe(error)}\n")
        raise SystemExit(3) from None


def _app(service: Service) -> typer.Typer:
    app = typer.Typer(
        name=f"coterie-{service.name}", no_args_is_help=True, pretty_exceptions_enable=False
    )

    @app.command()
    def serve(
        only: Annotated[
            Role | None,
            typer.Option(
                help="one role: api takes commands, consumer applies events and acts on "
                "deadlines, relay sends the outbox; default: all"
            ),
        ] = None,
    ) -> None:
        """Serve commands, relay the outbox and consume, until SIGTERM."""
        settings = load(service.settings)
        telemetry.configure(service.name, settings.log_level)
        asgi = service.app(settings, only)
        runtime: Runtime = asgi.state.runtime
        runtime.check()
        config = uvicorn.Config(
            asgi,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=int(settings.shutdown_grace_s),
        )
        with _bound(settings.http_host, settings.http_port) as listener:
            try:
                uvicorn.Server(config).run(sockets=[listener])
            except SystemExit:
                if runtime.fault is None:
                    raise
        if runtime.fault is not None:
            raise runtime.fault

    @app.command()
    def migrate() -> None:
        """Bring the database's schema up to this release."""
        _with(service, lambda runtime: schema.upgrade(runtime.database, service))
        typer.echo(f"{service.name}: the schema is current")

    @app.command()
    def topics(
        replicas: Annotated[
            int, typer.Option(min=1, help="copies of each partition on different brokers")
        ] = 1,
    ) -> None:
        """Create this service's own topics where they are missing; change none that is there."""
        settings = load(service.settings)
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it raises is told once
        created = asyncio.run(
            create_missing(
                owned_by(service.name),
                settings.kafka_bootstrap,
                replicas=replicas,
                **connections.kafka_options(settings),
            )
        )
        typer.echo(f"{service.name}: {created} topics created")

    @app.command()
    def republish(
        since: Annotated[
            datetime | None, typer.Option(help="only what was sent since, UTC; default: all")
        ] = None,
    ) -> None:
        """Have the relay send its archive again, with identical ids, before anything new."""
        moment = since and since.replace(tzinfo=since.tzinfo or UTC)
        sent = _with(service, lambda runtime: _republish(runtime, moment))
        typer.echo(f"{service.name}: {sent} events sent again")

    @app.command()
    def rebuild(
        swap: Annotated[
            bool,
            typer.Option(
                "--swap/--compare-only", help="mend the rows that differ, or change nothing"
            ),
        ] = False,
        refilled: Annotated[
            bool,
            typer.Option(help="every owner has sent its whole archive again since the log was cut"),
        ] = False,
    ) -> None:
        """Make the projections again from the log, beside the live ones, and compare by digest.

        Nothing is published, and consumers may go on. Exit codes: 0 equal, 1 different or not
        mended whole, 2 not possible, 3 a part does not answer now.
        """
        progress = rebuild_report.Progress(service.name)
        found = _with(
            service,
            lambda runtime: run_rebuild(runtime, swap=swap, refilled=refilled, tell=progress),
        )
        for line in rebuild_report.lines(service.name, found):
            typer.echo(line)
        if not found.equal:
            raise SystemExit(1)

    app.add_typer(_redrive(service), name="redrive")
    return app


def _bound(host: str, port: int) -> socket.socket:
    """A socket at that address that does not listen yet. Raises `ConfigurationFault`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationFault(
            f"COTERIE_HTTP_HOST {host} and COTERIE_HTTP_PORT {port}: {error.strerror}"
        ) from None
    return listener


def _redrive(service: Service) -> typer.Typer:
    app = typer.Typer(
        no_args_is_help=True,
        help="Look at what was set aside and settle it: 17 a dead letter, d17 a failed deadline. "
        "Exit codes: 0 settled, 1 something stays open, 2 not possible, 3 try again later.",
    )

    @app.command("list")
    def list_(
        lane: Annotated[Lane | None, typer.Option(help="only this lane")] = None,
        topic: Annotated[str | None, typer.Option(help="only this topic")] = None,
        kind: Annotated[deadletter.FailureKind | None, typer.Option(help="only this kind")] = None,
        limit: Annotated[int, typer.Option(min=1, help="how many keys are shown at most")] = 100,
    ) -> None:
        """What is open, oldest first: dead letters by key, then failed deadlines."""
        which = redrive.Filter(lane, topic, kind)
        rows, keys, deadlines = _with(service, lambda runtime: _listed(runtime, which, limit))
        for row in rows:
            typer.echo(
                f"{row['id']:>8}  {row['lane']:<6}  {row['topic']:<24}  {row['subject'] or '-'}  "
                f"{row['kind']:<10}  +{row['behind']} behind  {row['error'][:100]}"
            )
        for row in deadlines[:limit]:
            typer.echo(
                f"{'d' + str(row['id']):>8}  {row['kind']:<32}  {row['aggregate_id']}  "
                f"due {row['due_at']:%Y-%m-%dT%H:%M:%SZ}  {row['error'][:100]}"
            )
        shown = "" if keys <= limit and len(deadlines) <= limit else f", {limit} shown of each"
        typer.echo(f"{keys} open, {len(deadlines)} deadlines{shown}")

    @app.command()
    def show(letter: _Letter) -> None:
        """One dead letter with its bytes, headers and error, or one failed deadline."""
        table, id_ = _parsed(letter)
        row = _with(service, lambda runtime: redrive.show(runtime.database, table, id_))
        typer.echo(json.dumps(dict(row), indent=2, default=_plain))

    @app.command()
    def retry(
        letter: Annotated[str | None, typer.Argument(help="id from `list`")] = None,
        every: Annotated[bool, typer.Option("--all", help="all that `list` shows")] = False,
        lane: Annotated[Lane | None, typer.Option(help="with --all: only this lane")] = None,
        topic: Annotated[str | None, typer.Option(help="with --all: only this topic")] = None,
        kind: Annotated[
            deadletter.FailureKind | None, typer.Option(help="with --all: only this kind")
        ] = None,
    ) -> None:
        """Apply a dead letter and all that waits behind it, in order, or run a deadline again."""
        if every == (letter is not None):
            raise ConfigurationFault("name a letter or say --all")
        which = redrive.Filter(lane, topic, kind)
        done, left = _with(
            service,
            lambda runtime: (
                _retry_all(runtime, which) if letter is None else _retry(runtime, *_parsed(letter))
            ),
        )
        typer.echo(f"{done} applied, {left} still open")
        if left:
            raise SystemExit(1)

    @app.command()
    def drop(
        letter: _Letter,
        reason: Annotated[str, typer.Option(help="why it is never to take effect")],
        author: Annotated[str, typer.Option(help="who decides so")],
    ) -> None:
        """Give a dead letter up, with a reason and an author; then apply what waited behind."""
        table, id_ = _parsed(letter)
        done, left = _with(service, lambda runtime: _drop(runtime, table, id_, reason, author))
        typer.echo(f"dropped; {done} applied from behind it, {left} still open")
        if left:
            raise SystemExit(1)

    return app


def _parsed(letter: str) -> tuple[str, int]:
    """The table and the id that an operator names: `17` a dead letter, `d17` a deadline."""
    number = letter.removeprefix("d")
    if not (number.isascii() and number.isdigit()):
        raise ConfigurationFault(f"{letter!r} is no id from `redrive list`")
    return ("failed_deadline" if letter.startswith("d") else "dead_letter"), int(number)


async def _listed(
    runtime: Runtime, which: redrive.Filter, limit: int
) -> tuple[list[Mapping[str, Any]], int, list[Mapping[str, Any]]]:
    rows, keys = await redrive.list_open(runtime.database, which, limit=limit)
    deadlines = [] if any(which.values().values()) else await _deadlines(runtime)
    return rows, keys, deadlines


async def _deadlines(runtime: Runtime) -> list[Mapping[str, Any]]:
    return await redrive.list_deadlines(runtime.database)


async def _retry(runtime: Runtime, table: str, id_: int) -> tuple[int, int]:
    if table == "dead_letter":
        return await redrive.redrive_letter(runtime, id_)
    if (await redrive.show(runtime.database, table, id_))["state"] != "open":
        raise ConfigurationFault(f"there is no open failed deadline {id_}")
    done = int(await runtime.sweeper.redrive(runtime.database, id_))
    return done, 1 - done


async def _retry_all(runtime: Runtime, which: redrive.Filter) -> tuple[int, int]:
    """Every key once, whatever fails; then the deadlines, unless letters were chosen."""
    rows, _, deadlines = await _listed(runtime, which, _ALL)
    listed = [("dead_letter", row["id"]) for row in rows]
    listed += [("failed_deadline", row["id"]) for row in deadlines]
    done = left = 0
    for table, id_ in listed:
        with suppress(ConfigurationFault):  # somebody else has settled it meanwhile
            one_done, one_left = await _retry(runtime, table, id_)
            done, left = done + one_done, left + one_left
    return done, left


async def _drop(
    runtime: Runtime, table: str, id_: int, reason: str, author: str
) -> tuple[int, int]:
    if table == "dead_letter":
        return await redrive.drop_letter(runtime, id_, reason, author)
    await redrive.drop_deadline(runtime, id_, reason, author)
    return 0, 0


async def _republish(runtime: Runtime, since: datetime | None) -> int:
    async with runtime.database.begin() as uow:
        asked = (await uow.execute(_ASK, {"since": since})).scalar_one()
    deadline = asyncio.get_running_loop().time() + _REPUBLISH_WAIT_S
    while asyncio.get_running_loop().time() < deadline:
        async with runtime.database.begin() as uow:
            if (row := await uow.one_or_none(_ANSWER, {"id": asked})) is not None:
                return int(row.sent)
        await asyncio.sleep(0.2)
    raise ConfigurationFault(
        f"no relay has answered in {_REPUBLISH_WAIT_S} s: is the service running? "
        f"Request {asked} stands, the next leader serves it"
    )


def _with(service: Service, work: Any) -> Any:
    async def body() -> Any:
        runtime = Runtime(service, load(service.settings))
        try:
            return await work(runtime)
        finally:
            await runtime.database.close()

    coroutine: Coroutine[Any, Any, Any] = body()
    return asyncio.run(coroutine)


def _plain(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


_ASK: Final = text("INSERT INTO republish_request (since) VALUES (:since) RETURNING id")
_ANSWER: Final = text("SELECT sent FROM republish_request WHERE id = :id AND served_at IS NOT NULL")
