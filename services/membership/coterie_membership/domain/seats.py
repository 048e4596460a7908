"""Seats: never one more than the capacity, whoever asks at the same time.

Held are active and suspended members, open seat offers and reserving invitations. `seat_limit` is
what the database checks; it falls towards a lowered capacity as seats free, so nobody is evicted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from coterie_chassis.decisions import Refusal

__all__ = ["Seats"]


@dataclass(frozen=True, slots=True)
class Seats:
    """A community's seats; `sequence` counts every change without gaps."""

    capacity: int
    limit: int
    held: int
    sequence: int

    @property
    def free(self) -> int:
        return max(0, self.capacity - self.held)

    def take(self) -> Seats:
        """One more seat held. Raises `Refusal` when there is none free."""
        if not self.free:
            raise Refusal("no-free-seat", f"All {self.capacity} seats are taken.")
        return replace(self, held=self.held + 1, sequence=self.sequence + 1)

    def keep(self) -> Seats:
        """A change that moves no seat but belongs in the seat log."""
        return replace(self, sequence=self.sequence + 1)

    def release(self) -> Seats:
        """One seat less held; a limit above the capacity falls with it."""
        held = self.held - 1
        return Seats(self.capacity, max(self.capacity, held), held, self.sequence + 1)

    def resize(self, capacity: int) -> Seats:
        """Another capacity; nobody loses a seat."""
        return Seats(capacity, max(capacity, self.held), self.held, self.sequence + 1)

    def facts(self) -> dict[str, int]:
        """The fields that every seat event carries."""
        return {
            "seat_sequence": self.sequence,
            "capacity": self.capacity,
            "seats_held": self.held,
        }
