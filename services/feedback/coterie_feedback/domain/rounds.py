"""A round: those who wanted a change look again, and the author of the root decides.

A round settles when the author of the root answers, or when nobody is left to wait for; it never
waits for ever, since every open look-again has a deadline and a member who goes is not askable
any more. A late answer counts until the next round or day 90: it can still turn a silence into a
verdict, and the author's word stands above the supporters'. Other members' words never undo a
verification.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft, Refusal
from coterie_contracts.feedback import (
    AskedAs,
    FeedbackImplemented,
    FeedbackReopened,
    FeedbackUnconfirmed,
    FeedbackVerified,
    LookAgainAnswered,
    RoundFacts,
    VerifiedBy,
)
from coterie_feedback.domain.decision import Decision, Deed, Hand
from coterie_feedback.domain.look_agains import (
    ANSWERED,
    Implementation,
    Invitee,
    LookAgain,
    LookState,
    What,
    asked,
    closed,
    invitation,
)
from coterie_feedback.domain.quiet_hours import QuietHours
from coterie_feedback.domain.suggestion import Status, Suggestion, check, labelled, moved

__all__ = [
    "ROUNDS",
    "Round",
    "answer",
    "implement",
    "lapse",
    "mark_gone",
    "reopen",
    "verdict",
]

ROUNDS: Final = 3
SUPPORTERS_NEEDED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    suggestion: Suggestion
    implementation: Implementation
    look_agains: tuple[LookAgain, ...]

    @property
    def current(self) -> bool:
        """Whether no later round has begun."""
        return self.suggestion.implementation_id == self.implementation.implementation_id

    def of(self, look_again_id: UUID) -> LookAgain:
        return next(one for one in self.look_agains if one.look_again_id == look_again_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Status
    by: VerifiedBy
    not_askable: bool = False


def implement(
    suggestion: Suggestion,
    cause: Cause,
    what: What,
    *,
    implementation_id: UUID,
    duplicate_author_ids: Sequence[UUID],
    invitees: Sequence[Invitee],
    quiet: QuietHours,
    still_open: Sequence[LookAgain] = (),
) -> Decision:
    """It was built: a new round begins, and what was open of earlier rounds lapses.

    Where nobody can be asked, the round settles at once.
    """
    check(suggestion, Status.LOOKING_AGAIN, Deed.IMPLEMENTED)
    implementation = Implementation(
        implementation_id=implementation_id,
        feedback_id=suggestion.feedback_id,
        community_id=suggestion.community_id,
        round=suggestion.round + 1,
        label=labelled(suggestion),
        what_changed=what.what_changed,
        see_it_at=what.see_it_at,
        release=what.release,
        implemented_at=cause.at,
        duplicate_author_ids=tuple(duplicate_author_ids),
    )
    decision = _begun(suggestion, cause, implementation)
    for old in still_open:
        decision = decision.then(closed(old, cause, LookState.LAPSED))
    questions = [asked(implementation, invitee, quiet) for invitee in invitees]
    decision = decision.then(
        Decision(
            cause=cause,
            look_agains=tuple(questions),
            drafts=tuple(invitation(one, implementation) for one in questions),
        )
    )
    begun = Round(
        suggestion=decision.suggestions[-1],
        implementation=implementation,
        look_agains=tuple(questions),
    )
    _, settled = _settled(begun, cause)
    return decision.then(settled)


def answer(
    round_: Round, look_again_id: UUID, cause: Cause, *, satisfied: bool
) -> tuple[Round, Decision]:
    """A member looked again; in time, or late as long as that counts."""
    question = round_.of(look_again_id)
    if question.state in ANSWERED:
        raise Refusal("already-answered", "You have looked again already; thank you.")
    if not round_.current or cause.at > question.late_until:
        raise Refusal(
            "too-late", "This question is closed: there is a newer one, or it is long ago."
        )
    answered = replace(
        question,
        state=LookState.SATISFIED if satisfied else LookState.UNSATISFIED,
        answered_at=cause.at,
        sequence=question.sequence + 1,
    )
    late = question.state is not LookState.REQUESTED or cause.at > question.due_at
    body = LookAgainAnswered(**answered.facts, satisfied=satisfied, late=late)
    decision = Decision(
        cause=cause,
        look_agains=(answered,),
        drafts=(Draft(answered.look_again_id, body, answered.sequence),),
    )
    return _continued(round_, answered, decision)


def lapse(round_: Round, look_again_id: UUID, cause: Cause) -> tuple[Round, Decision]:
    """The deadline of a look-again came. Nothing happens if it is open no more."""
    return _close(round_, round_.of(look_again_id), cause, LookState.LAPSED)


def mark_gone(
    round_: Round, member_id: UUID, cause: Cause, *, sequence: int | None
) -> tuple[Round, Decision]:
    """A member of the round left, was removed or erased: they are not waited for.

    Whose deadline had come before is left to it, and who had returned before they were asked is
    still asked, so that it does not matter which is read first. `sequence` is that of the
    departure among the member's changes of standing, absent where nobody returns from it.
    """
    mine = [one for one in round_.look_agains if one.member_id == member_id]
    if not mine or cause.at >= mine[0].due_at:
        return round_, Decision(cause=cause)
    if sequence is not None and sequence <= mine[0].member_sequence:
        return round_, Decision(cause=cause)
    return _close(round_, mine[0], cause, LookState.NOT_ASKABLE)


def reopen(suggestion: Suggestion, implementation: Implementation | None, cause: Cause) -> Decision:
    """A manager reopens what was not confirmed, after three rounds or sooner."""
    if suggestion.status is not Status.UNCONFIRMED or implementation is None:
        raise Refusal("wrong-state", "Only an unconfirmed suggestion can be reopened by a manager.")
    round_ = Round(suggestion=suggestion, implementation=implementation, look_agains=())
    return _judged(round_, cause, Verdict(Status.REOPENED, VerifiedBy.MANAGER))[1]


def verdict(look_agains: Iterable[LookAgain]) -> Verdict | None:
    """What the answers so far come to; None while the round still waits for somebody."""
    everyone = list(look_agains)
    for one in everyone:
        if one.asked_as is AskedAs.AUTHOR and one.state in ANSWERED:
            return _by_author(one)
    if any(one.state is LookState.REQUESTED for one in everyone):
        return None
    voices = [
        one.state is LookState.SATISFIED
        for one in everyone
        if one.asked_as is AskedAs.SUPPORTER and one.state in ANSWERED
    ]
    if len(voices) >= SUPPORTERS_NEEDED:
        most_satisfied = sum(voices) * 2 > len(voices)
        return Verdict(
            Status.VERIFIED if most_satisfied else Status.UNCONFIRMED, VerifiedBy.SUPPORTERS
        )
    nobody = all(one.state is LookState.NOT_ASKABLE for one in everyone)
    return Verdict(Status.UNCONFIRMED, VerifiedBy.DEADLINE, not_askable=nobody)


def _by_author(one: LookAgain) -> Verdict:
    if one.state is LookState.SATISFIED:
        return Verdict(Status.VERIFIED, VerifiedBy.AUTHOR)
    if one.round < ROUNDS:
        return Verdict(Status.REOPENED, VerifiedBy.AUTHOR)
    return Verdict(Status.UNCONFIRMED, VerifiedBy.AUTHOR)


def _settled(round_: Round, cause: Cause) -> tuple[Round, Decision]:
    found = verdict(round_.look_agains)
    if found is None or not round_.current or not _turns(round_, found):
        return round_, Decision(cause=cause)
    return _judged(round_, cause, found)


def _turns(round_: Round, found: Verdict) -> bool:
    """Whether a verdict changes what the round has come to so far."""
    match round_.suggestion.status:
        case Status.LOOKING_AGAIN:
            return True
        case Status.UNCONFIRMED:
            return found.outcome is not Status.UNCONFIRMED
        case Status.VERIFIED:
            return found.outcome is not Status.VERIFIED and found.by is VerifiedBy.AUTHOR
        case _:
            return False


_HANDS: Final = {
    VerifiedBy.AUTHOR: Hand.AUTHOR,
    VerifiedBy.SUPPORTERS: Hand.SUPPORTERS,
    VerifiedBy.MANAGER: Hand.TEAM,
    VerifiedBy.DEADLINE: Hand.DEADLINE,
}


def _judged(round_: Round, cause: Cause, found: Verdict) -> tuple[Round, Decision]:
    implementation = replace(
        round_.implementation,
        outcome=found.outcome,
        outcome_by=found.by,
        settled_at=cause.at,
    )
    facts = {
        **round_.suggestion.facts,
        "implementation_id": implementation.implementation_id,
        "round": implementation.round,
        "duplicate_author_ids": implementation.duplicate_author_ids,
        "implemented_at": implementation.implemented_at,
        "by": found.by,
    }
    body: RoundFacts
    match found.outcome:
        case Status.VERIFIED:
            body = FeedbackVerified(**facts)
        case Status.REOPENED:
            body = FeedbackReopened(**facts)
        case _:
            body = FeedbackUnconfirmed(**facts, not_askable=found.not_askable)
    deed = Deed(found.outcome.value)
    decision = moved(round_.suggestion, cause, found.outcome, deed, body, by=_HANDS[found.by]).then(
        Decision(cause=cause, implementations=(implementation,))
    )
    after = replace(round_, suggestion=decision.suggestions[-1], implementation=implementation)
    return after, decision


def _begun(suggestion: Suggestion, cause: Cause, implementation: Implementation) -> Decision:
    body_facts = {
        **suggestion.facts,
        "implementation_id": implementation.implementation_id,
        "round": implementation.round,
        "duplicate_author_ids": implementation.duplicate_author_ids,
        "label": implementation.label,
        "what_changed": implementation.what_changed,
        "see_it_at": implementation.see_it_at,
        "release": implementation.release,
    }
    return moved(
        suggestion,
        cause,
        Status.LOOKING_AGAIN,
        Deed.IMPLEMENTED,
        FeedbackImplemented(**body_facts),
        note=implementation.what_changed,
        round=implementation.round,
        implementation_id=implementation.implementation_id,
    ).then(Decision(cause=cause, implementations=(implementation,)))


def _close(round_: Round, one: LookAgain, cause: Cause, state: LookState) -> tuple[Round, Decision]:
    if one.state is not LookState.REQUESTED:
        return round_, Decision(cause=cause)
    decision = closed(one, cause, state)
    return _continued(round_, decision.look_agains[-1], decision)


def _continued(round_: Round, one: LookAgain, decision: Decision) -> tuple[Round, Decision]:
    look_agains = tuple(
        one if known.look_again_id == one.look_again_id else known for known in round_.look_agains
    )
    after, settled = _settled(replace(round_, look_agains=look_agains), decision.cause)
    return after, decision.then(settled)
