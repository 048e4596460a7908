"""An operator sees how full every circle is, page by page, and nobody's application."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx2

from coterie_chassis.auth import Role
from coterie_chassis.testing import Harness, person

from .conftest import MANAGER, Founder

OLU = person("olu", Role.OPERATOR)
SEATS = "/operator/seats"


async def read(h: Harness, **params: Any) -> httpx2.Response:
    return await h.get(SEATS, as_=OLU, params=params)


async def test_seats_and_waitlist_of_every_circle_are_told(h: Harness, found: Founder) -> None:
    full = await found(name="Full", capacity=1)
    await full.admit("ann")
    for name in ("bob", "cleo"):
        assert (await full.apply(name)).json()["status"] == "waitlisted"
    other = person("other", Role.MANAGER, brand=uuid4())
    body = {"name": "Elsewhere", "time_zone": "UTC", "objective": "another brand's"}
    assert (await h.post("/communities", body, as_=other)).status_code == 201

    told = {one["name"]: one for one in (await read(h)).json()["items"]}

    assert set(told) == {"Full", "Elsewhere"}
    numbers = ("status", "capacity", "held", "free", "waitlisted", "offered")
    assert [told["Full"][name] for name in numbers] == ["open", 1, 1, 0, 2, 0]
    assert [told["Elsewhere"][name] for name in numbers] == ["draft", 100, 0, 100, 0, 0]


async def test_the_circles_are_read_in_pages(h: Harness, found: Founder) -> None:
    ids = sorted([str((await found()).id) for _ in range(3)])

    first = (await read(h, limit=2)).json()
    rest = (await read(h, limit=2, cursor=first["next"])).json()

    assert [one["community_id"] for one in first["items"] + rest["items"]] == ids
    assert rest["next"] is None


async def test_the_seats_of_all_are_for_operators_alone(h: Harness) -> None:
    assert (await h.get(SEATS, as_=MANAGER)).status_code == 403
