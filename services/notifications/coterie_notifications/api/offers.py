"""What staff publish: offers and news. The guard decides who gets them, and says why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import select

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, Draft, NotFound, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done
from coterie_chassis.texts import Impersonal, Moment
from coterie_contracts.notification import OfferPublished
from coterie_notifications.api.views import (
    BroadcastView,
    ForecastView,
    PreviewView,
)
from coterie_notifications.domain.decision import Decision
from coterie_notifications.domain.notice import Notice
from coterie_notifications.domain.notices import to_person
from coterie_notifications.store import reading, tables
from coterie_notifications.store.recipients import seated
from coterie_notifications.telling import preview, tell

api = Api(tags=["offers and news"])

_REACHED = frozenset({"sent", "bundled", "digest_pending"})


class PublishOffer(CommandBody):
    """A commercial message. It says what the member gains, or it is not sent."""

    title: str = Field(min_length=1, max_length=120)
    member_benefit: Annotated[str, Field(min_length=1, max_length=280), Impersonal]
    text: str = Field(default="", max_length=2_000)
    expires_at: Moment | None = None


class PublishNews(CommandBody):
    """News of the community; it sells nothing."""

    title: str = Field(min_length=1, max_length=120)
    text: str = Field(min_length=1, max_length=2_000)


@api.query("/broadcasts/{broadcast_id}")
async def show_broadcast(call: Call, broadcast_id: UUID) -> BroadcastView:
    """An offer, news or a call, and how many it reached."""
    statement = select(tables.broadcast).where(tables.broadcast.c.id == broadcast_id)
    row = await call.uow.one_or_none(statement)
    if row is None:
        raise NotFound("broadcast")
    call.staff(await call.within(row.community_id))
    outcomes = await reading.outcomes_of(call.uow, broadcast_id)
    return BroadcastView(
        id=row.id,
        kind=row.kind,
        title=row.title,
        text=row.text,
        member_benefit=row.member_benefit,
        published_at=row.at,
        expires_at=row.expires_at,
        audience_size=row.audience_size,
        sent=sum(n for reason, n in outcomes.items() if reason in _REACHED),
        withheld={reason: n for reason, n in outcomes.items() if reason not in _REACHED},
    )


@api.command("POST", "/communities/{community_id}/offers", shows=show_broadcast, status=201)
async def publish_offer(call: Call, community_id: UUID, body: PublishOffer) -> Done:
    """Put an offer before the guard for every member; it decides who gets it."""
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    offer_id = call.new_id("offer")
    audience = await seated(call.uow, community_id)
    params = {"title": body.title, "member_benefit": body.member_benefit, "text": body.text}
    fields = {**params, "expires_at": body.expires_at}
    if not await _broadcast(call, cause, offer_id, "offer", size=len(audience), fields=fields):
        return Done(offer_id, sequence=1)
    published = OfferPublished(
        offer_id=offer_id,
        community_id=community_id,
        member_benefit=body.member_benefit,
        audience_size=len(audience),
    )
    call.uow.publish(cause, Draft(offer_id, published, 1))
    await tell(
        call.uow,
        _to_all("offer", cause, audience, offer_id, params=params, expires_at=body.expires_at),
    )
    return Done(offer_id, sequence=1)


@api.query("/communities/{community_id}/offers/preview")
async def show_preview(call: Call, community_id: UUID) -> PreviewView:
    """Who would get an offer at this instant, and why the others would not."""
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    audience = await seated(call.uow, community_id)
    decisions = await preview(call.uow, _to_all("offer", cause, audience, cause.id, params={}))
    held = Counter(d.reason.value for d in decisions if not d.sent)
    members = sorted(map(_forecast, decisions), key=lambda one: one.member_id)
    return PreviewView(
        community_id=community_id,
        audience_size=len(audience),
        would_send=sum(d.sent for d in decisions),
        withheld=dict(sorted(held.items())),
        members=members,
    )


@api.command("POST", "/communities/{community_id}/offers/preview", shows=show_preview)
async def preview_offer(call: Call, community_id: UUID, body: PublishOffer) -> Done:
    """What publishing this offer now would do; nothing is sent, counted or kept."""
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    if body.expires_at is not None and body.expires_at <= cause.at:
        raise Refusal("offer-expired", "This offer ends before it could be read by anybody.")
    return Done(community_id)


@api.command("POST", "/communities/{community_id}/news", shows=show_broadcast, status=201)
async def publish_news(call: Call, community_id: UUID, body: PublishNews) -> Done:
    """Put news before the guard for every member."""
    cause = await call.within(community_id)
    call.staff(cause)
    news_id = call.new_id("news")
    audience = await seated(call.uow, community_id)
    params = {"title": body.title, "text": body.text}
    if await _broadcast(call, cause, news_id, "news", size=len(audience), fields=params):
        await tell(call.uow, _to_all("news", cause, audience, news_id, params=params))
    return Done(news_id)


async def _broadcast(
    call: Call, cause: Cause, id_: UUID, kind: str, *, size: int, fields: dict[str, Any]
) -> bool:
    row = {
        "id": id_,
        "community_id": cause.community_id,
        "kind": kind,
        "at": cause.at,
        "author": cause.actor,
        "title": fields["title"],
        "text": fields["text"],
        "member_benefit": fields.get("member_benefit"),
        "expires_at": fields.get("expires_at"),
        "audience_size": size,
    }
    return await reading.publish_broadcast(call.uow, row)


def _to_all(
    template: str,
    cause: Cause,
    audience: Iterable[UUID],
    cause_id: UUID,
    *,
    params: dict[str, Any],
    expires_at: datetime | None = None,
) -> list[Notice]:
    if cause.community_id is None:
        return []
    return [
        to_person(
            template,
            cause,
            cause.community_id,
            member_id,
            cause_id=cause_id,
            about=cause_id,
            params=params,
            expires_at=expires_at,
        )
        for member_id in audience
    ]


def _forecast(decision: Decision) -> ForecastView:
    return ForecastView(
        member_id=decision.notice.recipient_id,
        would_send=decision.sent,
        reason=decision.reason.value,
        says=decision.answers[-1].says,
    )
