"""The synthetic histories against real services on PostgreSQL, whose rules are the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from coterie_chassis.service import Service
from coterie_chassis.testing import harness
from coterie_contracts.member import MemberAdmitted, MemberLeft, SeatOffered
from coterie_feedback.service import service as feedback
from coterie_local.importers.player import Player
from coterie_local.importers.polis import plan_polis
from coterie_local.importers.stackexchange_plan import plan_stackexchange
from coterie_membership.service import service as membership

from .real import RealServices
from .scripted import Scripted

HISTORIES = Path(__file__).parent.parent / "histories"
FEW_SEATS = 6
SERVICES: list[tuple[Service, dict[str, Any]]] = [
    (membership, {"identity_key": SecretStr("a key of this test alone, long enough")}),
    (feedback, {}),
]


@pytest.fixture
async def platform(
    fresh_database: Callable[[Service], Awaitable[str]],
) -> AsyncIterator[RealServices]:
    async with AsyncExitStack() as stack:
        running = {
            service.name: await stack.enter_async_context(
                harness(service, await fresh_database(service), settings)
            )
            for service, settings in SERVICES
        }
        yield RealServices(running, Scripted().transport())


async def test_people_wait_move_up_and_leave_as_the_history_says(platform: RealServices) -> None:
    plan = plan_stackexchange(HISTORIES / "stackexchange", capacity=FEW_SEATS)
    report = await Player(plan, platform.client()).play()
    assert report.complete
    members = platform.running["membership"]
    admitted = await members.published(MemberAdmitted)
    left = await members.published(MemberLeft)
    assert len(admitted) == FEW_SEATS + len(await members.published(SeatOffered))
    assert report.simulated["accept-seat"] == len(await members.published(SeatOffered)) == 1
    assert [event.time for event in left] == [
        step.at for step in plan.steps if step.key in {"user:7:leave"}
    ]
    assert report.members_at_most == FEW_SEATS


@pytest.mark.parametrize("keys", ["kept", "lost"])
@pytest.mark.parametrize("history", ["stackexchange", "polis"])
async def test_a_second_import_publishes_nothing(
    platform: RealServices, history: str, keys: str
) -> None:
    folder = HISTORIES / history
    plan = (
        plan_polis(folder) if history == "polis" else plan_stackexchange(folder, capacity=FEW_SEATS)
    )
    first = await Player(plan, platform.client()).play()
    published = await platform.published()
    if keys == "lost":
        for each in platform.running.values():
            async with each.database.begin() as uow:
                await uow.execute(text("DELETE FROM idempotency"))
    second = await Player(plan, platform.client()).play()
    assert await platform.published() == published
    assert second.accounting.fates == first.accounting.fates
    assert second.simulated == first.simulated
