"""The command line that every service has: serve, migrate, redrive, republish."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
import uvicorn
from sqlalchemy import text

from coterie_chassis import migrate as schema
from coterie_chassis import telemetry
from coterie_chassis.errors import ConfigurationFault
from coterie_chassis.service import Runtime, Service
from coterie_chassis.settings import load
from coterie_contracts.topics import Lane

__all__ = ["run"]

_REPUBLISH_WAIT_S = 600


def run(service: Service) -> None:
    """Run the command line of `service`; a fault of configuration is one line and exit code 2."""
    try:
        _app(service)()
    except ConfigurationFault as fault:
        sys.stderr.write(f"coterie-{service.name}: {fault}\n")
        raise SystemExit(2) from None


def _app(service: Service) -> typer.Typer:
    app = typer.Typer(
        name=f"coterie-{service.name}", no_args_is_help=True, pretty_exceptions_enable=False
    )

    @app.command()
    def serve() -> None:
        """Serve commands, relay the outbox and consume, until SIGTERM."""
        settings = load(service.settings)
        telemetry.configure(service.name, settings.log_level)
        server = uvicorn.Server(
            uvicorn.Config(
                service.app(settings),
                host=settings.http_host,
                port=settings.http_port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=int(settings.shutdown_grace_s),
            )
        )
        server.run()
        if not server.started:
            raise SystemExit(3)

    @app.command()
    def migrate() -> None:
        """Bring the database's schema up to this release."""
        _with(service, lambda runtime: schema.upgrade(runtime.database, service))
        typer.echo(f"{service.name}: the schema is current")

    @app.command()
    def republish(
        since: Annotated[
            datetime | None, typer.Option(help="only what was sent since; default: all")
        ] = None,
    ) -> None:
        """Have the relay send its archive again, with identical ids, before anything new."""
        sent = _with(service, lambda runtime: _republish(runtime, since))
        typer.echo(f"{service.name}: {sent} events sent again")

    app.add_typer(_redrive(service), name="redrive")
    return app


def _redrive(service: Service) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="Look at dead letters and settle them.")

    @app.command("list")
    def list_() -> None:
        """Open dead letters by key, oldest first."""
        rows = _with(service, lambda runtime: _query(runtime, _LIST, {}))
        for row in rows:
            typer.echo(
                f"{row['id']:>8}  {row['lane']:<6}  {row['topic']:<24}  {row['subject'] or '-'}  "
                f"{row['kind']:<10}  +{row['behind']} behind  {row['error'][:100]}"
            )
        typer.echo(f"{len(rows)} open")

    @app.command()
    def show(letter: Annotated[int, typer.Argument(help="id from `list`")]) -> None:
        """One dead letter with its bytes, headers and error."""
        rows = _with(service, lambda runtime: _query(runtime, _SHOW, {"id": letter}))
        if not rows:
            raise ConfigurationFault(f"there is no dead letter {letter}")
        typer.echo(json.dumps(rows[0], indent=2, default=_plain))

    @app.command()
    def retry(letter: Annotated[int, typer.Argument(help="id from `list`")]) -> None:
        """Apply a dead letter and all that waits behind it, in order."""
        done, left = _with(service, lambda runtime: redrive_letter(runtime, letter))
        typer.echo(f"{done} applied, {left} still open")
        if left:
            raise SystemExit(1)

    @app.command()
    def drop(
        letter: Annotated[int, typer.Argument(help="id from `list`")],
        reason: Annotated[str, typer.Option(help="why it is never to take effect")],
        author: Annotated[str, typer.Option(help="who decides so")],
    ) -> None:
        """Give a dead letter up, with a reason and an author; then apply what waited behind."""
        done, left = _with(service, lambda runtime: drop_letter(runtime, letter, reason, author))
        typer.echo(f"dropped; {done} applied from behind it, {left} still open")

    return app


async def redrive_letter(runtime: Runtime, letter: int) -> tuple[int, int]:
    """Apply a letter and its followers; returns how many took effect and how many stay open."""
    row = await _open_letter(runtime, letter)
    lane = next(lane for lane in runtime.lanes if lane.lane is Lane(row["lane"]))
    if row["subject"] is None:
        done = int(await lane.redrive_letter(letter))
        return done, 1 - done
    done = await lane.redrive(row["subject"])
    return done, await _left(runtime, row["lane"], row["subject"])


async def drop_letter(runtime: Runtime, letter: int, reason: str, author: str) -> tuple[int, int]:
    """Give a letter up and apply its followers; returns like `redrive_letter`."""
    if not reason.strip() or not author.strip():
        raise ConfigurationFault("dropping needs a reason and an author")
    row = await _open_letter(runtime, letter)
    async with runtime.database.begin() as uow:
        await uow.execute(_DROP, {"id": letter, "reason": reason, "author": author})
    if row["subject"] is None:
        return 0, 0
    lane = next(lane for lane in runtime.lanes if lane.lane is Lane(row["lane"]))
    done = await lane.redrive(row["subject"])
    return done, await _left(runtime, row["lane"], row["subject"])


async def _open_letter(runtime: Runtime, letter: int) -> dict[str, Any]:
    rows = await _query(runtime, _SHOW, {"id": letter})
    if not rows or rows[0]["state"] != "open":
        raise ConfigurationFault(f"there is no open dead letter {letter}")
    return rows[0]


async def _left(runtime: Runtime, lane: str, subject: UUID) -> int:
    rows = await _query(runtime, _LEFT, {"lane": lane, "subject": subject})
    return int(rows[0]["n"])


async def _republish(runtime: Runtime, since: datetime | None) -> int:
    async with runtime.database.begin() as uow:
        asked = (await uow.execute(_ASK, {"since": since})).scalar_one()
    async with asyncio.timeout(_REPUBLISH_WAIT_S):
        while True:
            rows = await _query(runtime, _ANSWER, {"id": asked})
            if rows:
                return int(rows[0]["sent"])
            await asyncio.sleep(0.2)


async def _query(runtime: Runtime, statement: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    async with runtime.database.begin() as uow:
        return [dict(row._mapping) for row in await uow.rows(statement, values)]


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


_LIST = text(
    "SELECT first.*, (SELECT count(*) FROM dead_letter AS b WHERE b.state = 'open' "
    "AND b.lane = first.lane AND b.subject = first.subject AND b.id > first.id) AS behind "
    "FROM (SELECT DISTINCT ON (lane, coalesce(subject::text, id::text)) "
    "id, lane, topic, subject, kind, error FROM dead_letter WHERE state = 'open' "
    "ORDER BY lane, coalesce(subject::text, id::text), id) AS first ORDER BY first.id"
)
_SHOW = text("SELECT * FROM dead_letter WHERE id = :id")
_LEFT = text(
    "SELECT count(*) AS n FROM dead_letter "
    "WHERE lane = :lane AND subject = :subject AND state = 'open'"
)
_DROP = text(
    "UPDATE dead_letter SET state = 'dropped', settled_at = now(), "
    "reason = :reason, author = :author WHERE id = :id AND state = 'open'"
)
_ASK = text("INSERT INTO republish_request (since) VALUES (:since) RETURNING id")
_ANSWER = text("SELECT sent FROM republish_request WHERE id = :id AND served_at IS NOT NULL")
