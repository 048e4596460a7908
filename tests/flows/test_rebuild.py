"""Projections of a played season, made again from its log: equal, and mended where they are not.

The season's own platform is started again, and its services go on consuming meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import pytest
from sqlalchemy import text

from coterie_chassis.comparison import Difference
from coterie_chassis.rebuild import Rebuilt, rebuild
from coterie_chassis.service import Runtime
from coterie_chassis.settings import load
from coterie_local.platform import Platform
from coterie_replay.brokers.blocking import block_on
from tests.flows.seasons import Played, settled

pytestmark = pytest.mark.timeout(300)

UNTOUCHED: Final = ("outbox", "outbox_archive", "inbox", "dead_letter", "deadline")
WRITTEN: Final = {
    "feedback": {"member_copy", "community_copy"},
    "recognition": {"rating", "outcome", "badge_evidence", "badge", "merit_standing"},
    "notifications": {"standing", "suggestion", "look_again", "ledger", "notification"},
}
CORRUPTED: Final = {
    "feedback": {"member_copy": ("UPDATE {one} SET time_zone = 'Asia/Tokyo'", "different")},
    "recognition": {
        "rating": ("UPDATE {one} SET value = 0.123", "different"),
        "badge_evidence": ("DELETE FROM {one}", "missing"),
        "badge": ("UPDATE {one} SET held = NOT held", "different"),
        "merit_standing": ("DELETE FROM {one}", "missing"),
    },
    "notifications": {
        "standing": ("DELETE FROM {one}", "missing"),
        "ledger": ("UPDATE {one} SET sequence = sequence + 7", "different"),
        "notification": ("UPDATE {one} SET decided_at = now(), params = '{{}}'", "different"),
    },
}


class Again:
    """The season's platform, started again, and its services' rebuilds in this process."""

    def __init__(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        self.platform = platform
        self._monkeypatch = monkeypatch

    def rebuilt(self, service: str, *, swap: bool = False) -> Rebuilt:
        async def run(runtime: Runtime) -> Rebuilt:
            return await rebuild(runtime, swap=swap)

        found = self._with(service, run)
        assert isinstance(found, Rebuilt)
        return found

    def numbers(self, service: str, *statements: str) -> list[int]:
        async def run(runtime: Runtime) -> list[int]:
            async with runtime.database.begin() as uow:
                return [
                    int((await uow.execute(text(statement))).scalar_one())
                    for statement in statements
                ]

        found = self._with(service, run)
        assert isinstance(found, list)
        return found

    def change(self, service: str, *statements: str) -> None:
        async def run(runtime: Runtime) -> None:
            async with runtime.database.begin() as uow:
                for statement in statements:
                    await uow.execute(text(statement))

        self._with(service, run)

    def counts(self, service: str) -> list[int]:
        counted = [f"SELECT count(*) FROM {name}" for name in UNTOUCHED]  # noqa: S608 - ours
        return self.numbers(service, *counted, *SCHEMAS)

    def _with(self, service: str, run: Any) -> object:
        for name, value in self.platform.environment(service).items():
            if name.startswith("COTERIE_"):
                self._monkeypatch.setenv(name, value)
        made = import_module(f"coterie_{service}.service").service

        async def body() -> object:
            runtime = Runtime(made, load(made.settings))
            try:
                return await run(runtime)
            finally:
                await runtime.database.close()

        return block_on(body())


SCHEMAS: Final = ("SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'rebuild_')",)


@pytest.fixture(scope="module")
def restarted(season: Played) -> Iterator[Platform]:
    with Platform(season.options) as platform:
        block_on(settled(platform))
        yield platform


@pytest.fixture
def again(restarted: Platform, monkeypatch: pytest.MonkeyPatch) -> Again:
    return Again(restarted, monkeypatch)


@pytest.mark.parametrize("service", WRITTEN)
def test_what_is_made_again_equals_what_the_season_left(again: Again, service: str) -> None:
    before = again.counts(service)

    found = again.rebuilt(service)

    assert differing(found) == {}
    assert found.equal
    rows = {one.projection.table.name: one.live.rows for one in found.tables}
    assert {name for name in WRITTEN[service] if not rows[name]} == set()
    assert again.counts(service) == before


@pytest.mark.parametrize("service", CORRUPTED)
def test_rows_that_were_changed_behind_its_back_are_named_and_mended(
    again: Again, service: str
) -> None:
    block_on(settled(again.platform))
    before = again.counts(service)
    again.change(service, *(_one(name, how) for name, (how, _) in CORRUPTED[service].items()))

    found = again.rebuilt(service, swap=True)

    named = {one.projection.table.name: one for one in found.before if not one.equal}
    assert {name: (one.differing, one.first[0].how) for name, one in named.items()} == {
        name: (1, how) for name, (_, how) in CORRUPTED[service].items()
    }
    assert (found.swapped, found.equal) == (True, True)
    block_on(settled(again.platform))
    assert again.counts(service) == before
    assert again.rebuilt(service).equal


def test_words_that_no_event_holds_are_missed_and_not_invented(again: Again) -> None:
    again.change(
        "notifications",
        "CREATE TABLE put_by AS SELECT * FROM notification ORDER BY id LIMIT 1",
        "DELETE FROM notification USING put_by WHERE notification.id = put_by.id",
    )
    try:
        found = again.rebuilt("notifications", swap=True)
        assert {n: d.how for n, (d,) in differing(found).items()} == {"notification": "missing"}
    finally:
        again.change(
            "notifications", "INSERT INTO notification SELECT * FROM put_by", "DROP TABLE put_by"
        )
    assert again.rebuilt("notifications").equal


def test_the_command_says_so_in_its_lines_and_exit_code(again: Again) -> None:
    fine = again.platform.run("feedback", "rebuild")
    assert fine.returncode == 0, fine.stderr
    assert fine.stdout.splitlines()[-1] == "feedback: all is equal"

    again.change("feedback", "UPDATE community_copy SET capacity = capacity + 1")
    off = again.platform.run("feedback", "rebuild", "--compare-only")
    assert off.returncode == 1
    assert "differs in capacity" in off.stdout
    assert off.stdout.splitlines()[-1].startswith("feedback: 1 of 3 tables differ")

    mended = again.platform.run("feedback", "rebuild", "--swap")
    assert mended.returncode == 0, mended.stderr
    assert mended.stdout.splitlines()[-1] == "feedback: mended, all is equal"

    nothing = again.platform.run("membership", "rebuild")
    assert nothing.stdout == "membership: keeps no projection, nothing to rebuild\n"


def differing(found: Rebuilt) -> dict[str, tuple[Difference, ...]]:
    return {one.projection.table.name: one.first for one in found.tables if not one.equal}


def _one(table: str, statement: str) -> str:
    """`statement` for the first row of `table` alone."""
    first = f"(SELECT min(ctid) FROM {table})"  # noqa: S608 - names of ours
    return f"{statement.format(one=table)} WHERE ctid = {first}"
