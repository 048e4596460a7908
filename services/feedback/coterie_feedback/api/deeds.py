"""What members do with words: submit, comment, withdraw. Texts stay in this service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from pydantic import Field

from coterie_chassis.decisions import Cause, Draft, Forbidden, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done
from coterie_contracts.community import Objective
from coterie_contracts.feedback import CommentPosted
from coterie_feedback.api.callers import (
    acting_member,
    caller_in,
    cause_for,
    known_community,
)
from coterie_feedback.api.reading import show_comment, show_suggestion
from coterie_feedback.domain import submission, suggestion
from coterie_feedback.domain.campaigns import joined
from coterie_feedback.domain.quiet_hours import local_day, zone_of
from coterie_feedback.domain.suggestion import Status
from coterie_feedback.store.campaigns import read_campaign
from coterie_feedback.store.suggestions import add, lock_star, peek, save, was_caused
from coterie_feedback.store.voices import add_comment, comment_stands, count_submission

__all__ = ["NothingMore", "api"]

api = Api(tags=["feedback"])


Words = Annotated[str, Field(min_length=1, max_length=submission.TEXT_LIMIT)]


class NothingMore(CommandBody):
    """A command that says it all by its path."""


class SubmitFeedback(CommandBody):
    community_id: UUID
    text: Words
    objective_id: UUID | None = Field(default=None, description="taken by itself if only one")
    outside: bool = Field(default=False, description="true: serves none of the objectives")
    campaign_id: UUID | None = None


class PostComment(CommandBody):
    text: Words


@api.command("POST", "/feedback", shows=show_suggestion, status=201)
async def submit(call: Call, body: SubmitFeedback) -> Done:
    """Suggest something; ten a day, in words that stay here."""
    cause = await call.within(body.community_id)
    feedback_id = call.new_id("feedback")
    if (known := await peek(call.uow, feedback_id)) is not None:
        return Done(feedback_id, known.version, known.sequence)
    caller = await caller_in(call, body.community_id, acting=True)
    member_id = acting_member(call, caller, "community")
    community = await known_community(call, body.community_id)
    submission.check_open(community.status)
    objective_id = await _objective(call, cause, body, member_id, community.objectives)
    day = local_day(cause.at, zone_of(caller.time_zone or "", community.time_zone))
    if not await count_submission(call.uow, body.community_id, member_id, day):
        raise submission.too_many()
    decision = suggestion.submit(
        cause,
        feedback_id=feedback_id,
        community_id=body.community_id,
        author_id=member_id,
        objective_id=objective_id,
        campaign_id=body.campaign_id,
    )
    await add(call.uow, decision, body.text)
    return Done(feedback_id, 1, 1)


@api.command("POST", "/feedback/{feedback_id}/comments", shows=show_comment, status=201)
async def post_comment(call: Call, feedback_id: UUID, body: PostComment) -> Done:
    """Say something about a suggestion; staff speak as the team."""
    cause, item = await cause_for(call, feedback_id)
    comment_id = call.new_id("comment")
    if await comment_stands(call.uow, comment_id):
        return Done(comment_id, 1, 1)
    caller = await caller_in(call, item.community_id, acting=True)
    author_id = None if caller.staff else acting_member(call, caller)
    if item.status is Status.WITHDRAWN:
        raise Refusal("taken-back", "This suggestion was taken back.")
    added = await add_comment(
        call.uow,
        comment_id=comment_id,
        feedback_id=feedback_id,
        community_id=item.community_id,
        author_id=author_id,
        words=body.text,
        at=cause.at,
    )
    if added:
        posted = CommentPosted(
            comment_id=comment_id,
            feedback_id=feedback_id,
            community_id=item.community_id,
            author_id=author_id,
        )
        call.uow.publish(cause, Draft(comment_id, posted, 1))
    return Done(comment_id, 1, 1)


@api.command("POST", "/feedback/{feedback_id}/withdraw", shows=show_suggestion)
async def withdraw(call: Call, feedback_id: UUID, body: NothingMore | None = None) -> Done:
    """Take an own suggestion back before it is accepted."""
    del body
    cause, known = await cause_for(call, feedback_id)
    if await was_caused(call.uow, feedback_id, cause.id):
        return Done(feedback_id, known.version, known.sequence)
    caller = await caller_in(call, known.community_id)
    if acting_member(call, caller) != known.author_id:
        raise Forbidden("not-the-author", "Only the author takes a suggestion back.")
    item, duplicates, root = await lock_star(call.uow, known.community_id, feedback_id)
    call.expect(item.version)
    decision = suggestion.withdraw(item, cause, duplicates, root)
    await save(call.uow, [decision])
    after = next(s for s in reversed(decision.suggestions) if s.feedback_id == feedback_id)
    return Done(feedback_id, after.version, after.sequence)


async def _objective(
    call: Call,
    cause: Cause,
    body: SubmitFeedback,
    member_id: UUID,
    objectives: Sequence[Objective],
) -> UUID | None:
    """The objective that a suggestion serves: its campaign's, or by the rules for members."""
    if body.campaign_id is None:
        return submission.objective_of(objectives, body.objective_id, outside=body.outside)
    campaign = await read_campaign(call.uow, body.campaign_id)
    if campaign is not None and campaign.community_id != body.community_id:
        campaign = None
    objective_id = joined(campaign, member_id, cause.at).objective_id
    if body.outside or body.objective_id not in (None, objective_id):
        raise Refusal("campaign-has-objective", "An answer to a campaign serves its objective.")
    return objective_id
