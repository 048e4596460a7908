"""Looking again: the answer of a member who was asked."""

from __future__ import annotations

from uuid import UUID

from coterie_chassis.auth import Role
from coterie_chassis.decisions import NotFound
from coterie_chassis.http import Api, Call, CommandBody, Done
from coterie_contracts.member import MemberStatus
from coterie_feedback.api.views import LookAgainView
from coterie_feedback.domain import rounds
from coterie_feedback.domain.look_agains import LookState
from coterie_feedback.domain.voices import in_good_standing
from coterie_feedback.store import reading
from coterie_feedback.store.suggestions import rounds_of, save

__all__ = ["api"]

api = Api(tags=["look-agains"])
LOOK_AGAIN = "look-again"


class AnswerLookAgain(CommandBody):
    """Either answer earns the same thanks."""

    satisfied: bool


@api.query("/look-agains/{look_again_id}")
async def show_look_again(call: Call, look_again_id: UUID) -> LookAgainView:
    """One look-again, for the member who was asked."""
    row = await reading.look_again(call.uow, look_again_id, call.principal.person_id)
    if row is None:
        raise NotFound(LOOK_AGAIN)
    return LookAgainView.model_validate(row)


@api.command("POST", "/look-agains/{look_again_id}/answer", shows=show_look_again)
async def answer(call: Call, look_again_id: UUID, body: AnswerLookAgain) -> Done:
    """Say whether the change does what was wanted; late answers count for a while."""
    row = await reading.look_again(call.uow, look_again_id, call.principal.person_id)
    if row is None:
        raise NotFound(LOOK_AGAIN)
    cause = await call.within(row.community_id)
    (round_,) = await rounds_of(call.uow, [look_again_id])
    asked = round_.of(look_again_id)
    wanted = LookState.SATISFIED if body.satisfied else LookState.UNSATISFIED
    if asked.state is wanted:
        return Done(look_again_id, sequence=asked.sequence)
    in_good_standing(MemberStatus(row.my_standing), LOOK_AGAIN)
    call.require(Role.MEMBER)
    after, decision = rounds.answer(round_, look_again_id, cause, satisfied=body.satisfied)
    await save(call.uow, [decision])
    return Done(look_again_id, sequence=after.of(look_again_id).sequence)
