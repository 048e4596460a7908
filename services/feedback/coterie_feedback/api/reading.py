"""The board, one item with its history, what became of mine, what changed, what waits."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Forbidden, NotFound
from coterie_chassis.http import Api, Call, Page, TodoItem, page_of
from coterie_feedback.api.callers import (
    SUGGESTION,
    caller_in,
    check_reader,
    check_staff,
    reader_of,
)
from coterie_feedback.api.views import (
    ChangeView,
    CommentView,
    FeedbackView,
    HistoryView,
    LookAgainView,
    RoundView,
    SuggestionView,
    comment_view,
    suggestion_fields,
)
from coterie_feedback.domain.decision import Deed
from coterie_feedback.domain.suggestion import Status
from coterie_feedback.store import reading as store

__all__ = ["api", "show_comment", "show_suggestion"]

api = Api(tags=["reading"])


class Order(StrEnum):
    NEWEST = "newest"
    SUPPORT = "support"


async def show_suggestion(call: Call, feedback_id: UUID) -> SuggestionView:
    """A suggestion without its talk and history: the answer of commands; one statement.

    Its author reads it for ever, so that a command told again is answered after they left.
    """
    row = await store.suggestion(call.uow, feedback_id, call.principal.person_id)
    if row is None:
        raise NotFound(SUGGESTION)
    caller = reader_of(call, row)
    if caller.member_id != row.author_id:
        check_reader(caller, SUGGESTION)
    return SuggestionView(**suggestion_fields(row, caller))


async def show_comment(call: Call, comment_id: UUID) -> CommentView:
    """One comment; one statement. Its author reads it for ever, as with suggestions."""
    row = await store.comment(call.uow, comment_id, call.principal.person_id)
    if row is None:
        raise NotFound("comment")
    caller = reader_of(call, row)
    if caller.member_id is None or caller.member_id != row.author_id:
        check_reader(caller, "comment")
    return comment_view(row, caller)


@api.query("/feedback/{feedback_id}")
async def show_feedback(call: Call, feedback_id: UUID) -> FeedbackView:
    """One suggestion with its talk, its history and its rounds."""
    row = await store.suggestion(call.uow, feedback_id, call.principal.person_id)
    if row is None:
        raise NotFound(SUGGESTION)
    caller = reader_of(call, row)
    check_reader(caller, SUGGESTION)
    fields = suggestion_fields(row, caller)
    reason_is_theirs = caller.staff or fields["mine"]
    history = [
        HistoryView.model_validate(change) for change in await store.history(call.uow, feedback_id)
    ]
    if not reason_is_theirs:
        history = [_without_reason(change) for change in history]
    return FeedbackView(
        **fields,
        talk=[
            comment_view(said, caller)
            for said in await store.comments(call.uow, feedback_id, row.me)
        ],
        history=history,
        rounds=[
            RoundView.model_validate(one)
            for one in await store.implementations(call.uow, feedback_id)
        ],
    )


@api.query("/communities/{community_id}/board", paged=True)
async def board(
    call: Call,
    community_id: UUID,
    status: Status | None = None,
    order: Order = Order.NEWEST,
) -> Page[SuggestionView]:
    """Suggestions, the newest or the most wanted first. What was withdrawn only staff see."""
    caller = await caller_in(call, community_id)
    check_reader(caller, "community")
    statuses = [status] if status is not None else list(Status)
    if not caller.staff:
        statuses = [one for one in statuses if one is not Status.WITHDRAWN]
    who, limit = call.principal.person_id, call.page.limit
    if order is Order.SUPPORT:
        rows = await store.most_wanted(
            call.uow,
            community_id,
            who,
            statuses=statuses,
            limit=limit + 1,
            after=call.page.after(weight=int, id=UUID),
        )
    else:
        rows = await store.newest(
            call.uow,
            community_id,
            who,
            statuses=statuses,
            limit=limit + 1,
            after=call.page.after(at=datetime, id=UUID),
        )
    items = [SuggestionView(**suggestion_fields(row, caller)) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    if last is None:
        return page_of(items, None)
    by = {"weight": last.weight} if order is Order.SUPPORT else {"at": last.submitted_at}
    return page_of(items, {**by, "id": last.feedback_id})


@api.query("/communities/{community_id}/mine", paged=True)
async def what_became_of_mine(call: Call, community_id: UUID) -> Page[SuggestionView]:
    """The caller's own suggestions, also after they left; newest first."""
    caller = await caller_in(call, community_id)
    if caller.member_id is None:
        raise NotFound("community")
    limit = call.page.limit
    rows = await store.mine(
        call.uow,
        community_id,
        call.principal.person_id,
        limit=limit + 1,
        after=call.page.after(at=datetime, id=UUID),
    )
    items = [SuggestionView(**suggestion_fields(row, caller)) for row in rows[:limit]]
    more = len(rows) > limit
    cursor = {"at": items[-1].submitted_at, "id": items[-1].feedback_id} if more else None
    return page_of(items, cursor)


