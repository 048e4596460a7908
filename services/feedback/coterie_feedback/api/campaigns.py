"""Calls for feedback: draft, launch, close, and read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from coterie_chassis import circle
from coterie_chassis.decisions import Cause, NotFound, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done, View
from coterie_chassis.texts import Impersonal
from coterie_feedback.api.callers import caller_in, check_reader, check_staff, known_community
from coterie_feedback.api.deeds import NothingMore
from coterie_feedback.domain import campaigns
from coterie_feedback.domain.campaigns import LASTS, Campaign, CampaignStatus
from coterie_feedback.domain.submission import check_open, objective_of
from coterie_feedback.store import campaigns as store

__all__ = ["api"]

api = Api(tags=["campaigns"])
CAMPAIGN = "campaign"
Short = Annotated[str, Field(min_length=1, max_length=280), Impersonal]


class DraftCampaign(CommandBody):
    community_id: UUID
    objective_id: UUID | None = Field(default=None, description="taken by itself if only one")
    title: Short
    member_benefit: Short = Field(description="what members gain by it")
    days: Annotated[int, Field(ge=1, le=90)] = LASTS.days


class CampaignView(View):
    campaign_id: UUID
    community_id: UUID
    objective_id: UUID
    title: str
    member_benefit: str
    status: CampaignStatus
    drafted_at: datetime
    launched_at: datetime | None
    closes_at: datetime | None
    closed_at: datetime | None
    audience_size: int
    version: int


@api.query("/campaigns/{campaign_id}")
async def show_campaign(call: Call, campaign_id: UUID) -> CampaignView:
    """A campaign; drafts are for staff."""
    campaign = await store.read_campaign(call.uow, campaign_id)
    if campaign is None:
        raise NotFound(CAMPAIGN)
    caller = await caller_in(call, campaign.community_id)
    check_reader(caller, CAMPAIGN)
    if campaign.status is CampaignStatus.DRAFT and not caller.staff:
        raise NotFound(CAMPAIGN)
    return _view(campaign)


@api.query("/communities/{community_id}/campaigns")
async def list_campaigns(call: Call, community_id: UUID) -> list[CampaignView]:
    """The latest hundred campaigns of a community, the newest first."""
    caller = await caller_in(call, community_id)
    check_reader(caller, "community")
    found = await store.campaigns_of(call.uow, community_id)
    return [_view(one) for one in found if caller.staff or one.status is not CampaignStatus.DRAFT]


@api.command("POST", "/campaigns", shows=show_campaign, status=201)
async def draft_campaign(call: Call, body: DraftCampaign) -> Done:
    """Prepare a call for feedback on one objective."""
    cause = await call.within(body.community_id)
    await check_staff(call, cause, "community")
    campaign_id = call.new_id(CAMPAIGN)
    if (known := await store.read_campaign(call.uow, campaign_id)) is not None:
        return Done(campaign_id, known.version)
    community = await known_community(call, body.community_id)
    check_open(community.status)
    objective_id = objective_of(community.objectives, body.objective_id, outside=False)
    if objective_id is None:
        raise Refusal("objective-needed", "A campaign names one objective; there is none now.")
    campaign = Campaign(
        campaign_id=campaign_id,
        community_id=body.community_id,
        objective_id=objective_id,
        title=body.title,
        member_benefit=body.member_benefit,
        lasts=timedelta(days=body.days),
        drafted_at=cause.at,
    )
    await store.put_campaigns(call.uow, [campaign])
    return Done(campaign_id, campaign.version)


@api.command("POST", "/campaigns/{campaign_id}/launch", shows=show_campaign)
async def launch_campaign(call: Call, campaign_id: UUID, body: NothingMore | None = None) -> Done:
    """Ask all who are active members now; whoever comes later is not asked."""
    del body
    cause, campaign = await _locked(call, campaign_id)
    if campaign.status is CampaignStatus.LAUNCHED:
        return _done(campaign)
    call.expect(campaign.version)
    community = await known_community(call, campaign.community_id)
    check_open(community.status)
    objective_of(community.objectives, campaign.objective_id, outside=False)
    another = await store.another_runs(call.uow, campaign)
    people = await circle.active_members(call.uow, campaign.community_id)
    audience = tuple(one.member_id for one in people)
    launched, draft = campaigns.launch(campaign, cause, audience, another_runs=another)
    await store.put_campaigns(call.uow, [launched])
    call.uow.publish(cause, draft)
    return _done(launched)


@api.command("POST", "/campaigns/{campaign_id}/close", shows=show_campaign)
async def close_campaign(call: Call, campaign_id: UUID, body: NothingMore | None = None) -> Done:
    """End a campaign before its time."""
    del body
    cause, campaign = await _locked(call, campaign_id)
    if campaign.status is CampaignStatus.CLOSED:
        return _done(campaign)
    call.expect(campaign.version)
    closed, draft = campaigns.close(campaign, cause)
    await store.put_campaigns(call.uow, [closed])
    call.uow.publish(cause, draft)
    return _done(closed)


async def _locked(call: Call, campaign_id: UUID) -> tuple[Cause, Campaign]:
    known = await store.read_campaign(call.uow, campaign_id)
    if known is None:
        raise NotFound(CAMPAIGN)
    cause = await call.within(known.community_id)
    await check_staff(call, cause, CAMPAIGN)
    return cause, (await store.lock_campaigns(call.uow, [campaign_id]))[campaign_id]


def _done(campaign: Campaign) -> Done:
    return Done(campaign.campaign_id, campaign.version, campaign.sequence)


def _view(campaign: Campaign) -> CampaignView:
    return CampaignView(
        campaign_id=campaign.campaign_id,
        community_id=campaign.community_id,
        objective_id=campaign.objective_id,
        title=campaign.title,
        member_benefit=campaign.member_benefit,
        status=campaign.status,
        drafted_at=campaign.drafted_at,
        launched_at=campaign.launched_at,
        closes_at=campaign.closes_at,
        closed_at=campaign.closed_at,
        audience_size=len(campaign.audience),
        version=campaign.version,
    )
