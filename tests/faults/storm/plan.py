"""What a seed stands for: which faults happen to whom, before which command and for how long.

Instants are numbers of commands, so a seed repeats itself however fast the machine is. Every kind
has its turn: consecutive seeds deal one shuffled deck after the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from coterie_local.platform import SERVICES

__all__ = ["COMMUNITIES", "KINDS", "LAST_COMMAND", "Fault", "Plan", "directed", "plan_of"]

COMMUNITIES: Final = 2
"""Communities that are played side by side."""
_A_STORM: Final = 5
_FIRST_COMMAND: Final = 60
LAST_COMMAND: Final = 440
"""Faults happen up to here; the play of all communities together has somewhat more commands."""
_CONSUMERS: Final = ("feedback", "recognition", "notifications")


@dataclass(frozen=True, slots=True)
class Kind:
    """`targets` are services; `lasts_s` between two bounds; `alone`: not beside another one.

    `within` are the commands before which it may happen.
    """

    targets: Sequence[str] = ("",)
    lasts_s: tuple[float, float] = (0.0, 0.0)
    alone: bool = False
    within: tuple[int, int] = (_FIRST_COMMAND, LAST_COMMAND)


_BRIEF: Final = (0.5, 2.5)
_OUTAGE: Final = (3.0, 6.0)
_LONG: Final = (8.0, 10.0)
"""Longer than the session of a consumer and of a relay's lock."""

KINDS: Final[dict[str, Kind]] = {
    "kill": Kind(SERVICES, _BRIEF),
    "term": Kind(SERVICES, _BRIEF),
    "stop": Kind(SERVICES, _LONG, alone=True),
    "crash:commit": Kind(_CONSUMERS),
    "crash:offsets": Kind(_CONSUMERS),
    "crash:committed": Kind(_CONSUMERS),
    "crash:relay": Kind(SERVICES),
    "crash:published": Kind(SERVICES),
    "kafka:kill": Kind(lasts_s=_BRIEF, alone=True),
    "kafka:stop": Kind(lasts_s=_LONG, alone=True),
    "kafka:cut": Kind(_CONSUMERS, _OUTAGE, alone=True),
    "kafka:black hole": Kind(_CONSUMERS, _LONG, alone=True),
    "kafka:one way": Kind(_CONSUMERS, _LONG, alone=True),
    "kafka:slow": Kind(SERVICES, _OUTAGE),
    "kafka:reset": Kind(SERVICES),
    "postgres:kill": Kind(lasts_s=_BRIEF, alone=True),
    "postgres:stop": Kind(lasts_s=_LONG, alone=True),
    "postgres:full": Kind(lasts_s=_OUTAGE, alone=True),
    "postgres:cut": Kind(SERVICES, _OUTAGE, alone=True),
    "postgres:black hole": Kind(SERVICES, _LONG, alone=True),
    "postgres:one way": Kind(SERVICES, _LONG, alone=True),
    "postgres:slow": Kind(SERVICES, _OUTAGE),
    "postgres:reset": Kind(SERVICES),
    "clocks": Kind(SERVICES),
    "duplicates": Kind(alone=True),
    "poison": Kind(alone=True),
    "parked": Kind(alone=True, within=(130, 330)),
    "rewind": Kind(_CONSUMERS, alone=True),
    "republish": Kind(SERVICES, alone=True),
    "churn": Kind(_CONSUMERS, (60.0, 60.0)),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` happens to `target`, empty where it has none, before command number `before`."""

    kind: str
    target: str
    before: int
    lasts_s: float

    def __str__(self) -> str:
        whom = f" {self.target}" if self.target else ""
        lasting = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.kind}{whom} before command {self.before}{lasting}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One storm. `seed` repeats it."""

    seed: int
    faults: tuple[Fault, ...]

    @property
    def disturbs_relays(self) -> bool:
        """Whether a relay may rightly have sent something twice."""
        return any(fault.kind not in _HARMLESS_TO_RELAYS for fault in self.faults)


_HARMLESS_TO_RELAYS: Final = frozenset(
    {"term", "clocks", "duplicates", "poison", "parked", "rewind", "churn"}
)


def plan_of(seed: int) -> Plan:
    """The storm that `seed` stands for."""
    deck = _dealt_to(seed)
    return _planned(seed, deck)


def directed(seed: int, kinds: Sequence[str]) -> Plan:
    """A storm of just these kinds; the seed says when and to whom."""
    return _planned(seed, kinds)


def _planned(seed: int, kinds: Sequence[str]) -> Plan:
    choice = random.Random(f"storm {seed}")
    faults = [_fault(choice, kind) for kind in kinds]
    return Plan(seed, tuple(sorted(faults, key=lambda fault: fault.before)))


def _fault(choice: random.Random, kind: str) -> Fault:
    known = KINDS[kind]
    lasts_s = round(choice.uniform(*known.lasts_s), 1)
    return Fault(kind, choice.choice(known.targets), choice.randrange(*known.within), lasts_s)


def _dealt_to(seed: int) -> list[str]:
    """The seed's hand: cards go round and round through decks that are shuffled one by one."""
    cards = _decks()
    for _ in range(seed * _A_STORM):
        next(cards)
    hand: list[str] = []
    while len(hand) < _A_STORM:
        if (card := next(cards)) not in hand:
            hand.append(card)
    return hand


def _decks() -> Iterator[str]:
    number = 0
    while True:
        deck = list(KINDS)
        random.Random(f"deck {number}").shuffle(deck)
        yield from deck
        number += 1
