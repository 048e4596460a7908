"""A service's HTTP side in a process of its own: `python -m tests.bench.serving NAME`.

Settings come from the environment, as everywhere. `feedback` is the service, and `plain` the same
with its hot statements sent by SQLAlchemy, as all others are. `bare` is the same route without a
database: the token is verified, path, headers and body are validated, the Idempotency-Key is
digested, the rating is decided and its view answered, but nothing is read or kept. Prints its port
once it listens.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from coterie_chassis import telemetry
from coterie_chassis.hot import Hot
from coterie_chassis.http import Api, Call, Done
from coterie_chassis.roles import Role
from coterie_chassis.service import Runtime, Service, settle_memory
from coterie_chassis.settings import load
from coterie_chassis.store import UnitOfWork
from coterie_contracts.feedback import ContributionKind
from coterie_feedback.api.views import RatingView
from coterie_feedback.api.voices import Rate
from coterie_feedback.domain import voices
from coterie_feedback.domain.voices import Contribution, Rating
from coterie_feedback.service import service as feedback

__all__: list[str] = []

COMMUNITY, AUTHOR = uuid4(), uuid4()
BARE = Api(tags=["bare"])


class NoWork:
    """A unit of work that has nothing under it: every key is new, nothing is stored."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.opened = SimpleNamespace(is_new=True)
        self.rating: Rating | None = None

    def settle(self, outcome: Any) -> None:
        """Nothing is stored."""


class NoDatabase:
    """Gives units of work that keep nothing."""

    @asynccontextmanager
    async def begin(self, _opening: Any = None) -> AsyncIterator[NoWork]:
        yield NoWork()


async def show(call: Call, _rating_id: UUID) -> RatingView:
    """The rating that was just decided."""
    work: Any = call.uow
    return RatingView.model_validate({"sequence": 1, **asdict(work.rating)})


@BARE.command("PUT", "/contributions/{contribution_id}/rating", shows=show)
async def rate(call: Call, contribution_id: UUID, body: Rate) -> Done:
    """Say how much a contribution of somebody else helped."""
    work: Any = call.uow
    cause = call.cause(work.now, community_id=COMMUNITY)
    contribution = Contribution(
        contribution_id=contribution_id,
        kind=ContributionKind.FEEDBACK,
        community_id=COMMUNITY,
        author_id=AUTHOR,
        contributed_at=work.now,
        gone=False,
    )
    work.rating = voices.rate(
        contribution, call.principal.person_id, body.number, cause, rated_at=cause.at
    )
    return Done(work.rating.rating_id, sequence=1)


def app_of(name: str) -> FastAPI:
    """The named application; feedback as an instance of the role api."""
    if name == "plain":
        setattr(UnitOfWork, "hot", as_usual)  # noqa: B010 - mypy refuses a method to be assigned
    if name in {"feedback", "plain"}:
        return feedback.app(load(feedback.settings), Role.API)
    service = Service(
        name=name,
        settings=feedback.settings,
        apis=[BARE],
        metadata=feedback.metadata,
        migrations=feedback.migrations,
    )
    runtime = Runtime(service, load(feedback.settings), Role.API)
    nothing: Any = NoDatabase()
    runtime.database = nothing
    return runtime.app(lifespan=settled)


async def as_usual(uow: UnitOfWork, statement: Hot, values: Mapping[str, Any]) -> Any:
    """What a hot statement returns, sent like any other."""
    return await uow.one_or_none(text(statement.sql), values)


@asynccontextmanager
async def settled(_: FastAPI) -> AsyncIterator[None]:
    settle_memory()
    yield


def main(name: str) -> None:
    telemetry.configure(name, "WARNING")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - the parent waits for it
        config = uvicorn.Config(app_of(name), log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
