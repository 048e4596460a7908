"""The plan of a Polis conversation: ideas are feedback, named votes are ratings.

A Polis vote is 1 or -1, or 0 for a pass, which is not a rating. Both rows of a re-vote are
played in their order, a microsecond apart at least, so that the later stands. The data names
no moment of moderation: an accepted idea was shown from its beginning, a rejected one could be
voted on until it was rejected, so it is declined right after the last vote on it; both moments are
simulated.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coterie_local.importers.plan import (
    Accounting,
    BrokenHistory,
    CommunityPlan,
    Fate,
    Plan,
    RowRef,
    Step,
    StepKind,
    Why,
    in_order,
)
from coterie_local.importers.statuses import staff_words
from coterie_local.importers.texts import clean, shorten

COMMENTS, VOTES = "comments.csv", "votes.csv"
COMMENT_COLUMNS = ("timestamp", "comment-id", "author-id", "moderated", "comment-body")
VOTE_COLUMNS = ("timestamp", "comment-id", "voter-id", "vote")
RATING_OF_VOTE = {1: 1.0, -1: 0.0}
PASS = 0
APPROVED, PENDING, REJECTED = 1, 0, -1
_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plan_polis(folder: Path) -> Plan:
    """Read `comments.csv` and `votes.csv`. Raises BrokenHistory that names file and row."""
    if not folder.is_dir():
        raise BrokenHistory(f"{folder} is not a folder")
    missing = [name for name in (COMMENTS, VOTES) if not (folder / name).is_file()]
    if missing:
        raise BrokenHistory(f"{', '.join(missing)} missing in {folder}")
    return _Planner(folder).plan()


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row by column; the readers raise BrokenHistory naming file and row."""

    ref: RowRef
    values: dict[str, str]

    def text(self, name: str) -> str:
        return self.values[name].strip()

    def number(self, name: str) -> int:
        value = self.text(name)
        try:
            return int(value)
        except ValueError:
            what = f"is {value!r}, not a whole number" if value else "is missing"
            raise BrokenHistory(f"{self.ref}: {name} {what}") from None

    def time(self, name: str) -> datetime | None:
        """An instant, written as milliseconds since 1970; None where the cell is empty."""
        if not self.text(name):
            return None
        try:
            return _EPOCH + timedelta(milliseconds=self.number(name))
        except OverflowError:
            raise BrokenHistory(f"{self.ref}: {name} is no time of this world") from None


def csv_rows(folder: Path, name: str, columns: tuple[str, ...]) -> Iterator[CsvRow]:
    """Rows of one file in file order, counted from 1 after the header."""
    count = 0
    try:
        with (folder / name).open(encoding="utf-8-sig", newline="") as source:
            rows = csv.reader(source, strict=True)
            header = next(rows, [])
            lacking = [column for column in columns if column not in header]
            if lacking:
                raise BrokenHistory(f"{name}: no column {', '.join(lacking)}")
            for values in rows:
                if not values:
                    continue
                count += 1
                ref = RowRef(name, count)
                if len(values) != len(header):
                    raise BrokenHistory(f"{ref}: {len(values)} cells, {len(header)} expected")
                yield CsvRow(ref, dict(zip(header, values, strict=True)))
    except csv.Error as error:
        raise BrokenHistory(f"{name} row {count + 1}: the CSV is broken here ({error})") from None
    except UnicodeDecodeError:
        raise BrokenHistory(f"{name}, about row {count + 1}: not UTF-8") from None
    except OSError as error:
        raise BrokenHistory(f"{name} cannot be read: {error.strerror}") from None


@dataclass(slots=True)
class _Idea:
    key: str
    at: datetime
    author: str
    moderated: int
    why: Why | None
    last_vote_at: datetime | None = None


