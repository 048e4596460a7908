"""Merit: quality and not only quantity, and a voting ring cannot buy it.

The input is a set, and every sum is over integers or exactly rounded (`math.fsum`), so any order
and any batching of the same facts gives the same bits. Merit damps; it does not accuse.

Lineage of the formula: pairwise coordination discount, fairness and goodness of REV2, BLUP
shrinkage, EigenTrust, Wilson.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import fsum
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from coterie_contracts.feedback import ContributionKind

__all__ = ["ALGORITHM", "TEAM", "Rating", "Standing", "Voiced", "fold", "nothing_said"]

ALGORITHM: Final = "damped-voices/1"
TEAM: Final = UUID(int=0)
"""Who rates where staff marked a contribution as appreciated: y = 1, and no habit."""

AVERAGE: Final = 0.5
CIRCLE_PRIOR: Final = 4
OUTSIDE_PRIOR: Final = 4  # n0
HABIT_PRIOR: Final = 10  # L
FAVOUR_FREE: Final = 0.25  # F
RETURN_HALF: Final = 0.25  # M
VOICES_HALF: Final = 3.0  # h
QUALITY_PRIOR: Final = 0.3  # a0
OUTCOME_STEP: Final = 0.75
PROVISIONAL_WEIGHT: Final = 0.5
PROVISIONAL_RATERS: Final = 3
_PRAISED: Final = 500_000
_MUTUAL: Final = 2
_UNIT: Final = 1_000_000

Pair: TypeAlias = tuple[int, int]


class Rating(NamedTuple):
    """The latest rating of a contribution by a rater; `value` in [0, 1], kept to a millionth."""

    contribution_id: UUID
    rater_id: UUID
    author_id: UUID
    value: float
    kind: ContributionKind = ContributionKind.FEEDBACK


@dataclass(frozen=True, slots=True)
class Voiced:
    """What was said about one contribution: `voices` after damping (W), and what they said.

    `opinion` is the weighted mean of the ratings against the circle and each rater's habit, in
    [-1, 1]; `weight` is v in [0, 1).
    """

    contribution_id: UUID
    kind: ContributionKind
    voices: float
    opinion: float
    weight: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A member's merit in a season. `hundredths` is merit rounded to 0.01, times 100."""

    member_id: UUID
    merit: float
    quality: float
    outcomes: int
    raters: int
    provisional: bool
    contributions: tuple[Voiced, ...]

    @property
    def hundredths(self) -> int:
        return round(self.merit * 100)


class _Said(NamedTuple):
    """A rating by numbers: of contribution, rater and author in the order of their ids."""

    contribution: int
    rater: int
    author: int
    y: int


def fold(
    ratings: Iterable[Rating], outcomes: Mapping[UUID, int], members: int
) -> dict[UUID, Standing]:
    """The standing of everyone who was rated or has an outcome, by member id.

    `ratings` holds at most one per (contribution, rater), in any order; own ratings do not count.
    `outcomes` is each member's implementations standing plus verifications. `members` is how many
    the circle has.
    """
    others = [r for r in ratings if r.rater_id != r.author_id]
    people = sorted({r.rater_id for r in others} | {r.author_id for r in others})
    pieces = {r.contribution_id: r.kind for r in others}
    named = sorted(pieces)
    person = {id_: number for number, id_ in enumerate(people)}
    piece = {id_: number for number, id_ in enumerate(named)}
    said = sorted(
        _Said(piece[r.contribution_id], person[r.rater_id], person[r.author_id], _whole(r.value))
        for r in others
    )
    circle = (sum(s.y for s in said) / _UNIT + CIRCLE_PRIOR * AVERAGE) / (len(said) + CIRCLE_PRIOR)
    habits = _habits(said, circle) | {person.get(TEAM, -1): 0.0}
    damping = _damping(_favours(said))
    rated: dict[Pair, int] = defaultdict(int)
    for s in said:
        rated[s.rater, s.author] += 1
    heard: dict[UUID, list[Voiced]] = defaultdict(list)
    for number, author, voices, opinion in _opinions(said, circle, habits, damping, rated):
        id_ = named[number]
        weight = voices / (voices + VOICES_HALF)
        heard[people[author]].append(Voiced(id_, pieces[id_], voices, opinion, weight))
    raters = Counter(people[author] for _, author in rated)
    return {
        member: _standing(
            member, tuple(heard[member]), outcomes.get(member, 0), raters[member], members
        )
        for member in sorted(raters.keys() | {m for m, n in outcomes.items() if n > 0})
    }


