"""Campaigns. The database holds that one runs at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, fields
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis.store import UnitOfWork, bulk_upsert
from coterie_feedback.domain.campaigns import Campaign, CampaignStatus
from coterie_feedback.store import tables

__all__ = [
    "CLOSE",
    "another_runs",
    "campaigns_of",
    "lock_campaigns",
    "put_campaigns",
    "read_campaign",
    "running_in",
]

CLOSE: Final = "campaign.close"


async def read_campaign(uow: UnitOfWork, campaign_id: UUID) -> Campaign | None:
    """A campaign, not locked."""
    row = await uow.one_or_none(_READ, {"id": campaign_id})
    return None if row is None else _campaign(row)


async def campaigns_of(uow: UnitOfWork, community_id: UUID) -> list[Campaign]:
    """The latest hundred campaigns of a community, the newest first."""
    return [_campaign(row) for row in await uow.rows(_OF, {"community": community_id})]


async def lock_campaigns(uow: UnitOfWork, campaign_ids: Collection[UUID]) -> dict[UUID, Campaign]:
    """Campaigns by id, locked in the order of their ids."""
    rows = await uow.rows(_LOCK, {"ids": list(campaign_ids)})
    return {row.campaign_id: _campaign(row) for row in rows}


async def running_in(uow: UnitOfWork, community_ids: Collection[UUID]) -> list[Campaign]:
    """The campaigns that run in these communities, locked in the order of their ids."""
    rows = await uow.rows(_RUNNING_IN, {"communities": list(community_ids)})
    return [_campaign(row) for row in rows]


async def another_runs(uow: UnitOfWork, campaign: Campaign) -> bool:
    """Whether another campaign runs in the same community; waits for one that is launching."""
    values = {"community": campaign.community_id, "id": campaign.campaign_id}
    await uow.execute(_ONE_AT_A_TIME, values)
    return await uow.one_or_none(_ANOTHER, values) is not None


async def put_campaigns(uow: UnitOfWork, campaigns: Collection[Campaign]) -> None:
    """Save campaigns, and the deadlines of those that run, in one statement each."""
    rows = [asdict(one) for one in sorted(campaigns, key=lambda one: one.campaign_id)]
    await bulk_upsert(uow, tables.campaign, rows, keys=("campaign_id",))
    for one in campaigns:
        if one.status is CampaignStatus.LAUNCHED and one.closes_at is not None:
            uow.schedule(CLOSE, one.campaign_id, one.community_id, one.closes_at)


def _campaign(row: Row[Any]) -> Campaign:
    values = {field.name: getattr(row, field.name) for field in fields(Campaign)}
    values |= {"status": CampaignStatus(row.status), "audience": tuple(row.audience)}
    return Campaign(**values)


_READ: Final = text("SELECT * FROM campaign WHERE campaign_id = :id")
_OF: Final = text(
    "SELECT * FROM campaign WHERE community_id = :community "
    "ORDER BY drafted_at DESC, campaign_id DESC LIMIT 100"
)
_LOCK: Final = text(
    "SELECT * FROM campaign WHERE campaign_id = ANY(CAST(:ids AS uuid[])) "
    "ORDER BY campaign_id FOR NO KEY UPDATE"
)
_RUNNING_IN: Final = text(
    "SELECT * FROM campaign WHERE community_id = ANY(CAST(:communities AS uuid[])) "
    "AND status = 'launched' ORDER BY campaign_id FOR NO KEY UPDATE"
)
_ONE_AT_A_TIME: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(CAST(:community AS uuid)::text, 0))"
)
_ANOTHER: Final = text(
    "SELECT 1 FROM campaign WHERE community_id = :community AND status = 'launched' "
    "AND campaign_id <> :id LIMIT 1"
)
