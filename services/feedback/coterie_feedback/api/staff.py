"""What staff do with a suggestion, each step once however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from pydantic import Field

from coterie_chassis import circle
from coterie_chassis.auth import Role
from coterie_chassis.circle import Community, Member
from coterie_chassis.decisions import Cause, NotFound
from coterie_chassis.http import Api, Call, CommandBody, Done
from coterie_chassis.texts import Impersonal
from coterie_contracts.feedback import AskedAs
from coterie_contracts.member import MemberStatus
from coterie_feedback.api.callers import (
    SUGGESTION,
    cause_for,
    check_staff,
    known_community,
)
from coterie_feedback.api.deeds import NothingMore
from coterie_feedback.api.reading import show_suggestion
from coterie_feedback.domain import rounds, suggestion
from coterie_feedback.domain.decision import Decision
from coterie_feedback.domain.look_agains import Invitee, What, who_to_ask
from coterie_feedback.domain.quiet_hours import QuietHours
from coterie_feedback.domain.suggestion import Suggestion
from coterie_feedback.store.people import duplicate_authors, ranked_supporters
from coterie_feedback.store.suggestions import (
    has_duplicates,
    implementation_of,
    lock,
    lock_with_clock,
    open_look_agains,
    save,
    was_caused,
)

__all__ = ["api"]

api = Api(tags=["staff"])
_ASKABLE = frozenset({MemberStatus.ACTIVE, MemberStatus.SUSPENDED})


Label = Annotated[str, Field(min_length=1, max_length=80), Impersonal]
Short = Annotated[str, Field(min_length=1, max_length=280), Impersonal]
Reason = Annotated[str, Field(min_length=1, max_length=1_000)]


class AcceptFeedback(CommandBody):
    label: Label = Field(description="your name for it; events carry it, so no personal data")


class DeclineFeedback(CommandBody):
    reason: Reason = Field(description="the author reads it")


class ImplementFeedback(CommandBody):
    what_changed: Short
    see_it_at: Short = Field(description='a link, a place, "in your next order"')
    release: Label | None = None


class MergeFeedback(CommandBody):
    root_id: UUID


@api.command("POST", "/feedback/{feedback_id}/accept", shows=show_suggestion)
async def accept(call: Call, feedback_id: UUID, body: AcceptFeedback) -> Done:
    """Take a suggestion up under a label."""
    return await _step(
        call, feedback_id, lambda item, cause: suggestion.accept(item, cause, label=body.label)
    )


@api.command("POST", "/feedback/{feedback_id}/plan", shows=show_suggestion)
async def plan(call: Call, feedback_id: UUID, body: NothingMore | None = None) -> Done:
    """Intend to build an accepted or reopened suggestion."""
    del body
    return await _step(call, feedback_id, suggestion.plan)


@api.command("POST", "/feedback/{feedback_id}/decline", shows=show_suggestion)
async def decline(call: Call, feedback_id: UUID, body: DeclineFeedback) -> Done:
    """Decide against a suggestion, with a reason that its author can read."""
    return await _step(
        call, feedback_id, lambda item, cause: suggestion.decline(item, cause, reason=body.reason)
    )


@api.command("POST", "/feedback/{feedback_id}/merge", shows=show_suggestion)
async def merge(call: Call, feedback_id: UUID, body: MergeFeedback) -> Done:
    """Join a duplicate to the suggestion that it repeats."""
    cause, known = await cause_for(call, feedback_id)
    await check_staff(call, cause)
    items = await lock_with_clock(call.uow, known.community_id, {feedback_id, body.root_id})
    duplicate, root = items[feedback_id], items.get(body.root_id)
    if root is None or root.community_id != duplicate.community_id:
        raise NotFound("root")
    if await was_caused(call.uow, feedback_id, cause.id):
        return _done(duplicate)
    call.expect(duplicate.version)
    is_root = await has_duplicates(call.uow, feedback_id)
    return await _saved(call, suggestion.merge(duplicate, root, cause, is_root=is_root))


@api.command("POST", "/feedback/{feedback_id}/unmerge", shows=show_suggestion)
async def unmerge(call: Call, feedback_id: UUID, body: NothingMore | None = None) -> Done:
    """Let a duplicate stand on its own again."""
    del body
    cause, known = await cause_for(call, feedback_id)
    await check_staff(call, cause)
    ids = {feedback_id} | ({known.root_id} if known.root_id is not None else set())
    item = (await lock_with_clock(call.uow, known.community_id, ids))[feedback_id]
    if await was_caused(call.uow, feedback_id, cause.id):
        return _done(item)
    call.expect(item.version)
    return await _saved(call, suggestion.unmerge(item, cause))


@api.command("POST", "/feedback/{feedback_id}/implement", shows=show_suggestion)
async def implement(call: Call, feedback_id: UUID, body: ImplementFeedback) -> Done:
    """Say that it was built; those who wanted it are asked to look again."""
    cause, known = await cause_for(call, feedback_id)
    await check_staff(call, cause)
    item = (await lock(call.uow, [feedback_id]))[feedback_id]
    if await was_caused(call.uow, feedback_id, cause.id):
        return _done(item)
    call.expect(item.version)
    community = await known_community(call, known.community_id)
    twins = await duplicate_authors(call.uow, feedback_id, item.author_id)
    keen = await ranked_supporters(call.uow, feedback_id)
    asked = who_to_ask(item.author_id, twins, keen)
    people = await circle.members(call.uow, [member_id for member_id, _ in asked])
    decision = rounds.implement(
        item,
        cause,
        What(what_changed=body.what_changed, see_it_at=body.see_it_at, release=body.release),
        implementation_id=call.new_id("implementation"),
        duplicate_author_ids=twins,
        invitees=_invitees(asked, people, community),
        quiet=QuietHours(community.quiet_from, community.quiet_until),
        still_open=await open_look_agains(call.uow, feedback_id),
    )
    return await _saved(call, decision)


@api.command("POST", "/feedback/{feedback_id}/reopen", shows=show_suggestion)
async def reopen(call: Call, feedback_id: UUID, body: NothingMore | None = None) -> Done:
    """A manager reopens what was not confirmed; after three rounds nobody else can."""
    del body
    cause, _ = await cause_for(call, feedback_id)
    await check_staff(call, cause, SUGGESTION, Role.MANAGER)
    item = (await lock(call.uow, [feedback_id]))[feedback_id]
    if await was_caused(call.uow, feedback_id, cause.id):
        return _done(item)
    call.expect(item.version)
    return await _saved(call, rounds.reopen(item, await implementation_of(call.uow, item), cause))


async def _step(
    call: Call, feedback_id: UUID, decide: Callable[[Suggestion, Cause], Decision]
) -> Done:
    cause, _ = await cause_for(call, feedback_id)
    await check_staff(call, cause)
    item = (await lock(call.uow, [feedback_id]))[feedback_id]
    if await was_caused(call.uow, feedback_id, cause.id):
        return _done(item)
    call.expect(item.version)
    return await _saved(call, decide(item, cause))


async def _saved(call: Call, decision: Decision) -> Done:
    await save(call.uow, [decision])
    return _done(decision.suggestions[-1])


def _done(item: Suggestion) -> Done:
    return Done(item.feedback_id, item.version, item.sequence)


def _invitees(
    asked: list[tuple[UUID, AskedAs]], people: dict[UUID, Member], community: Community
) -> list[Invitee]:
    """Those to ask; who was erased is not even written down."""
    return [
        Invitee(
            member_id,
            part,
            people[member_id].status in _ASKABLE,
            (people[member_id].time_zone, community.time_zone),
            people[member_id].sequence,
        )
        for member_id, part in asked
        if member_id in people
    ]
