"""Support, ratings and appreciation. Rating is the busiest command: few statements, no hot row."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from coterie_chassis.decisions import NotFound
from coterie_chassis.http import Api, Call, CommandBody, Done, View
from coterie_feedback.api.callers import (
    Caller,
    acting_member,
    caller_in,
    cause_for,
    check_staff,
    is_staff,
)
from coterie_feedback.api.reading import show_suggestion
from coterie_feedback.api.views import RatingView
from coterie_feedback.domain import voices
from coterie_feedback.domain.voices import BUTTONS
from coterie_feedback.store import reading
from coterie_feedback.store import voices as store
from coterie_feedback.store.voices import Rateable

__all__ = ["api"]

api = Api(tags=["voices"])
CONTRIBUTION = "contribution"


class Rate(CommandBody):
    """`value` from 0 to 1, or a button: outstanding is 1, helpful .7, not for me .2."""

    value: (
        Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
        | Literal["outstanding", "helpful", "not_for_me"]
    )

    @property
    def number(self) -> float:
        return BUTTONS[self.value] if isinstance(self.value, str) else float(self.value)


class GiveSupport(CommandBody):
    importance: Annotated[int, Field(ge=1, le=3)] = 1


class Appreciate(CommandBody):
    appreciated: bool = Field(default=True, description="false takes it back")


class AppreciationView(View):
    contribution_id: UUID
    appreciated: bool


async def show_rating(call: Call, rating_id: UUID) -> RatingView:
    """A rating, for its rater alone."""
    row = await reading.rating(call.uow, rating_id, call.principal.person_id)
    if row is None:
        raise NotFound("rating")
    return RatingView.model_validate(row)


async def show_appreciation(call: Call, contribution_id: UUID) -> AppreciationView:
    """Whether staff appreciate a contribution."""
    marked = await store.is_appreciated(call.uow, contribution_id)
    return AppreciationView(contribution_id=contribution_id, appreciated=marked)


@api.command("PUT", "/contributions/{contribution_id}/rating", shows=show_rating)
async def rate(call: Call, contribution_id: UUID, body: Rate) -> Done:
    """Say how much a contribution of somebody else helped; the latest stands."""
    found = await store.rateable(call.uow, contribution_id, call.principal.person_id)
    if found is None:
        raise NotFound(CONTRIBUTION)
    contribution = found.contribution
    cause = await call.within(contribution.community_id, found.clock)
    if (done := _said_before(call, found, body.number)) is not None:
        return done
    staff = is_staff(call, contribution.community_id, found.clock.brand_id)
    caller = Caller(found.member_id, found.standing, staff)
    rater_id = acting_member(call, caller, CONTRIBUTION)
    rating = voices.rate(
        contribution, rater_id, body.number, cause, rated_at=call.told_time() or cause.at
    )
    sequence = await store.put_rating(call.uow, rating)
    if sequence is not None:
        call.uow.publish(cause, voices.rated(rating, contribution, sequence))
    return Done(rating.rating_id, sequence=sequence)


@api.command("PUT", "/feedback/{feedback_id}/support", shows=show_suggestion)
async def give_support(call: Call, feedback_id: UUID, body: GiveSupport | None = None) -> Done:
    """Want this too; the importance, 1 to 3, can be changed."""
    return await _support(call, feedback_id, (body or GiveSupport()).importance)


@api.command("DELETE", "/feedback/{feedback_id}/support", shows=show_suggestion)
async def take_support_back(call: Call, feedback_id: UUID) -> Done:
    """Want this no more."""
    return await _support(call, feedback_id, None)


@api.command("POST", "/contributions/{contribution_id}/appreciate", shows=show_appreciation)
async def appreciate(call: Call, contribution_id: UUID, body: Appreciate | None = None) -> Done:
    """Staff: mark a contribution as appreciated, or take that back."""
    found = await store.rateable(call.uow, contribution_id, call.principal.person_id)
    if found is None:
        raise NotFound(CONTRIBUTION)
    contribution = found.contribution
    cause = await call.within(contribution.community_id, found.clock)
    await check_staff(call, cause, CONTRIBUTION)
    value = (body or Appreciate()).appreciated
    voices.check_appreciable(contribution)
    at = call.told_time() or cause.at
    sequence = await store.appreciate(call.uow, contribution, value=value, at=at)
    if sequence is not None:
        call.uow.publish(cause, voices.appreciated(contribution, value, sequence))
    return Done(contribution_id)


async def _support(call: Call, feedback_id: UUID, importance: int | None) -> Done:
    cause, item = await cause_for(call, feedback_id)
    caller = await caller_in(call, item.community_id, acting=True)
    at = call.told_time() or cause.at
    given = voices.support(
        feedback_id,
        item.community_id,
        author_id=item.author_id,
        status=item.status,
        member_id=acting_member(call, caller),
        importance=importance,
        at=at,
    )
    sequence = await store.put_support(call.uow, given)
    if sequence is not None:
        call.uow.publish(cause, voices.supported(given, sequence))
    return Done(feedback_id)


def _said_before(call: Call, found: Rateable, value: float) -> Done | None:
    """A rating told again with its time, its stored outcome being gone: nothing new."""
    told = call.told_time()
    if told is None or found.rating_id is None or found.rated_at is None:
        return None
    if found.rated_at > told or (found.rated_at == told and found.value == value):
        return Done(found.rating_id)
    return None
