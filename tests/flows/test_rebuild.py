"""Projections of a played season, made again from its log: equal, and mended where they are not.

The season's own platform is started again, and its services go on consuming meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import asyncpg
import pytest

from coterie_local.blocking import block_on
from coterie_local.platform import Platform
from tests.flows.seasons import Played, settled

pytestmark = pytest.mark.timeout(300)

_UNTOUCHED: Final = ("outbox", "outbox_archive", "inbox", "dead_letter", "deadline")
_WRITTEN: Final = {
    "feedback": {"member_copy", "community_copy"},
    "recognition": {"rating", "outcome", "badge_evidence", "badge", "merit_standing"},
    "notifications": {"standing", "suggestion", "look_again", "ledger", "notification"},
}


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    def line(self, table: str) -> str:
        return next(line for line in self.out.splitlines() if line.split()[:1] == [table])


@pytest.fixture(scope="module")
def again(season: Played) -> Iterator[Platform]:
    with Platform(season.options) as platform:
        block_on(settled(platform))
        yield platform


def rebuild(platform: Platform, service: str, *options: str) -> Said:
    done = platform.run(service, "rebuild", *options)
    return Said(done.returncode, done.stdout, done.stderr)


def ask(platform: Platform, service: str, *statements: str) -> list[int]:
    """Run statements, each of which answers a number."""

    async def run() -> list[int]:
        url = platform.environment(service)["COTERIE_DATABASE_URL"]
        connection = await asyncpg.connect(url)
        try:
            return [int(await connection.fetchval(statement) or 0) for statement in statements]
        finally:
            await connection.close()

    return block_on(run())


def counts(platform: Platform, service: str) -> list[int]:
    return ask(platform, service, *(f"SELECT count(*) FROM {name}" for name in _UNTOUCHED))  # noqa: S608 - names of ours


@pytest.mark.parametrize("service", _WRITTEN)
def test_what_is_made_again_equals_what_the_season_left(again: Platform, service: str) -> None:
    before = counts(again, service)

    said = rebuild(again, service)

    assert (said.code, said.err) == (0, ""), said.out
    assert said.out.splitlines()[-1] == f"{service}: all is equal"
    for table in _WRITTEN[service]:
        assert " equal " in said.line(table)
        assert " 0 rows" not in said.line(table)
    assert counts(again, service) == before
    assert ask(again, service, _SCHEMAS) == [0]


_SCHEMAS: Final = "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'rebuild_')"
