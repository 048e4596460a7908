"""What became of a suggestion, counted for those who made it.

The state is a function of the set of facts, whatever the order in which they came. A season sees
only what happened before its end, so a closed season never changes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

__all__ = ["Outcome", "OutcomeKind", "counted"]


class OutcomeKind(StrEnum):
    IMPLEMENTED = "implemented"
    VERIFIED = "verified"
    REOPENED = "reopened"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fact about a round; `sequence` is the feedback's, so it orders facts of one item.

    `members` are the author and the authors of duplicates at that time.
    """

    feedback_id: UUID
    round: int
    kind: OutcomeKind
    sequence: int
    at: datetime
    members: tuple[UUID, ...]


def counted(facts: Iterable[Outcome], start: datetime, end: datetime) -> Counter[UUID]:
    """Each member's implementations standing plus verifications that happened in [start, end).

    Only an item's last round before `end` counts; if it was reopened it gives nothing, and
    unconfirmed leaves the implementation standing.
    """
    rounds: dict[UUID, list[Outcome]] = defaultdict(list)
    for fact in facts:
        if fact.at < end:
            rounds[fact.feedback_id].append(fact)
    counts: Counter[UUID] = Counter()
    for known in rounds.values():
        for fact in _standing(known):
            if fact.at >= start:
                counts.update(set(fact.members))
    return counts


def _standing(facts: list[Outcome]) -> list[Outcome]:
    last = max(fact.round for fact in facts)
    of_round = [fact for fact in facts if fact.round == last]
    settled = [fact for fact in of_round if fact.kind is not OutcomeKind.IMPLEMENTED]
    verdict = max(settled, key=lambda fact: (fact.sequence, fact.at), default=None)
    if verdict is not None and verdict.kind is OutcomeKind.REOPENED:
        return []
    standing = [fact for fact in of_round if fact.kind is OutcomeKind.IMPLEMENTED][:1]
    if verdict is not None and verdict.kind is OutcomeKind.VERIFIED:
        standing.append(verdict)
    return standing
