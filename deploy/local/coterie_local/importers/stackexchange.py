"""Streaming reader of a Stack Exchange data dump.

Rows come one at a time and are dropped after use, so that memory does not grow with a file.
What a real dump lacks (an owner, a time) is None here and for the plan to judge; what no dump
may hold (a word where a number stands, a file cut in half) ends the reading with
`BrokenHistory`, which names file and row. XML is parsed by defusedxml: a dump is foreign input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from coterie_local.importers.plan import BrokenHistory, RowRef

SITE_ACCOUNT = -1
FILES = ("Users", "Posts", "Votes", "Comments", "PostHistory", "Tags", "PostLinks", "Badges")
TAG_HISTORY = frozenset({3, 6})

_T = TypeVar("_T")


class RawRow(NamedTuple):
    """A row's attributes as strings, with its place; the readers raise naming that place."""

    ref: RowRef
    values: dict[str, str]

    def _read(self, name: str, kind: str, read: Callable[[str], _T]) -> _T | None:
        value = self.values.get(name, "").strip()
        if not value:
            return None
        try:
            return read(value)
        except ValueError:
            raise BrokenHistory(f"{self.ref}: {name} is {value!r}, not {kind}") from None

    def number(self, name: str) -> int:
        """A whole number that must be there."""
        number = self.number_or_none(name)
        if number is None:
            raise BrokenHistory(f"{self.ref}: {name} is missing")
        return number

    def number_or_none(self, name: str) -> int | None:
        return self._read(name, "a whole number", int)

    def time(self, name: str) -> datetime | None:
        """An instant; the dump writes UTC without saying so."""
        return self._read(name, "a time", _utc)

    def text(self, name: str) -> str:
        return self.values.get(name, "")


def _utc(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class User:
    ref: RowRef
    user_id: int
    created_at: datetime | None
    last_access_at: datetime | None


@dataclass(frozen=True, slots=True)
class Post:
    """`body` and `title` are markup and text as written; `tags` are those of a question."""

    ref: RowRef
    post_id: int
    post_type: int
    parent_id: int | None
    owner_id: int | None
    created_at: datetime | None
    last_activity_at: datetime | None
    title: str
    body: str
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Vote:
    ref: RowRef
    vote_id: int
    post_id: int
    vote_type: int
    day: datetime | None


@dataclass(frozen=True, slots=True)
class Comment:
    ref: RowRef
    comment_id: int
    post_id: int
    user_id: int | None
    created_at: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class TagEdit:
    """A row of PostHistory; `tags` are all tags of the post after the edit."""

    ref: RowRef
    history_id: int
    history_type: int
    post_id: int
    user_id: int | None
    created_at: datetime | None
    tags: frozenset[str]


def tags_of(text: str) -> frozenset[str]:
    """Tags of `<bug><status-completed>` or, in newer dumps, `|bug|status-completed|`."""
    return frozenset(re.findall(r"[^<>|\s]+", text))


def user(row: RawRow) -> User:
    return User(row.ref, row.number("Id"), row.time("CreationDate"), row.time("LastAccessDate"))


def post(row: RawRow) -> Post:
    return Post(
        ref=row.ref,
        post_id=row.number("Id"),
        post_type=row.number("PostTypeId"),
        parent_id=row.number_or_none("ParentId"),
        owner_id=row.number_or_none("OwnerUserId"),
        created_at=row.time("CreationDate"),
        last_activity_at=row.time("LastActivityDate"),
        title=row.text("Title"),
        body=row.text("Body"),
        tags=tags_of(row.text("Tags")),
    )


def vote(row: RawRow) -> Vote:
    return Vote(
        row.ref,
        row.number("Id"),
        row.number("PostId"),
        row.number("VoteTypeId"),
        row.time("CreationDate"),
    )


def comment(row: RawRow) -> Comment:
    return Comment(
        row.ref,
        row.number("Id"),
        row.number("PostId"),
        row.number_or_none("UserId"),
        row.time("CreationDate"),
        row.text("Text"),
    )


def tag_edit(row: RawRow) -> TagEdit:
    history_type = row.number("PostHistoryTypeId")
    return TagEdit(
        ref=row.ref,
        history_id=row.number("Id"),
        history_type=history_type,
        post_id=row.number("PostId"),
        user_id=row.number_or_none("UserId"),
        created_at=row.time("CreationDate"),
        tags=tags_of(row.text("Text")) if history_type in TAG_HISTORY else frozenset(),
    )


def raw_rows(folder: Path, name: str) -> Iterator[RawRow]:
    """Rows of `<name>.xml` in file order. Raises BrokenHistory naming file and row."""
    path = folder / f"{name}.xml"
    file, count = path.name, 0
    try:
        with path.open("rb") as source:
            root: Element | None = None
            for event, element in iterparse(source, events=("start", "end")):
                if root is None:
                    root = _checked_root(element, file, name)
                elif event == "end" and element.tag == "row":
                    count += 1
                    yield RawRow(RowRef(file, count), dict(element.attrib))
                    root.clear()
    except ParseError as error:
        raise BrokenHistory(f"{file} row {count + 1}: the XML is broken here ({error})") from None
    except DefusedXmlException as error:
        raise BrokenHistory(f"{file} row {count + 1}: refused to expand {error}") from None
    except FileNotFoundError:
        raise BrokenHistory(f"{file} is missing in {folder}") from None
    except OSError as error:
        raise BrokenHistory(f"{file} cannot be read: {error.strerror}") from None


def _checked_root(element: Element, file: str, name: str) -> Element:
    if element.tag != name.lower():
        raise BrokenHistory(f"{file} row 1: the file holds <{element.tag}>, not <{name.lower()}>")
    return element


def check_complete(folder: Path) -> None:
    """Raise BrokenHistory that names every file of the dump that is not in `folder`."""
    if not folder.is_dir():
        raise BrokenHistory(f"{folder} is not a folder")
    missing = [f"{name}.xml" for name in FILES if not (folder / f"{name}.xml").is_file()]
    if missing:
        raise BrokenHistory(f"{', '.join(missing)} missing in {folder}")
