"""Who calls, and what that allows: deny by default, and another community's ids do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from coterie_chassis import circle
from coterie_chassis.auth import Role
from coterie_chassis.circle import Community
from coterie_chassis.decisions import Cause, Forbidden, NotFound, Refusal
from coterie_chassis.http import Call
from coterie_contracts.member import MemberStatus
from coterie_feedback.domain.suggestion import Suggestion
from coterie_feedback.domain.voices import in_good_standing
from coterie_feedback.store.people import presence_in
from coterie_feedback.store.suggestions import peek

__all__ = [
    "Caller",
    "acting_member",
    "caller_in",
    "cause_for",
    "check_reader",
    "check_staff",
    "known_community",
    "reader_of",
]

SUGGESTION: Final = "suggestion"
_READERS: Final = frozenset({MemberStatus.ACTIVE, MemberStatus.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller in one community; `standing` is absent for who was never a member there."""

    member_id: UUID | None
    standing: MemberStatus | None
    staff: bool
    time_zone: str | None = None


async def caller_in(call: Call, community_id: UUID, *, acting: bool = False) -> Caller:
    """The caller's presence in a community; one statement. Raises `NotFound`.

    Whoever writes something about the caller says `acting`, so that no erasure overlooks it.
    """
    who = call.principal.person_id
    presence = await presence_in(call.uow, community_id, who, acting=acting)
    if presence is None:
        raise NotFound("community")
    return Caller(
        presence.member_id,
        presence.standing,
        is_staff(call, community_id, presence.brand_id),
        presence.time_zone,
    )


def reader_of(call: Call, row: Row[Any]) -> Caller:
    """The caller as a row tells it that has `me`, `my_standing` and `brand_id`; no statement."""
    standing = None if row.my_standing is None else MemberStatus(row.my_standing)
    return Caller(row.me, standing, is_staff(call, row.community_id, row.brand_id))


def is_staff(call: Call, community_id: UUID, brand_id: UUID | None) -> bool:
    """Whether the caller is a manager or host of that community."""
    who = call.principal
    return who.has(Role.MANAGER, Role.HOST) and who.covers(community_id, brand_id)


def check_reader(caller: Caller, what: str) -> None:
    """Staff and members read, the suspended included; who left or never came does not."""
    if caller.staff or caller.standing in _READERS:
        return
    in_good_standing(caller.standing, what)


def acting_member(call: Call, caller: Caller, what: str = SUGGESTION) -> UUID:
    """The member that the caller acts as; staff act as none, whatever seat they once had.

    Raises `Forbidden` or `NotFound`.
    """
    if caller.staff:
        raise Forbidden("members-only", "Only members do this; staff answer as the team.")
    in_good_standing(caller.standing, what)
    call.require(Role.MEMBER)
    if caller.member_id is None:
        raise NotFound(what)
    return caller.member_id


async def check_staff(call: Call, cause: Cause, what: str = SUGGESTION, *roles: Role) -> None:
    """Raises `NotFound` for strangers and other communities' staff, `Forbidden` for members."""
    if cause.community_id is not None and not call.is_staff(cause):
        caller = await caller_in(call, cause.community_id)
        if caller.standing is None:
            raise NotFound(what)
    call.staff(cause, *roles)


async def cause_for(call: Call, feedback_id: UUID) -> tuple[Cause, Suggestion]:
    """The cause of a command on a suggestion, on its community's clock, and the unlocked item."""
    found = await peek(call.uow, feedback_id)
    if found is None:
        raise NotFound(SUGGESTION)
    return await call.within(found.community_id), found


async def known_community(call: Call, community_id: UUID) -> Community:
    """This service's copy of a community. Raises `Refusal` 503 until its first event came."""
    found = await circle.community(call.uow, community_id)
    if found is None:
        raise Refusal(
            "not-caught-up",
            "This service has not heard of that community's settings yet; try again shortly.",
            status=503,
        )
    return found
