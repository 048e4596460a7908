"""A call for feedback on one objective; it sells nothing, and its audience is frozen at launch.

One at a time in a community. It closes by itself after its time, 14 days unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft, Refusal
from coterie_contracts.feedback import CampaignClosed, CampaignLaunched

__all__ = ["LASTS", "Campaign", "CampaignStatus", "close", "joined", "launch", "restarted"]

LASTS: Final = timedelta(days=14)


class CampaignStatus(StrEnum):
    DRAFT = "draft"
    LAUNCHED = "launched"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """`closes_at` and `audience` (member ids) are set at launch."""

    campaign_id: UUID
    community_id: UUID
    objective_id: UUID
    title: str
    member_benefit: str
    lasts: timedelta = LASTS
    status: CampaignStatus = CampaignStatus.DRAFT
    drafted_at: datetime
    launched_at: datetime | None = None
    closes_at: datetime | None = None
    closed_at: datetime | None = None
    audience: tuple[UUID, ...] = ()
    version: int = 1
    sequence: int = 0


def launch(
    campaign: Campaign, cause: Cause, audience: tuple[UUID, ...], *, another_runs: bool
) -> tuple[Campaign, Draft]:
    """Begin it, for those who are members now and nobody else."""
    if campaign.status is not CampaignStatus.DRAFT:
        raise Refusal("wrong-state", f"This campaign is {campaign.status.value}.")
    if another_runs:
        raise Refusal("one-campaign-at-a-time", "Another campaign runs; close it first.")
    launched = replace(
        campaign,
        status=CampaignStatus.LAUNCHED,
        launched_at=cause.at,
        closes_at=cause.at + campaign.lasts,
        audience=audience,
        version=campaign.version + 1,
        sequence=campaign.sequence + 1,
    )
    body = CampaignLaunched(
        campaign_id=campaign.campaign_id,
        community_id=campaign.community_id,
        objective_id=campaign.objective_id,
        title=campaign.title,
        member_benefit=campaign.member_benefit,
        closes_at=cause.at + campaign.lasts,
        audience_size=len(audience),
    )
    return launched, Draft(campaign.campaign_id, body, launched.sequence)


def close(campaign: Campaign, cause: Cause) -> tuple[Campaign, Draft]:
    """End it, by hand or at its time."""
    if campaign.status is not CampaignStatus.LAUNCHED:
        raise Refusal("wrong-state", f"This campaign is {campaign.status.value}.")
    closed = replace(
        campaign,
        status=CampaignStatus.CLOSED,
        closed_at=cause.at,
        version=campaign.version + 1,
        sequence=campaign.sequence + 1,
    )
    body = CampaignClosed(
        campaign_id=campaign.campaign_id,
        community_id=campaign.community_id,
        objective_id=campaign.objective_id,
    )
    return closed, Draft(campaign.campaign_id, body, closed.sequence)


def restarted(campaign: Campaign, at: datetime) -> Campaign:
    """A running campaign that gets its whole time again from `at` on."""
    return replace(campaign, closes_at=at + campaign.lasts, version=campaign.version + 1)


def joined(campaign: Campaign | None, member_id: UUID, at: datetime) -> Campaign:
    """The campaign that a suggestion of this member answers, if it asks them at `at`."""
    if campaign is None or campaign.status is not CampaignStatus.LAUNCHED or _is_over(campaign, at):
        raise Refusal("no-such-campaign", "There is no such campaign running here.")
    if member_id not in campaign.audience:
        raise Refusal("not-in-audience", "This campaign asks those who were members at its launch.")
    return campaign


def _is_over(campaign: Campaign, at: datetime) -> bool:
    return campaign.closes_at is not None and at >= campaign.closes_at
