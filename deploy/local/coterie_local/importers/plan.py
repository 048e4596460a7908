"""A history as a time-ordered list of steps, and an account of every source row.

A plan is pure data: reading a history decides what would be done, the player does it. The two
invariants are that steps come in the one order in which they can be played (time, then kind,
then source order), and that each source row meets exactly one fate, so that nothing is dropped
in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class BrokenHistory(Exception):
    """A history cannot be read. The text names the file and, where there is one, the row."""


class StepKind(IntEnum):
    """What a step does; the value is its place among steps of one instant.

    A departure comes before ratings, so that a day's stand-in is never somebody who just left.
    """

    APPLY = 0
    SUBMIT = 1
    COMMENT = 2
    ACCEPT = 3
    PLAN = 4
    DECLINE = 5
    IMPLEMENT = 6
    LEAVE = 7
    RATE = 8


class Fate(StrEnum):
    """What became of a source row."""

    PLAYED = "played"
    REFUSED = "refused"
    SKIPPED = "skipped"


class Why(StrEnum):
    """Every reason of an importer's own for which a row is refused or skipped.

    The platform's refusals are counted under their own rule names beside these.
    """

    NEVER_TOOK_PART = "never-posted-or-commented"
    SITE_ACCOUNT = "site-account"
    NO_AUTHOR = "no-author"
    UNKNOWN_AUTHOR = "unknown-author"
    NO_TIME = "no-time"
    NO_TEXT = "no-text"
    NOT_FEEDBACK = "question-is-not-feedback"
    NOT_A_CONTRIBUTION = "not-a-question-or-answer"
    UNKNOWN_TARGET = "deleted-or-unknown-target"
    NOT_A_RATING = "vote-is-not-a-rating"
    PASSED = "pass-is-not-a-rating"
    OWN_CONTRIBUTION = "own-contribution"
    NO_STAND_IN = "no-member-to-stand-in"
    NO_STATUS = "no-status-tag"
    SAME_STATUS = "status-unchanged"
    OVERTAKEN = "declined-then-completed"
    CANNOT_FOLLOW = "status-cannot-follow"
    PLATFORM_DECIDES = "decided-by-the-platform"
    LINKS_UNUSED = "links-are-not-played"
    DUPLICATE_ID = "id-seen-before"
    NOT_A_MEMBER = "not-a-member-then"
    REFUSED_BEFORE = "refused-in-an-earlier-import"
    TARGET_NOT_PLAYED = "its-target-was-not-played"


@dataclass(frozen=True, slots=True)
class RowRef:
    """A row of a source file; `row` counts from 1 in the order of the file."""

    file: str
    row: int

    def __str__(self) -> str:
        return f"{self.file} row {self.row}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One deed at one instant.

    `key` is stable over imports and serves as the Idempotency-Key. `actor` and `target` are
    keys of people and contributions within this plan; a rating without an actor is made by a
    stand-in that is chosen while playing. `settles` says that the outcome of this step is the
    fate of its row; a row has one such step. `simulated` steps are not in the source.
    """

    at: datetime
    kind: StepKind
    key: str
    actor: str | None
    target: str | None = None
    author: str | None = None
    payload: Mapping[str, str | float] = field(default_factory=dict)
    row: RowRef | None = None
    settles: bool = False
    simulated: bool = False


class Accounting:
    """Which rows each file holds and what became of them.

    Shapes: `rows[file]` is a count, `fates[file][fate, reason]` is a count.
    """

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.fates: dict[str, Counter[tuple[Fate, str]]] = {}
        self._settled: set[RowRef] = set()

    def saw(self, ref: RowRef) -> None:
        """A row was read."""
        self.rows[ref.file] += 1
        self.fates.setdefault(ref.file, Counter())

    def saw_file(self, file: str) -> None:
        """A file was opened, even if it holds no row."""
        self.rows[file] += 0
        self.fates.setdefault(file, Counter())

    def settle(self, ref: RowRef, fate: Fate, reason: str = "") -> None:
        """Record the fate of a row. Raises ValueError for a second fate."""
        if ref in self._settled:
            raise ValueError(f"{ref} has a fate already")
        self._settled.add(ref)
        self.fates[ref.file][fate, reason] += 1

    def settled(self, ref: RowRef) -> bool:
        return ref in self._settled

    def count(self, file: str, fate: Fate) -> int:
        return sum(n for (each, _), n in self.fates[file].items() if each is fate)

    def open_rows(self) -> dict[str, int]:
        """Rows without a fate per file; empty when every row is accounted for."""
        gaps = {file: n - self.fates[file].total() for file, n in self.rows.items()}
        return {file: gap for file, gap in gaps.items() if gap}

    def copy(self) -> Accounting:
        other = Accounting()
        other.rows = self.rows.copy()
        other.fates = {file: counts.copy() for file, counts in self.fates.items()}
        other._settled = self._settled.copy()
        return other


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityPlan:
    """The community that a history is played into. What a source does not say is simulated."""

    key: str
    name: str
    purpose: str
    objective: str
    capacity: int
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a history asks for, in the order in which it can be played.

    `starts_at` is before the first step and `ends_at` is the last instant of the source.
    """

    community: CommunityPlan
    steps: tuple[Step, ...]
    accounting: Accounting
    starts_at: datetime
    ends_at: datetime
    notes: Mapping[str, int] = field(default_factory=dict)

    def of(self, kind: StepKind) -> Iterator[Step]:
        return (step for step in self.steps if step.kind is kind)


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Steps by time, then kind; sorting is stable, so source order breaks ties."""
    return tuple(sorted(steps, key=lambda step: (step.at, step.kind)))