def _whole(value: float) -> int:
    return round(value * _UNIT)


def nothing_said(member_id: UUID) -> Standing:
    """The standing of somebody about whom nothing stands any more: this circle's average."""
    return _standing(member_id, (), 0, 0, PROVISIONAL_RATERS + 1)


def _habits(said: list[_Said], circle: float) -> dict[int, float]:
    """Step 2: who praises everything says little."""
    total: dict[int, int] = defaultdict(int)
    count: dict[int, int] = defaultdict(int)
    for s in said:
        total[s.rater] += s.y
        count[s.rater] += 1
    return {r: (total[r] / _UNIT - n * circle) / (n + HABIT_PRIOR) for r, n in count.items()}


def _favours(said: list[_Said]) -> dict[Pair, float]:
    """Step 3: e_ra > 0, how far r rates a above what others outside of the pair's circle say."""
    praised: dict[Pair, int] = defaultdict(int)
    for s in said:
        if s.y > _PRAISED:
            praised[s.rater, s.author] += 1
    mutual = {
        (r, a)
        for (r, a), n in praised.items()
        if n >= _MUTUAL and praised.get((a, r), 0) >= _MUTUAL
    }
    total: dict[int, int] = defaultdict(int)
    count: dict[int, int] = defaultdict(int)
    for s in said:
        if (s.rater, s.author) not in mutual:
            total[s.contribution] += s.y
            count[s.contribution] += 1
    lean: dict[Pair, list[float]] = defaultdict(list)
    for s in said:
        pair = (s.rater, s.author)
        outside, k = total[s.contribution], count[s.contribution]
        if pair not in mutual:
            outside, k = outside - s.y, k - 1
        opinion = (outside / _UNIT + OUTSIDE_PRIOR * AVERAGE) / (k + OUTSIDE_PRIOR)
        lean[pair].append(s.y / _UNIT - opinion)
    favours = {pair: fsum(leans) - FAVOUR_FREE for pair, leans in lean.items()}
    return {pair: favour for pair, favour in favours.items() if favour > 0}


def _damping(favours: Mapping[Pair, float]) -> dict[Pair, float]:
    """Step 4: rho below 1 where praise comes back through two or three hands."""
    given: dict[int, dict[int, float]] = defaultdict(dict)
    for (giver, receiver), favour in favours.items():
        given[giver][receiver] = favour
    damping = {}
    for (rater, author), favour in favours.items():
        returned = given[author].get(rater, 0.0) if author in given else 0.0
        if author in given:
            for through, passed in given[author].items():
                if (back := favours.get((through, rater))) is not None:
                    returned = max(returned, min(passed, back))
        if returned > 0:
            damping[rater, author] = RETURN_HALF / (RETURN_HALF + min(favour, returned))
    return damping


def _opinions(
    said: list[_Said],
    circle: float,
    habits: Mapping[int, float],
    damping: Mapping[Pair, float],
    rated: Mapping[Pair, int],
) -> Iterator[tuple[int, int, float, float]]:
    """Steps 5 and 6: contribution, author, W and mean z; one person has one voice about you."""
    for contribution, ratings in groupby(said, key=attrgetter("contribution")):
        weights, products = [], []
        author = -1
        for s in ratings:
            author = s.author
            weight = damping.get((s.rater, author), 1.0) / rated[s.rater, author]
            weights.append(weight)
            products.append(weight * (s.y / _UNIT - circle - habits[s.rater]))
        voices = fsum(weights)
        yield contribution, author, voices, fsum(products) / voices


def _standing(
    member: UUID, contributions: tuple[Voiced, ...], outcomes: int, raters: int, members: int
) -> Standing:
    """Steps 7 and 8; provisional until enough was said or something was built."""
    weight = fsum(c.weight for c in contributions)
    lean = fsum(c.weight * c.opinion for c in contributions)
    quality = AVERAGE + lean / (2 * (QUALITY_PRIOR + weight))
    heard = weight >= PROVISIONAL_WEIGHT and raters >= min(PROVISIONAL_RATERS, members - 1)
    return Standing(
        member_id=member,
        merit=1 - (1 - quality) * OUTCOME_STEP**outcomes,
        quality=quality,
        outcomes=outcomes,
        raters=raters,
        provisional=not (heard or outcomes > 0),
        contributions=contributions,
    )
