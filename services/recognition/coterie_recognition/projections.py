"""What recognition can make again from the log: facts as it heard them, and what it published.

Merit and badges were decided once, at a moment and from what had arrived by then, and others were
told: so they are read where they were told, in recognition's own events, and never decided anew.
Where facts were mended, their seasons are read again in the ordinary way.
"""

from __future__ import annotations

from typing import Final

from coterie_chassis import circle
from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.projections import Apart, Projection
from coterie_chassis.store import UnitOfWork
from coterie_contracts.member import MemberErased
from coterie_contracts.model import EventBody
from coterie_contracts.reward import BadgeAwarded, BadgeFacts, BadgeRevoked, MeritChanged
from coterie_recognition import handlers
from coterie_recognition.domain.badges import Cabinet
from coterie_recognition.handlers.improvements import evidence_of
from coterie_recognition.store import badges, facts, published, tables

__all__ = ["KEPT", "PROJECTIONS"]


@handles(MeritChanged, fold=Fold.LATEST)
async def keep_merit(events: Batch[MeritChanged], uow: UnitOfWork) -> None:
    """Keep what was last published of a member's season; two statements."""
    await published.keep_merit(uow, events)


@handles(BadgeAwarded, BadgeRevoked, fold=Fold.LATEST)
async def keep_badges(events: Batch[BadgeFacts], uow: UnitOfWork) -> None:
    """Keep which badges were last awarded or revoked; two statements."""
    await published.keep_badges(uow, events)


@handles(*handlers.award_badges.bodies, fold=Fold.EVERY)
async def keep_evidence(events: Batch[EventBody], uow: UnitOfWork) -> None:
    """Keep what badges stand on, and award none; two statements."""
    found = [fact for event in events for fact in evidence_of(event)]
    erased = await facts.erased_among(uow, {fact.member_id for fact in found})
    standing = [fact for fact in found if fact.member_id not in erased]
    await badges.save_cabinet(uow, Cabinet(), standing)


@handles(MemberErased, fold=Fold.EVERY)
async def forget(events: Batch[MemberErased], uow: UnitOfWork) -> None:
    """Drop what the erased said and earned."""
    await facts.forget(uow, {event.data.member_id for event in events})


_COUNTS: Final = Apart(
    ("outcomes", "raters"), "counts that no event carries; they follow when the season is read"
)
_FACTS: Final = (circle.forget_members, forget)

PROJECTIONS: Final = (
    *circle.PROJECTIONS,
    Projection(tables.rating, (*_FACTS, handlers.record_ratings)),
    Projection(tables.appreciation, (*_FACTS, handlers.record_appreciations)),
    Projection(tables.outcome, (*_FACTS, handlers.record_outcomes)),
    Projection(tables.badge_evidence, (*_FACTS, keep_evidence)),
    Projection(tables.badge, (*_FACTS, keep_badges)),
    Projection(tables.merit_standing, (*_FACTS, keep_merit), apart=(_COUNTS,)),
)
KEPT: Final = {
    "merit_dirty": "which seasons are still to be read again",
    "merit_season": "who was in the circle at the moment at which a season closed",
    "catalogue_item": "managers write it",
    "reward_policy": "managers write it",
    "reward_desk": "a lock, and when a community went live here",
    "budget": "managers fund it, and rewards are decided against it",
    "ledger_entry": "the record of those decisions, never written twice",
    "code_pool": "managers fill it",
    "gift_code": "sealed codes, which no event holds",
    "reward": "decided at a moment, by policies in force and by managers",
    "reveal": "who was shown a code",
    "waiting_trigger": "what waits for somebody not heard of yet",
}
"""The other tables, and why the log cannot tell them."""
