"""Inboxes, single notifications, and what their readers say of them."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row

from coterie_chassis import circle
from coterie_chassis.auth import Role
from coterie_chassis.circle import Community
from coterie_chassis.decisions import Draft, NotFound, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done, Page, page_of
from coterie_contracts.notification import NotificationClass, NotificationMarked
from coterie_notifications.api.paging import following, position
from coterie_notifications.api.views import GuardView, NoticeView, guard_view, notice_view
from coterie_notifications.store import reading
from coterie_notifications.store.erasure import give_way
from coterie_notifications.store.notices import ledger_id_of, load_ledgers

api = Api(tags=["inbox"])


class MarkNotification(CommandBody):
    """`advert`: this was an ad, count it as one. `not_useful`: no offers for a while."""

    mark: Literal["advert", "not_useful"]


class MarkRead(CommandBody):
    """Nothing to say but that it was read."""


@api.query("/communities/{community_id}/inbox", paged=True)
async def show_inbox(call: Call, community_id: UUID) -> Page[NoticeView]:
    """What the caller was told in this community, as applicant and as member, newest first."""
    call.require(Role.APPLICANT, Role.MEMBER)
    return await _page(call, await _community(call, community_id), call.principal.person_id)


@api.query("/communities/{community_id}/staff-inbox", paged=True)
async def show_staff_inbox(call: Call, community_id: UUID) -> Page[NoticeView]:
    """What the staff of this community were told, newest first; they share it."""
    call.staff(await call.within(community_id))
    return await _page(call, await _community(call, community_id), None)


@api.query("/notifications/{notification_id}")
async def show_notification(call: Call, notification_id: UUID) -> NoticeView:
    """One notice that reached its reader."""
    row = await _own(call, notification_id)
    if row.state != "sent":
        raise NotFound("notification")
    return notice_view(row, await _community(call, row.community_id), await _secret(call))


@api.query("/notifications/{notification_id}/guard")
async def show_guard_steps(call: Call, notification_id: UUID) -> GuardView:
    """Why a notification was sent or withheld: for its recipient and for staff."""
    row = await reading.load_notification(call.uow, notification_id)
    if row is None:
        raise NotFound("notification")
    if row.person_id is None or row.person_id != call.principal.person_id:
        cause = await call.within(row.community_id)
        if not call.is_staff(cause):
            raise NotFound("notification")
    return guard_view(row)


@api.command("POST", "/notifications/{notification_id}/mark", shows=show_notification)
async def mark_notification(call: Call, notification_id: UUID, body: MarkNotification) -> Done:
    """A member may call any message an advert, and an offer not useful; both tighten the guard."""
    call.require(Role.MEMBER)
    await give_way(call.uow)
    row = await _own(call, notification_id)
    if row.person_id is None or row.recipient_id == row.person_id or row.state != "sent":
        raise Refusal("not-markable", "Only messages to members can be marked.")
    kind = NotificationClass(row.notification_class)
    if body.mark == "not_useful" and kind is not NotificationClass.OFFER:
        raise Refusal("not-an-offer", "Only an offer can be called not useful.")
    cause = await call.within(row.community_id)
    ledger_id = ledger_id_of(cause.brand_id, row.community_id, row.person_id)
    await load_ledgers(call.uow, [ledger_id], cause.at)
    row = await _own(call, notification_id, lock=True)
    column = "advert_at" if body.mark == "advert" else "not_useful_at"
    if getattr(row, column) is not None:
        return Done(notification_id, sequence=row.sequence)
    sequence = await reading.mark(call.uow, notification_id, column, cause.at, ledger_id)
    marked = NotificationMarked(
        notification_id=notification_id,
        community_id=row.community_id,
        member_id=row.recipient_id,
        mark=body.mark,
        sent_at=row.decided_at,
    )
    call.uow.publish(cause, Draft(notification_id, marked, sequence))
    return Done(notification_id, sequence=sequence)


@api.command("POST", "/notifications/{notification_id}/read", shows=show_notification)
async def read_notification(call: Call, notification_id: UUID, body: MarkRead) -> Done:
    """Settles a notice, for staff in their list of what waits."""
    row = await _own(call, notification_id, lock=True)
    cause = await call.within(row.community_id)
    await reading.set_read(call.uow, notification_id, cause.at)
    return Done(notification_id, sequence=row.sequence)


async def _own(call: Call, notification_id: UUID, *, lock: bool = False) -> Row[Any]:
    """The caller's own notification, or one to the staff that the caller belongs to."""
    row = await reading.load_notification(call.uow, notification_id, lock=lock)
    if row is None:
        raise NotFound("notification")
    if row.person_id is None:
        if not call.is_staff(await call.within(row.community_id)):
            raise NotFound("notification")
    elif row.person_id != call.principal.person_id:
        raise NotFound("notification")
    return row


async def _page(call: Call, community: Community, person_id: UUID | None) -> Page[NoticeView]:
    limit = call.page.limit
    rows = await reading.inbox_page(
        call.uow, community.community_id, person_id, limit=limit + 1, before=position(call)
    )
    secret = await _secret(call)
    return page_of(
        [notice_view(row, community, secret) for row in rows[:limit]], following(rows, limit)
    )


async def _community(call: Call, community_id: UUID) -> Community:
    community = await circle.community(call.uow, community_id)
    if community is None:
        raise NotFound("community")
    return community


async def _secret(call: Call) -> bytes:
    return (await reading.secrets(call.uow))[0]
