"""Who is a member at an instant, as the platform answered, and who stands in for a vote.

The roster is built from admissions and departures with the platform's own times, never from
when an answer arrived. So a second import, which finds everything done, sees the same circle at
every instant and picks the same stand-ins.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b


@dataclass(slots=True)
class Roster:
    """Members by person key. Somebody who leaves is no member from that instant on."""

    joined: dict[str, datetime] = field(default_factory=dict)
    left: dict[str, datetime] = field(default_factory=dict)
    raters: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def admit(self, person: str, at: datetime) -> None:
        self.joined[person] = at

    def depart(self, person: str, at: datetime) -> None:
        self.left[person] = at

    def is_member(self, person: str, at: datetime) -> bool:
        joined, left = self.joined.get(person), self.left.get(person)
        return joined is not None and joined <= at and (left is None or at < left)

    def members(self, at: datetime) -> list[str]:
        return [person for person in self.joined if self.is_member(person, at)]

    def stand_in(self, vote: str, target: str, author: str | None, at: datetime) -> str | None:
        """A member at that instant who neither wrote nor rated `target`; None if there is none.

        The choice depends on the vote's key and the circle alone (rendezvous hashing), and is
        remembered, so that nobody rates one contribution twice.
        """
        taken = self.raters[target]
        free = (p for p in self.members(at) if p != author and p not in taken)
        chosen = min(free, key=lambda person: _weight(vote, person), default=None)
        if chosen is not None:
            taken.add(chosen)
        return chosen

    def most_at_once(self) -> int:
        """The largest number of members at any instant."""
        changes = [(at, 1) for at in self.joined.values()]
        changes += [(at, -1) for person, at in self.left.items() if person in self.joined]
        held = most = 0
        for _, change in sorted(changes):
            held += change
            most = max(most, held)
        return most


def _weight(vote: str, person: str) -> bytes:
    return blake2b(f"{vote}\n{person}".encode(), digest_size=16).digest()
