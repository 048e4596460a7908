"""`coterie demo`: start the platform, play the season, tell what came of it, stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import httpx2
from rich.console import Console

from coterie_local.audit import audit
from coterie_local.demo.report import Told, tell_all
from coterie_local.demo.season import LEAST_PEOPLE, Season
from coterie_local.demo.stage import Stage, subject_in
from coterie_local.importers.transport import Transport
from coterie_local.log import LogReader, Record
from coterie_local.platform import Options, Platform
from coterie_local.progress import Progress
from coterie_local.tokens import ISSUER
from coterie_local.welcome import LOCAL_BRAND
from coterie_replay.brokers.processes import LocalFault

__all__ = ["Loaded", "play", "play_once", "run_demo"]

_QUIET_S: Final = 2.0


def run_demo(console: Console, options: Options, *, members: int, seed: int) -> Told:
    """Start a platform, play, print everything, stop. Raises `LocalFault` where that fails."""
    if members < LEAST_PEOPLE:
        raise LocalFault(f"the play needs {LEAST_PEOPLE} people at least: --members {members}")
    with Platform(options, report=lambda line: console.print(f"  {line}")) as platform:
        return asyncio.run(_play_and_tell(console, platform, members, seed))


async def _play_and_tell(console: Console, platform: Platform, members: int, seed: int) -> Told:
    async with _transport(platform) as transport:
        take = _next_take(platform)
        season = await play(console, platform, transport, members=members, seed=seed, take=take)
        _keep(platform, season)
        records = await _settled_log(platform)
        return await tell_all(console, season, records, audit(records))


async def play(
    console: Console,
    platform: Platform,
    transport: Transport,
    *,
    members: int,
    seed: int,
    take: int = 1,
) -> Season:
    """Play the season, showing each chapter's title; returns it with all its ids."""
    season = Season(Stage(transport, seed=seed, take=take), platform, members)
    total = len(season.chapters)
    with Progress(console) as progress:
        for number, (title, chapter) in enumerate(season.chapters):
            progress.at(number, total, title)
            await chapter()
        progress.at(total, total, f"{transport.commands} commands over HTTP")
    return season


@dataclass(frozen=True, slots=True)
class Loaded:
    """The demo's community in a platform that stays up; `ada` is one of its members."""

    community_id: UUID
    ada: UUID
    take: int

    def subject(self, name: str) -> str:
        """Whose token a person of the play has."""
        return subject_in(name, self.take)


def play_once(console: Console, platform: Platform) -> Loaded:
    """Load the demo's community into a platform that stays up; only the first time.

    A loading that was cut short is left as it is and another community loaded.
    """
    known = platform.folder.recall("demo")
    if "community_id" in known:
        ids = UUID(str(known["community_id"])), UUID(str(known["ada"]))
        return Loaded(*ids, int(str(known["take"])))
    take = _next_take(platform)
    again = ", anew, since the last time was cut short" if "take" in known else ""
    console.print(f"Loading a community, once{again}:")

    async def load() -> Loaded:
        async with _transport(platform) as transport:
            people, seed = LEAST_PEOPLE, 1
            season = await play(console, platform, transport, members=people, seed=seed, take=take)
            return _keep(platform, season)

    return asyncio.run(load())


def _next_take(platform: Platform) -> int:
    """Which play on this data folder it will be; counted before it begins.

    Parts that run elsewhere may hold plays that this folder knows nothing of: the count begins
    at a number that none of them had.
    """
    options = platform.options
    ours = options.postgres == "embedded" and options.kafka in {"embedded", "apache"}
    before = 0 if ours else int(time.time())
    take = int(str(platform.folder.recall("demo").get("take", before))) + 1
    platform.folder.remember("demo", {"take": take})
    return take


def _keep(platform: Platform, season: Season) -> Loaded:
    """Remember a play that came to its end, for the next start on the folder."""
    take, ada = season.stage.take, season.people["ada"].member
    loaded = Loaded(season.stage.community_id, ada, take)
    ids = {"community_id": str(loaded.community_id), "ada": str(ada)}
    platform.folder.remember("demo", {**ids, "take": take})
    return loaded


@asynccontextmanager
async def _transport(platform: Platform) -> AsyncIterator[Transport]:
    async with httpx2.AsyncClient(timeout=30.0) as http:
        yield Transport(
            http=http,
            bases=platform.urls,
            mint=platform.tokens.mint,
            brand_id=LOCAL_BRAND,
            issuer=ISSUER,
        )


async def _settled_log(platform: Platform) -> list[Record]:
    """The whole log, once nothing was added to it for two seconds."""
    async with LogReader(platform.kafka) as reader:
        return [record async for record in reader.records(_played, settle_s=_QUIET_S)]


async def _played() -> bool:
    return True
