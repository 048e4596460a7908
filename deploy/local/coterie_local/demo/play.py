"""`coterie demo`: start the platform, play the season, tell what came of it, stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import httpx2
from rich.console import Console

from coterie_local.audit import audit
from coterie_local.demo.report import Told, tell_all
from coterie_local.demo.season import LEAST_PEOPLE, Season
from coterie_local.demo.stage import Stage
from coterie_local.importers.transport import Transport
from coterie_local.log import LogReader, Record
from coterie_local.platform import Options, Platform
from coterie_local.processes import LocalFault
from coterie_local.progress import Progress
from coterie_local.tokens import ISSUER
from coterie_local.welcome import LOCAL_BRAND

__all__ = ["play", "play_once", "run_demo"]

_QUIET_S: Final = 2.0


def run_demo(console: Console, options: Options, *, members: int, seed: int) -> Told:
    """Start a platform, play, print everything, stop. Raises `LocalFault` where that fails."""
    if members < LEAST_PEOPLE:
        raise LocalFault(f"the play needs {LEAST_PEOPLE} people at least: --members {members}")
    with Platform(options, report=lambda line: console.print(f"  {line}")) as platform:
        return asyncio.run(_play_and_tell(console, platform, members, seed))


async def _play_and_tell(console: Console, platform: Platform, members: int, seed: int) -> Told:
    async with _transport(platform) as transport:
        season = await play(console, platform, transport, members=members, seed=seed)
        records = await _settled_log(platform)
        return await tell_all(console, season, records, audit(records))


async def play(
    console: Console, platform: Platform, transport: Transport, *, members: int, seed: int
) -> Season:
    """Play the season, showing each chapter's title; returns it with all its ids."""
    stage = Stage(transport, seed=seed, run=f"demo-{seed}")
    season = Season(stage, platform, members)
    total = len(season.chapters)
    with Progress(console) as progress:
        for number, (title, chapter) in enumerate(season.chapters):
            progress.at(number, total, title)
            await chapter()
        progress.at(total, total, f"{transport.commands} commands over HTTP")
    return season


def play_once(console: Console, platform: Platform) -> UUID:
    """Load the demo's community into a platform that stays up; only the first time."""
    known = platform.folder.recall("demo").get("community_id")
    if known is not None:
        return UUID(str(known))

    async def load() -> UUID:
        async with _transport(platform) as transport:
            season = await play(console, platform, transport, members=LEAST_PEOPLE, seed=1)
            return season.stage.community_id

    community_id = asyncio.run(load())
    platform.folder.remember("demo", {"community_id": str(community_id)})
    return community_id


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
