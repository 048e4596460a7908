"""Two things measured in alternation in one run; a ratio of medians is all that is claimed.

A row of the table is one function that `row` registers under its own name, with its bound. It is
given a `Rig`, and answers the pairs of figures that its rounds gave.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.bench.rig import Rig

__all__ = ["ROWS", "Measured", "Result", "Row", "Stopwatch", "alternate", "row"]

Figure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Ours and the reference's figure of each round; `also` are further medians to be told."""

    pairs: Sequence[tuple[float, float]]
    also: dict[str, float] = field(default_factory=dict)


Measure = Callable[["Rig"], Awaitable[Measured]]


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
    at_least: float | None
    at_most: float | None
    also: dict[str, float]

    @property
    def holds(self) -> bool:
        """Whether the ratio is within its bound."""
        return (self.at_least is None or self.ratio >= self.at_least) and (
            self.at_most is None or self.ratio <= self.at_most
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table, and the bound of its ratio if it has one."""

    name: str
    what: str
    unit: str
    measure: Measure
    at_least: float | None
    at_most: float | None

    def result(self, measured: Measured) -> Result:
        """The medians of what was measured."""
        ours, reference = (median(figures) for figures in zip(*measured.pairs, strict=True))
        ratios = [mine / theirs for mine, theirs in measured.pairs]
        return Result(
            self.name,
            round(ours / reference, 3),
            round(ours, 1),
            round(reference, 1),
            self.unit,
            (round(min(ratios), 3), round(max(ratios), 3)),
            len(ratios),
            self.at_least,
            self.at_most,
            measured.also,
        )


ROWS: Final[dict[str, Row]] = {}


def row(
    unit: str, *, at_least: float | None = None, at_most: float | None = None
) -> Callable[[Measure], Measure]:
    """Register a function as a row; its docstring says what is measured over what."""

    def register(measure: Measure) -> Measure:
        name, what = measure.__name__, (measure.__doc__ or "").strip()
        ROWS[name] = Row(name, what, unit, measure, at_least, at_most)
        return measure

    return register


async def alternate(rig: Rig, ours: Figure, reference: Figure) -> Measured:
    """Run both in turn, `rig.rounds` times after one round that is dropped."""
    pairs = []
    for number in range(rig.rounds + 1):
        rig.say(f"round {number} of {rig.rounds}" if number else "warming up")
        pairs.append((await ours(), await reference()))
    return Measured(pairs[1:])


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = perf_counter()

    @property
    def seconds(self) -> float:
        return perf_counter() - self._begun
