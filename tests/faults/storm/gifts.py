"""A community on the wall clock whose members are given what somebody outside delivers."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_local.demo.season import AGREED
from coterie_local.demo.stage import MANAGER
from coterie_local.importers.client import MEMBERSHIP, RECOGNITION, created_id
from coterie_local.importers.transport import Answer, Caller, Send, Transport
from tests.faults.storm.witness import PROVIDER

__all__ = ["give_outside"]

_MEMBERS: Final = 4
_PRICE_MINOR: Final = 500
_DELIVERED_S: Final = 60.0


async def give_outside(transport: Transport) -> set[UUID]:
    """Found it, let members in, give each a gift; the rewards' ids, once all are issued."""

    async def staff(service: str, path: str, *, after: str | None = None, **body: Any) -> Answer:
        send = Send(caller=MANAGER, key=f"gifts {path} {body}"[:200], after=after)
        return await transport.command(service, "POST", path, body, send)

    created = await staff(
        MEMBERSHIP,
        "/communities",
        name="Gift Circle",
        time_zone="Europe/Berlin",
        objective="Give what others deliver",
    )
    community = str(created.body["community_id"])
    opened = await staff(MEMBERSHIP, f"/communities/{community}/open")
    seated = [await _member(transport, community, n) for n in range(_MEMBERS)]
    policy = await _policy(staff, community, opened.position)
    answers = await asyncio.gather(
        *(
            staff(RECOGNITION, f"/policies/{policy}/award", after=position, member_id=member)
            for member, position in seated
        )
    )
    ids = {created_id(answer) for answer in answers}
    await _issued(transport, ids)
    return ids


async def _member(transport: Transport, community: str, number: int) -> tuple[str, str | None]:
    """A new member's id, and the position of the admission."""
    caller = Caller(f"gifted-{number}", (Role.APPLICANT, Role.MEMBER))
    path = f"/communities/{community}/applications"
    send = Send(caller=caller, key=f"gifts apply {number}")
    applied = await transport.command(MEMBERSHIP, "POST", path, {"agreements": AGREED}, send)
    path = f"/applications/{created_id(applied)}/approve"
    send = Send(caller=MANAGER, key=f"gifts approve {number}")
    approved = (await transport.command(MEMBERSHIP, "POST", path, {}, send)).body
    return approved["member_id"], approved["member_position"]


async def _policy(staff: Any, community: str, opened: str | None) -> str:
    common = {"community_id": community, "name": "Gifts"}
    item = {
        "kind": "provider_gift",
        "provider": PROVIDER,
        "product": "card",
        "amount_minor": _PRICE_MINOR,
    }
    added = await staff(RECOGNITION, "/catalogue", after=opened, **common, item=item)
    budget = (await staff(RECOGNITION, "/budgets", **common, currency="EUR")).body["budget_id"]
    await staff(RECOGNITION, f"/budgets/{budget}/fund", amount_minor=_MEMBERS * _PRICE_MINOR)
    set_ = await staff(
        RECOGNITION,
        "/policies",
        **common,
        when="judgement",
        beneficiary="chosen_member",
        item_id=added.body["item_id"],
        budget_id=budget,
        cooldown_days=0,
    )
    return str(set_.body["policy_id"])


async def _issued(transport: Transport, ids: set[UUID]) -> None:
    deadline = time.monotonic() + _DELIVERED_S
    for id_ in sorted(ids):
        while True:
            seen = await transport.query(RECOGNITION, f"/rewards/{id_}", Send(caller=MANAGER))
            if seen.body["status"] in {"issued", "delivered"}:
                break
            assert time.monotonic() < deadline, f"reward {id_} is still {seen.body['status']}"
            await asyncio.sleep(0.1)
