"""What a member wishes to hear: preferences, one-click unsubscribe, and how much they were told.

An unsubscribe commits before it answers, so the next send sees it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic import Field
from sqlalchemy import select

from coterie_chassis import circle
from coterie_chassis.auth import Role
from coterie_chassis.circle import Member
from coterie_chassis.decisions import Cause, Draft, NotFound, Refusal, derived_id
from coterie_chassis.http import Api, Call, CommandBody, Done
from coterie_chassis.store import UnitOfWork
from coterie_chassis.tables import community_clock
from coterie_contracts.community import ClockMode
from coterie_contracts.notification import NotificationClass, PreferenceChanged
from coterie_notifications.api.views import CountView, FatigueView, PreferencesView, StepView
from coterie_notifications.domain.guard import why_paused
from coterie_notifications.domain.notice import OfferFacts
from coterie_notifications.domain.notices import to_person
from coterie_notifications.domain.policy import in_force
from coterie_notifications.domain.tokens import Unsubscription, read_token
from coterie_notifications.store import reading
from coterie_notifications.store.erasure import give_way
from coterie_notifications.store.notices import ledger_id_of, load_ledgers
from coterie_notifications.store.recipients import policies_of
from coterie_notifications.telling import preview

api = Api(tags=["preferences"])

_PAIR: Final = r"^(account|personal|community|offer)/(inbox|email|webhook|chat)$"
_ONE_CLICK: Final = b"One-Click"
_BODY_LIMIT: Final = 1_024
_DAY: Final = timedelta(days=1)


class SetPreferences(CommandBody):
    """The whole of a member's wishes. `resume_offers` ends a pause that "not useful" began."""

    unsubscribed: list[Annotated[str, Field(pattern=_PAIR)]] = Field(
        max_length=16, description="`<class>/<channel>`, for example `offer/inbox`"
    )
    resume_offers: bool = False


@api.query("/members/{member_id}/preferences")
async def show_preferences(call: Call, member_id: UUID) -> PreferencesView:
    """The caller's own wishes."""
    member = await _self(call, member_id)
    cause = await call.within(member.community_id)
    row = await reading.load_preference(call.uow, member_id)
    facts = OfferFacts(
        not_useful_at=await reading.not_useful_marks(call.uow, member_id),
        resumed_at=row.resumed_at if row else None,
    )
    return PreferencesView(
        member_id=member_id,
        unsubscribed=list(row.unsubscribed) if row else [],
        offers_paused_because=why_paused(cause.at, facts),
        version=row.sequence if row else 0,
    )


@api.command("PUT", "/members/{member_id}/preferences", shows=show_preferences)
async def set_preferences(call: Call, member_id: UUID, body: SetPreferences) -> Done:
    """Replace the caller's own wishes; account messages cannot be turned off."""
    await give_way(call.uow)
    member = await _self(call, member_id)
    cause = await call.within(member.community_id)
    row = await reading.load_preference(call.uow, member_id, lock=True)
    call.expect(row.sequence if row else 0)
    if any(pair.startswith(NotificationClass.ACCOUNT) for pair in body.unsubscribed):
        raise Refusal(
            "account-stays-on",
            "Messages about your application, seat and rewards cannot be turned off.",
        )
    wanted = sorted(set(body.unsubscribed))
    if row is not None and not body.resume_offers and list(row.unsubscribed) == wanted:
        return Done(member_id, row.sequence, row.sequence)
    resumed_at = cause.at if body.resume_offers else None
    sequence = await reading.save_preference(
        call.uow, member_id, member.community_id, wanted, resumed_at
    )
    call.uow.publish(cause, _changed(member, wanted, sequence))
    return Done(member_id, sequence, sequence)


@api.router.post("/unsubscribe/{token}", summary="One-click unsubscribe (RFC 8058)")
async def unsubscribe(token: str, request: Request) -> Response:
    """Turn off what the link names. No sign-in; the body is `List-Unsubscribe=One-Click`."""
    body = await request.body()
    if len(body) > _BODY_LIMIT or _ONE_CLICK not in body:
        raise Refusal(
            "not-one-click", "Send the form field List-Unsubscribe=One-Click.", status=400
        )
    async with request.app.state.runtime.database.begin() as uow:
        await _unsubscribe(uow, await _read(uow, token))
    return Response(status_code=200)


