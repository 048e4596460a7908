"""The community that a history is played into: created, opened, and known to every service.

All of it is simulated, since no source says how its community was set up. The entry requirement
is an agreement that every applicant gives, so that nobody is kept out by a judgement that the
source does not report.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_local.importers.client import SERVICES, CoterieClient
from coterie_local.importers.plan import CommunityPlan, Plan
from coterie_local.importers.transport import Caller, Send

STAFF = "staff"
HOUSE_RULES = {"kind": "agreement", "document": "house-rules", "version": "1"}
_NAME_LIMIT = 80
_BEFORE_THE_FIRST_STEP = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Founded:
    """`now` is the community's clock: what lies before it was answered by an earlier import."""

    community_id: UUID
    now: datetime
    simulated: Counter[str]


def staff_of(community: CommunityPlan, actor: str | None = None) -> Caller:
    """The manager who acts where a source names nobody, or the person it names, as a manager."""
    return Caller(f"{community.key}:{actor or STAFF}", (Role.MANAGER, Role.IMPORTER))


def definition(community: CommunityPlan) -> dict[str, Any]:
    """The body of `POST /communities`."""
    return {
        "name": community.name[:_NAME_LIMIT],
        "purpose": community.purpose,
        "time_zone": community.time_zone,
        "capacity": community.capacity,
        "clock": "driven",
        "objectives": [{"title": community.objective}],
        "requirements": HOUSE_RULES,
    }


async def found(client: CoterieClient, plan: Plan) -> Founded:
    """Create and open the community, or find it there; return when every service knows it."""
    manager = staff_of(plan.community)
    at = plan.starts_at - _BEFORE_THE_FIRST_STEP
    created = await client.create_community(
        Send(caller=manager, at=at, key="community"), definition(plan.community)
    )
    community_id = UUID(created.body["community_id"])
    opened = await client.open_community(Send(caller=manager, at=at, key="open"), community_id)
    seen = Send(caller=manager, after=opened.position)
    await asyncio.gather(*(client.todo(service, seen, community_id) for service in SERVICES[1:]))
    return Founded(
        community_id,
        datetime.fromisoformat(opened.body["now"]),
        Counter({"create-community": 1, "open-community": 1}),
    )
