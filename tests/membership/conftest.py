"""Membership on a database of its own, and a circle that is open.

Whatever a test makes membership publish has to pass the audit in the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import select

from coterie_chassis.auth import Principal, Role
from coterie_chassis.outbox import message_of
from coterie_chassis.service import Service
from coterie_chassis.tables import outbox
from coterie_chassis.testing import Harness, harness, person
from coterie_local.audit.facts import Log
from coterie_local.audit.registry import RULES
from coterie_local.log import Record
from coterie_membership.service import service

BRAND = uuid4()
MANAGER = person("mia", Role.MANAGER, Role.IMPORTER, brand=BRAND)
HOUSE_RULES = {"kind": "agreement", "document": "house-rules"}
AGREED = {"agreements": [{"document": "house-rules"}]}


@pytest.fixture
async def h(fresh_database: Callable[[Service], Awaitable[str]]) -> AsyncIterator[Harness]:
    url = await fresh_database(service)
    settings = {"identity_key": "a key for tests alone", "pool_size": 12}
    async with harness(service, url, settings) as running:
        yield running
        assert await faults(running) == []


async def faults(h: Harness) -> list[str]:
    """What the platform's auditor, which shares no code with membership, finds in the outbox."""
    async with h.database.begin() as uow:
        rows = await uow.rows(select(outbox).order_by(outbox.c.id))
    offsets: defaultdict[str, count[int]] = defaultdict(count)
    messages = [message_of(r.topic, r.key, r.headers, r.value) for r in rows]
    log = Log(
        Record(m.topic, 0, next(offsets[m.topic]), 0, m.key, m.headers, m.value) for m in messages
    )
    return [
        f"{rule.name}: {fault.explanation}"
        for rule in RULES
        for fault in rule.check(log)
        if fault is not None
    ]


class Circle:
    """An open community, driven by its manager."""

    def __init__(self, h: Harness, community_id: UUID) -> None:
        self.h = h
        self.id = community_id

    async def do(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return await self.h.post(path, body, **{"as_": MANAGER, **options})

    async def apply(
        self, name: str, body: dict[str, Any] | None = None, **options: Any
    ) -> httpx2.Response:
        path = f"/communities/{self.id}/applications"
        return await self.h.post(
            path, AGREED if body is None else body, **{"as_": applicant(name), **options}
        )

    async def admit(self, name: str, **options: Any) -> dict[str, Any]:
        answer = await self.apply(name, **options)
        assert answer.json()["status"] == "admitted", answer.text
        return dict(answer.json())

    async def seats(self) -> dict[str, int]:
        answer = await self.h.get(f"/communities/{self.id}", as_=MANAGER)
        return dict(answer.json()["seats"])

    async def show(self, application_id: str) -> dict[str, Any]:
        answer = await self.h.get(f"/applications/{application_id}", as_=MANAGER)
        return dict(answer.json())


def applicant(name: str) -> Principal:
    return person(name, Role.APPLICANT, Role.MEMBER, Role.IMPORTER)


Founder = Callable[..., Awaitable[Circle]]


@pytest.fixture
def found(h: Harness) -> Founder:
    """Found and open a community; agreeing to the house rules lets anybody in."""

    async def make(**changes: Any) -> Circle:
        body = {
            "name": "Glow Circle",
            "time_zone": "Europe/Berlin",
            "objective": "A serum that people finish",
            "requirements": HOUSE_RULES,
            **changes,
        }
        at = changes.pop("at", None)
        body.pop("at", None)
        created = await h.post("/communities", body, as_=MANAGER, at=at)
        assert created.status_code == 201, created.text
        circle = Circle(h, UUID(created.json()["community_id"]))
        assert (await circle.do(f"/communities/{circle.id}/open", at=at)).status_code == 200
        return circle

    return make
