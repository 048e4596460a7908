"""Two things measured in alternation in one run; a ratio of medians is all that is claimed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

__all__ = ["Result", "compare"]

Round = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Result:
    """`ratio` is ours over reference; `spread` the extremes of the rounds' own ratios."""

    name: str
    ratio: float
    ours: float
    reference: float
    unit: str
    spread: tuple[float, float]
    rounds: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def compare(name: str, ours: Round, reference: Round, *, unit: str, rounds: int) -> Result:
    """Alternate `ours` and `reference`, each returning its figure; one warm-up round is dropped."""
    await ours()
    await reference()
    pairs = [(await ours(), await reference()) for _ in range(rounds)]
    mine, theirs = median(a for a, _ in pairs), median(b for _, b in pairs)
    ratios = [a / b for a, b in pairs]
    return Result(
        name,
        round(mine / theirs, 3),
        round(mine, 1),
        round(theirs, 1),
        unit,
        (round(min(ratios), 3), round(max(ratios), 3)),
        rounds,
    )


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = perf_counter()

    @property
    def seconds(self) -> float:
        return perf_counter() - self._begun
