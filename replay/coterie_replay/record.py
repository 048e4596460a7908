"""A Kafka record as it lies in the log, and the CloudEvents attributes that its headers carry.

Attributes are read without judging them: a tape keeps what is no event of ours, too. Contact data
is the exception. It is recognised by topic and by type, whatever prefix or version they have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from coterie_contracts.member import MemberContact

__all__ = ["Record", "holds_contact_data"]

_REQUIRED: Final = ("specversion", "id", "source", "type")
_ATTRIBUTE: Final = re.compile(r"ce_([a-z0-9]+)")
_CONTENT_TYPE: Final = "content-type"
_CONTACT_TYPE: Final = f"coterie.{MemberContact.topic}."


@dataclass(frozen=True, slots=True)
class Record:
    """`timestamp` is the record's in the log, in milliseconds. A null value is a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None

    def header(self, name: str) -> str | None:
        """The header's text; None where it is missing, null or not UTF-8."""
        for known, value in self.headers:
            if known == name:
                return _text(value)
        return None

    def attributes(self) -> dict[str, str] | None:
        """The CloudEvents attributes by their JSON names, or None where this is no CloudEvent.

        A record with an attribute that stands twice, is null or is not UTF-8 is none.
        """
        found: dict[str, str] = {}
        for name, value in self.headers:
            if (attribute := _attribute(name)) is None:
                continue
            text = _text(value)
            if text is None or attribute in found:
                return None
            found[attribute] = text
        return found if all(found.get(name) for name in _REQUIRED) else None

    @property
    def type(self) -> str | None:
        """The event's type, with its version."""
        return self.header("ce_type")

    @property
    def event_id(self) -> str | None:
        return self.header("ce_id")

    @property
    def subject(self) -> UUID | None:
        """The aggregate."""
        return _uuid(self.header("ce_subject"))

    @property
    def community(self) -> UUID | None:
        return _uuid(self.header("ce_communityid"))

    @property
    def happened(self) -> datetime:
        """The event's `time`; the record's timestamp where it has none that can be read."""
        return _time(self.header("ce_time")) or datetime.fromtimestamp(self.timestamp / 1000, UTC)


def holds_contact_data(record: Record) -> bool:
    """Whether it is of `member.contact`, which is on no tape and is played from none."""
    topic = MemberContact.topic
    return (
        record.topic == topic
        or record.topic.endswith(f".{topic}")
        or any(
            name == "ce_type" and (value or b"").startswith(_CONTACT_TYPE.encode())
            for name, value in record.headers
        )
    )


@lru_cache(1024)
def _attribute(header: str) -> str | None:
    if header == _CONTENT_TYPE:
        return "datacontenttype"
    matched = _ATTRIBUTE.fullmatch(header)
    return None if matched is None else matched[1]


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None


def _time(text: str | None) -> datetime | None:
    try:
        value = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return value if value is not None and value.tzinfo is not None else None
