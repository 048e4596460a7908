"""What an improvement earns: badges and rewards, decided event by event in the order of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.decisions import Cause
from coterie_chassis.store import UnitOfWork
from coterie_contracts.envelope import Event
from coterie_contracts.feedback import (
    FeedbackFacts,
    FeedbackImplemented,
    FeedbackReopened,
    FeedbackSubmitted,
    FeedbackUnconfirmed,
    FeedbackVerified,
    FeedbackWithdrawn,
    LookAgainAnswered,
    RoundFacts,
    VerifiedBy,
)
from coterie_contracts.model import EventBody
from coterie_contracts.reward import Badge
from coterie_recognition.domain.badges import Evidence
from coterie_recognition.domain.catalogue import Beneficiary, When
from coterie_recognition.domain.rewards import Trigger
from coterie_recognition.store import badges, desks, facts, triggers


@handles(
    FeedbackSubmitted,
    FeedbackWithdrawn,
    FeedbackImplemented,
    FeedbackReopened,
    LookAgainAnswered,
    fold=Fold.EVERY,
)
async def award_badges(events: Batch[FeedbackFacts | LookAgainAnswered], uow: UnitOfWork) -> None:
    """Award and revoke the badges that stand on these facts; five statements."""
    weighed = [(event, list(evidence_of(event))) for event in events]
    members = {fact.member_id for _, found in weighed for fact in found}
    erased = await facts.erased_among(uow, members)
    cabinet = await badges.open_cabinet(uow, members - erased)
    added = []
    for event, found in weighed:
        mine = [fact for fact in found if fact.member_id not in erased]
        cabinet.weigh(mine, Cause.of(event))
        added += mine
    await badges.save_cabinet(uow, cabinet, added)


@handles(
    FeedbackImplemented,
    FeedbackVerified,
    FeedbackUnconfirmed,
    LookAgainAnswered,
    fold=Fold.EVERY,
)
async def propose_rewards(
    events: Batch[FeedbackImplemented | RoundFacts | LookAgainAnswered], uow: UnitOfWork
) -> None:
    """Propose, approve and issue what the policies in force give for these events."""
    await propose_for(uow, [trigger_of(event) for event in events if not _objected(event.data)])


def _objected(data: EventBody) -> bool:
    """Whether somebody looked again and it was not there: silence costs nobody, a no does."""
    return isinstance(data, FeedbackUnconfirmed) and data.by in {
        VerifiedBy.AUTHOR,
        VerifiedBy.SUPPORTERS,
    }


async def propose_for(uow: UnitOfWork, found: Iterable[Trigger]) -> None:
    """Decide triggers in their order; those about somebody not heard of yet are kept."""
    ordered = list(found)
    if not ordered:
        return
    opened = await desks.open_desks(
        uow,
        {trigger.community_id for trigger in ordered},
        members={m for t in ordered for ids in t.beneficiaries.values() for m in ids},
        causes={trigger.feedback_id for trigger in ordered},
    )
    unheard: list[tuple[Trigger, UUID]] = []
    for trigger in ordered:
        desk = opened.get(trigger.community_id)
        if desk is None:
            unheard.append((trigger, trigger.community_id))
        else:
            desk.propose(trigger)
    await desks.save_desks(uow, opened)
    unheard += [pair for desk in opened.values() for pair in desk.unheard]
    await triggers.keep_waiting(uow, {(t.cause.id, w): (t, w) for t, w in unheard}.values())


def trigger_of(event: Event[FeedbackImplemented | RoundFacts | LookAgainAnswered]) -> Trigger:
    """The event as policies see it."""
    data = event.data
    if isinstance(data, LookAgainAnswered):
        return Trigger(
            When.ANSWERED,
            data.community_id,
            data.feedback_id,
            None,
            {Beneficiary.LOOKAGAIN_RESPONDER: (data.member_id,)},
            Cause.of(event),
        )
    implemented = isinstance(data, FeedbackImplemented)
    duplicates = tuple(m for m in data.duplicate_author_ids if m != data.author_id)
    return Trigger(
        When.IMPLEMENTED if implemented else When.VERIFIED,
        data.community_id,
        data.feedback_id,
        data.objective_id,
        {Beneficiary.AUTHOR: (data.author_id,), Beneficiary.DUPLICATE_AUTHORS: duplicates},
        Cause.of(event),
        unconfirmed=isinstance(data, FeedbackUnconfirmed),
    )


def evidence_of(event: Event[EventBody]) -> Iterable[Evidence]:
    """What an event says for or against badges."""
    data, sequence = event.data, event.sequence or 0
    if isinstance(data, LookAgainAnswered):
        yield Evidence(
            data.member_id,
            Badge.HELPFUL_TESTER,
            data.implementation_id,
            data.community_id,
            sequence,
        )
    elif isinstance(data, FeedbackSubmitted | FeedbackWithdrawn):
        stands = isinstance(data, FeedbackSubmitted)
        yield Evidence(
            data.author_id,
            Badge.FIRST_FEEDBACK,
            data.feedback_id,
            data.community_id,
            sequence,
            stands,
        )
    elif isinstance(data, FeedbackImplemented | FeedbackReopened):
        stands = isinstance(data, FeedbackImplemented)
        for member in facts.authors_of(data):
            yield Evidence(
                member,
                Badge.FIRST_IMPLEMENTED,
                data.feedback_id,
                data.community_id,
                sequence,
                stands,
            )