@dataclass(slots=True)
class _Planner:
    folder: Path
    accounting: Accounting = field(default_factory=Accounting)
    steps: list[Step] = field(default_factory=list)
    ideas: dict[str, _Idea] = field(default_factory=dict)
    joined: dict[str, datetime] = field(default_factory=dict)
    ends_at: datetime = _EPOCH
    shortened: int = 0

    def plan(self) -> Plan:
        self._plan_ideas()
        self._plan_votes()
        self._plan_moderation()
        self._plan_people()
        steps = in_order(self.steps)
        if not steps:
            raise BrokenHistory(f"{self.folder} holds nothing that could be played")
        return Plan(
            community=CommunityPlan(
                key=f"polis:{self.folder.name}",
                name=self.folder.name,
                purpose="A moderated conversation in which everybody weighs each idea.",
                objective="Ideas that most people stand behind",
                capacity=len(self.joined),
            ),
            steps=steps,
            accounting=self.accounting,
            starts_at=steps[0].at,
            ends_at=max(self.ends_at, steps[-1].at),
            notes={"texts shortened": self.shortened},
        )

    def _rows(self, name: str, columns: tuple[str, ...]) -> Iterator[CsvRow]:
        self.accounting.saw_file(name)
        for row in csv_rows(self.folder, name, columns):
            self.accounting.saw(row.ref)
            yield row

    def _took_part(self, person: str, at: datetime) -> None:
        self.joined[person] = min(at, self.joined.get(person, at))
        self.ends_at = max(self.ends_at, at)

    def _plan_ideas(self) -> None:
        for row in self._rows(COMMENTS, COMMENT_COLUMNS):
            author, at = row.text("author-id"), row.time("timestamp")
            text = clean(row.text("comment-body"))
            key = _idea_key(row)
            if key in self.ideas:
                self.accounting.settle(row.ref, Fate.SKIPPED, Why.DUPLICATE_ID)
                continue
            why = _why_unwritten(author, at, text)
            begun = at or _EPOCH
            idea = _Idea(key, begun, f"person:{author}", _moderated(row), why)
            self.ideas[key] = idea
            if why is not None:
                self.accounting.settle(row.ref, Fate.SKIPPED, why)
                continue
            self._took_part(idea.author, idea.at)
            short = shorten(text)
            self.shortened += short is not text
            self.steps.append(
                Step(
                    at=idea.at,
                    kind=StepKind.SUBMIT,
                    key=key,
                    actor=idea.author,
                    target=key,
                    payload={"text": short},
                    row=row.ref,
                    settles=True,
                )
            )

    def _plan_votes(self) -> None:
        latest: dict[tuple[str, str], datetime] = {}
        for at, row in sorted(self._dated_votes(), key=lambda pair: (pair[0], pair[1].ref.row)):
            voter, idea = f"person:{row.text('voter-id')}", self.ideas[_idea_key(row)]
            moment = max(at, idea.at)
            earlier = latest.get((voter, idea.key))
            if earlier is not None and moment <= earlier:
                moment = earlier + _TICK
            latest[voter, idea.key] = moment
            idea.last_vote_at = max(idea.last_vote_at or moment, moment)
            self.steps.append(
                Step(
                    at=moment,
                    kind=StepKind.RATE,
                    key=f"vote:{row.ref.row}",
                    actor=voter,
                    target=idea.key,
                    author=idea.author,
                    payload={"value": RATING_OF_VOTE[row.number("vote")]},
                    row=row.ref,
                    settles=True,
                )
            )

    def _dated_votes(self) -> Iterator[tuple[datetime, CsvRow]]:
        """Votes that can be played; the others get their fate here."""
        for row in self._rows(VOTES, VOTE_COLUMNS):
            voter, at, value = row.text("voter-id"), row.time("timestamp"), row.number("vote")
            if value not in (*RATING_OF_VOTE, PASS):
                raise BrokenHistory(f"{row.ref}: vote is {value}, not 1, 0 or -1")
            if voter and at is not None:
                self._took_part(f"person:{voter}", at)
            fate, why = self._why_not_a_rating(voter, at, value, self.ideas.get(_idea_key(row)))
            if why is None and at is not None:
                yield at, row
            else:
                self.accounting.settle(row.ref, fate, why or Why.NO_TIME)

    def _why_not_a_rating(
        self, voter: str, at: datetime | None, value: int, idea: _Idea | None
    ) -> tuple[Fate, Why | None]:
        if idea is None:
            return Fate.SKIPPED, Why.UNKNOWN_TARGET
        if not voter:
            return Fate.SKIPPED, Why.NO_AUTHOR
        if idea.author == f"person:{voter}":
            return Fate.REFUSED, Why.OWN_CONTRIBUTION
        if value == PASS:
            return Fate.SKIPPED, Why.PASSED
        if idea.why is not None:
            return Fate.SKIPPED, Why.TARGET_NOT_PLAYED
        return Fate.SKIPPED, None if at is not None else Why.NO_TIME

    def _plan_moderation(self) -> None:
        for idea in self.ideas.values():
            if idea.why is not None or idea.moderated == PENDING:
                continue
            approved = idea.moderated == APPROVED
            closed_at = idea.last_vote_at + _TICK if idea.last_vote_at else idea.at
            kind = StepKind.ACCEPT if approved else StepKind.DECLINE
            number = idea.key.removeprefix("idea:")
            self.steps.append(
                Step(
                    at=idea.at if approved else closed_at,
                    kind=kind,
                    key=f"{idea.key}:{kind.name.lower()}",
                    actor=None,
                    target=idea.key,
                    payload=staff_words(kind, number, "Not taken up by the moderators."),
                    simulated=True,
                )
            )

    def _plan_people(self) -> None:
        for person, at in self.joined.items():
            self.steps.append(
                Step(
                    at=at,
                    kind=StepKind.APPLY,
                    key=f"{person}:apply",
                    actor=person,
                    simulated=True,
                )
            )


def _idea_key(row: CsvRow) -> str:
    return f"idea:{row.number('comment-id')}"


def _moderated(row: CsvRow) -> int:
    value = row.number("moderated")
    if value not in (APPROVED, PENDING, REJECTED):
        raise BrokenHistory(f"{row.ref}: moderated is {value}, not 1, 0 or -1")
    return value


def _why_unwritten(author: str, at: datetime | None, text: str) -> Why | None:
    if not author:
        return Why.NO_AUTHOR
    if at is None:
        return Why.NO_TIME
    return None if text else Why.NO_TEXT
