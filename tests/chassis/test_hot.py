"""A hot statement is one of the unit of work's, whatever happens to it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coterie_chassis.errors import is_transient
from coterie_chassis.hot import Hot
from coterie_chassis.store import UnitOfWork
from coterie_chassis.testing import Harness

KNOW = Hot(
    "know",
    "INSERT INTO community_clock AS c (community_id, mode, now) VALUES (:id, 'wall', :now) "
    "ON CONFLICT (community_id) DO UPDATE SET mode = 'driven' RETURNING c.community_id, c.mode",
)
MODE = Hot("mode", "SELECT mode FROM community_clock WHERE community_id = :id")


class UndoneError(Exception):
    """What was begun is given up."""


_END = text("SELECT pg_terminate_backend(:pid)")


async def mode_of(h: Harness, community_id: UUID) -> str | None:
    async with h.database.begin() as uow:
        row = await uow.hot(MODE, {"id": community_id})
    return None if row is None else str(row.mode)


async def test_it_answers_its_row_and_commits_with_the_unit_of_work(h: Harness) -> None:
    id_ = uuid4()
    async with h.database.begin() as uow:
        row = await uow.hot(KNOW, {"id": id_, "now": uow.now, "other": "not asked for"})

    assert (row.community_id, row.mode) == (id_, "wall")
    assert await mode_of(h, id_) == "wall"


async def fail_after(uow: UnitOfWork, community_id: UUID) -> None:
    await uow.hot(KNOW, {"id": community_id, "now": uow.now})
    raise UndoneError


async def test_it_is_undone_with_the_unit_of_work(h: Harness) -> None:
    id_ = uuid4()

    async def fail() -> None:
        async with h.database.begin() as uow:
            await fail_after(uow, id_)

    with pytest.raises(UndoneError):
        await fail()

    assert await mode_of(h, id_) is None


async def test_it_is_undone_with_a_savepoint(h: Harness) -> None:
    id_ = uuid4()

    async def fail(uow: UnitOfWork) -> None:
        async with uow.savepoint():
            await fail_after(uow, id_)

    async with h.database.begin() as uow:
        with pytest.raises(UndoneError):
            await fail(uow)

    assert await mode_of(h, id_) is None


async def test_it_is_counted_like_any_statement(h: Harness) -> None:
    with h.statements() as counter:
        await mode_of(h, uuid4())

    assert counter.statements[1:] == [MODE.driver_sql]


async def test_a_connection_lost_under_it_passes_and_the_pool_recovers(h: Harness) -> None:
    async def lose() -> None:
        async with h.database.begin() as uow, h.database.begin() as other:
            pid = (await uow.rows(text("SELECT pg_backend_pid() AS pid")))[0].pid
            await other.execute(_END, {"pid": pid})
            await uow.hot(MODE, {"id": uuid4()})

    with pytest.raises(Exception) as lost:  # noqa: PT011 - which one is the driver's to say
        await lose()

    assert is_transient(lost.value), lost.value
    for _ in range(3):
        assert await mode_of(h, uuid4()) is None