@api.query("/communities/{community_id}/changes", paged=True)
async def you_asked_we_changed(call: Call, community_id: UUID) -> Page[ChangeView]:
    """What was built because members asked for it, the latest first."""
    check_reader(await caller_in(call, community_id), "community")
    limit = call.page.limit
    rows = await store.changes(
        call.uow,
        community_id,
        limit=limit + 1,
        after=call.page.after(at=datetime, id=UUID),
    )
    items = [
        ChangeView(
            feedback_id=row.feedback_id,
            implementation_id=row.implementation_id,
            label=row.label,
            what_changed=row.what_changed,
            see_it_at=row.see_it_at,
            release=row.release,
            implemented_at=row.implemented_at,
            status=Status(row.status),
            thanks_to=[row.author_id, *row.duplicate_author_ids],
        )
        for row in rows[:limit]
    ]
    more = len(rows) > limit
    cursor = {"at": items[-1].implemented_at, "id": items[-1].implementation_id} if more else None
    return page_of(items, cursor)


@api.query("/communities/{community_id}/look-agains")
async def open_look_agains(call: Call, community_id: UUID) -> list[LookAgainView]:
    """What the caller may still answer, late answers included; the nearest deadline first."""
    cause = await call.within(community_id)
    caller = await caller_in(call, community_id)
    if caller.member_id is None:
        if caller.staff:
            raise Forbidden("members-only", "Only members are asked to look again.")
        raise NotFound("community")
    check_reader(caller, "community")
    rows = await store.look_agains(call.uow, community_id, call.principal.person_id, cause.at)
    return [LookAgainView.model_validate(row) for row in rows]


@api.query("/communities/{community_id}/todo")
async def todo(call: Call, community_id: UUID) -> list[TodoItem]:
    """What waits for staff in this community, the longest first."""
    cause = await call.within(community_id)
    await check_staff(call, cause, "community")
    return [
        TodoItem(
            what=_WAITS[row.what][0],
            since=row.since,
            subject_id=row.subject_id,
            for_whom=_WAITS[row.what][1],
            method="POST",
            path=f"/feedback/{row.subject_id}/{_WAITS[row.what][2]}",
        )
        for row in await store.waiting(call.uow, community_id)
    ]


def _without_reason(change: HistoryView) -> HistoryView:
    return change.model_copy(update={"note": None}) if change.deed is Deed.DECLINED else change


_WAITS: Final = {
    "decide": ("A suggestion waits for an answer", Role.HOST, "accept"),
    "plan": ("An accepted suggestion waits to be planned", Role.HOST, "plan"),
    "plan_again": ("A member looked again and it is not there yet", Role.HOST, "plan"),
    "implement": ("A planned suggestion waits to be built", Role.HOST, "implement"),
    "reopen": ("The author still objects; only a manager reopens", Role.MANAGER, "reopen"),
    "unmerge": ("The author of a duplicate is not satisfied: unmerge it?", Role.HOST, "unmerge"),
}
