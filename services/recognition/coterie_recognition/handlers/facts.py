"""Facts of feedback into the sets that merit is made of.

Nothing is judged here: own ratings, ratings after a season's close and superseded ones are left
out when the set is read, so that the order of arrival cannot matter.
"""

from __future__ import annotations

from typing import Final

from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.store import UnitOfWork
from coterie_contracts.feedback import (
    ContributionAppreciated,
    ContributionRated,
    FeedbackImplemented,
    FeedbackReopened,
    FeedbackUnconfirmed,
    FeedbackVerified,
    RoundFacts,
)
from coterie_contracts.model import EventBody
from coterie_recognition.domain.outcomes import OutcomeKind
from coterie_recognition.store import facts

_KINDS: Final[dict[type[EventBody], OutcomeKind]] = {
    FeedbackImplemented: OutcomeKind.IMPLEMENTED,
    FeedbackVerified: OutcomeKind.VERIFIED,
    FeedbackReopened: OutcomeKind.REOPENED,
    FeedbackUnconfirmed: OutcomeKind.UNCONFIRMED,
}


@handles(ContributionRated, fold=Fold.EVERY)
async def record_ratings(events: Batch[ContributionRated], uow: UnitOfWork) -> None:
    """Add ratings to the set and have their seasons read again; three statements."""
    await facts.give_way(uow)
    await facts.add_ratings(uow, events)
    await facts.mark_dirty(uow, {(e.data.community_id, e.data.contributed_at) for e in events})


@handles(ContributionAppreciated, fold=Fold.EVERY)
async def record_appreciations(events: Batch[ContributionAppreciated], uow: UnitOfWork) -> None:
    """Add what staff appreciated; three statements."""
    await facts.give_way(uow)
    await facts.add_appreciations(uow, events)
    await facts.mark_dirty(uow, {(e.data.community_id, e.data.contributed_at) for e in events})


@handles(
    FeedbackImplemented, FeedbackVerified, FeedbackReopened, FeedbackUnconfirmed, fold=Fold.EVERY
)
async def record_outcomes(events: Batch[FeedbackImplemented | RoundFacts], uow: UnitOfWork) -> None:
    """Add what became of suggestions; two statements."""
    await facts.add_outcomes(uow, [(_KINDS[type(e.data)], e) for e in events])
