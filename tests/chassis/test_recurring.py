"""Recurring work of a service leaves commands and events their turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from coterie_chassis import service as service_module
from coterie_chassis.service import Service, periodic
from coterie_chassis.store import UnitOfWork

from . import sample
from .platform import Platform


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.0, 1.0), (0.4, 1.0), (3.0, 6.0)])
async def test_work_rests_twice_as_long_as_it_took_and_for_its_interval_at_least(
    fresh_database: Callable[[Service], Awaitable[str]],
    monkeypatch: pytest.MonkeyPatch,
    took_s: float,
    pause_s: float,
) -> None:
    now, pauses = [100.0], []
    platform = Platform(await fresh_database(sample.service), "unused:9092")
    runtime = service_module.Runtime(sample.service, platform.settings)

    async def work(_: UnitOfWork) -> None:
        now[0] += took_s

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(service_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with monkeypatch.context() as awake:
        awake.setattr(asyncio, "sleep", sleep)
        with pytest.raises(asyncio.CancelledError):
            await runtime._repeat(periodic("work", 1.0, work))
    await runtime.database.close()
    await platform.database.close()

    assert pauses == [pytest.approx(pause_s)]
    assert runtime.turns["work"] == pytest.approx(100.0 + took_s + pause_s)
