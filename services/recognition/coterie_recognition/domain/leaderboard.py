"""What of merit is shown to others: never a last place, never who is provisional or unrated.

In a circle with fewer than ten settled members there is no rank and no band at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from coterie_contracts.reward import Band

__all__ = ["Place", "bands", "leaders"]

SMALLEST_CIRCLE: Final = 10
MOST_SHOWN: Final = 10
SHOWN_SHARE: Final = 5  # the top fifth
_BOUNDS: Final = ((0.2, Band.TOP), (0.5, Band.UPPER), (0.8, Band.MIDDLE))


@dataclass(frozen=True, slots=True)
class Place:
    """A shown place; members with the same rounded merit share a `rank`."""

    rank: int
    member_id: UUID
    hundredths: int


def bands(settled: Mapping[UUID, int]) -> dict[UUID, Band]:
    """Each settled member's band by rounded merit (hundredths); empty in a small circle.

    The place is the middle of those with equal merit: equal members share a band.
    """
    n = len(settled)
    if n < SMALLEST_CIRCLE:
        return {}
    merits = list(settled.values())
    places = {
        merit: (sum(m > merit for m in merits) + (merits.count(merit) + 1) / 2) / n
        for merit in set(merits)
    }
    return {member: _band(places[merit]) for member, merit in settled.items()}


def leaders(settled: Iterable[tuple[UUID, int]], unrated: Collection[UUID] = ()) -> list[Place]:
    """The top ten or the top fifth, whichever is fewer; equals who do not all fit are left out.

    `unrated` members, whom outcomes alone settled, make the circle larger and have no place.
    """
    circle = sorted(settled, key=lambda entry: (-entry[1], entry[0]))
    if len(circle) < SMALLEST_CIRCLE:
        return []
    ordered = [entry for entry in circle if entry[0] not in unrated]
    most = min(MOST_SHOWN, len(ordered) // SHOWN_SHARE)
    merits = [merit for _, merit in ordered]
    shown = []
    for member, merit in ordered[:most]:
        rank = merits.index(merit) + 1
        if rank - 1 + merits.count(merit) <= most:
            shown.append(Place(rank, member, merit))
    return shown


def _band(place: float) -> Band:
    return next((band for bound, band in _BOUNDS if place <= bound), Band.STEADY)