@api.query("/members/{member_id}/fatigue")
async def show_fatigue(call: Call, member_id: UUID) -> FatigueView:
    """How much a member was told lately: for themselves and for staff."""
    member = (await circle.members(call.uow, [member_id])).get(member_id)
    if member is None:
        raise NotFound("member")
    cause = await call.within(member.community_id)
    if member.person_id != call.principal.person_id and not call.is_staff(cause):
        raise NotFound("member")
    policy = in_force(
        (await policies_of(call.uow, [member.community_id])).get(member.community_id, []), cause.at
    )
    ledger_id = ledger_id_of(cause.brand_id, member.community_id, member.person_id)
    ledgers = await load_ledgers(call.uow, [ledger_id], cause.at - policy.horizon, lock=False)
    ledger, at = ledgers[ledger_id], cause.at
    ratio_window = timedelta(days=policy.offer_ratio_window_days)
    value = ledger.value(member_id, at, ratio_window, at)

    def count(kind: NotificationClass, cap: int, days: int) -> CountView:
        window = days * _DAY
        if kind is NotificationClass.OFFER:
            found = ledger.offers(at, window, at)
        else:
            found = ledger.of_class(kind, member_id, at, window)
        return CountView(count=found, cap=cap, window_days=days)

    trial = to_person("offer", cause, member.community_id, member_id)
    answer = (await preview(call.uow, [trial]))[0].answers[-1]
    kinds = NotificationClass
    return FatigueView(
        member_id=member_id,
        at=at,
        offers=count(kinds.OFFER, policy.offer_cap, policy.offer_window_days),
        community=count(kinds.COMMUNITY, policy.community_cap, policy.community_window_days),
        personal=count(kinds.PERSONAL, policy.personal_cap_per_day, 1),
        value_messages=value,
        offers_allowed_by_ratio=policy.offer_ratio * value,
        offer_now=StepView(step=answer.step.value, passed=answer.passed, says=answer.says),
    )


async def _self(call: Call, member_id: UUID) -> Member:
    call.require(Role.MEMBER)
    member = (await circle.members(call.uow, [member_id])).get(member_id)
    if member is None or member.person_id != call.principal.person_id:
        raise NotFound("member")
    return member


async def _read(uow: UnitOfWork, token: str) -> Unsubscription:
    for secret in await reading.secrets(uow):
        try:
            return read_token(token, secret)
        except NotFound:
            continue
    raise NotFound("unsubscribe link")


async def _unsubscribe(uow: UnitOfWork, wish: Unsubscription) -> None:
    await give_way(uow)
    member = (await circle.members(uow, [wish.member_id])).get(wish.member_id)
    if member is None:
        return
    row = await reading.load_preference(uow, wish.member_id, lock=True)
    before = list(row.unsubscribed) if row else []
    if wish.pair in before:
        return
    wanted = sorted({*before, wish.pair})
    sequence = await reading.save_preference(uow, wish.member_id, member.community_id, wanted, None)
    cause = await _one_click(uow, member, wish, sequence)
    uow.publish(cause, _changed(member, wanted, sequence))


async def _one_click(uow: UnitOfWork, member: Member, wish: Unsubscription, sequence: int) -> Cause:
    """The cause that a click is; its actor is the person whom the link was made for."""
    c = community_clock.c
    clock = await uow.one_or_none(
        select(c.brand_id, c.mode, c.now).where(c.community_id == member.community_id)
    )
    mode = ClockMode(clock.mode) if clock else ClockMode.WALL
    cause_id = derived_id("unsubscribe", wish.member_id, wish.pair, sequence)
    return Cause(
        id=cause_id,
        actor=f"person:{member.person_id}",
        at=clock.now if clock and mode is ClockMode.DRIVEN else uow.now,
        recorded_at=uow.now,
        correlation_id=cause_id,
        brand_id=clock.brand_id if clock else None,
        community_id=member.community_id,
        clock=mode,
    )


def _changed(member: Member, unsubscribed: list[str], sequence: int) -> Draft:
    body = PreferenceChanged(
        member_id=member.member_id,
        community_id=member.community_id,
        unsubscribed=tuple(unsubscribed),
    )
    return Draft(member.member_id, body, sequence)
