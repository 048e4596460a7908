"""No personal data in any event but `member.contact`: nothing undeclared, no address, no number.

Models read tolerantly, so a field that no model has would pass every consumer unseen; here it is
a fault. Patterns catch the rest: an e-mail address or a telephone number in any text, staff's
short texts included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from coterie_contracts.envelope import Event
from coterie_contracts.member import MemberContact
from coterie_contracts.model import EventBody
from coterie_contracts.reward import RewardApproved
from coterie_local.audit.facts import Fact, Log
from coterie_local.audit.report import Fault

__all__ = ["events_hold_no_personal_data", "looks_personal"]

_EMAIL: Final = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_NOT_PHONES: Final = re.compile(
    r"https?://\S+"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\b[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\b"  # a traceparent
    r"|\d{4}-\d{2}-\d{2}(?:[T ][\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?"
    r"|\b\d{1,2}([./])\d{1,2}\1\d{4}\b(?: \d{1,2}:\d{2})?",
    re.IGNORECASE,
)
_PHONE: Final = re.compile(
    r"(?<![\w.])(?:"
    r"\+\d(?:[ ().\-/]{0,2}\d){7,14}"  # international: a plus and 8 to 15 digits
    r"|\(?0\d{1,4}\)?(?:[ .\-/]{0,2}\d){6,11}"  # national with a trunk zero
    r"|\(?\d{3}\)?[ .\-]\d{3}[ .\-]\d{4}"  # North American
    r")(?!\w)"
)
_SHORTEST_PHONE: Final = 8
_PERSON: Final = r"person:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ACTOR: Final = re.compile(rf"{_PERSON}|system|importer")
_APPROVER: Final = re.compile(rf"{_PERSON}|policy")


def looks_personal(text: str) -> str | None:
    """What in `text` looks personal: `an e-mail address`, `a telephone number`, or nothing."""
    if "@" in text and _EMAIL.search(text):
        return "an e-mail address"
    if len(text) >= _SHORTEST_PHONE and _PHONE.search(_NOT_PHONES.sub(" ", text)):
        return "a telephone number"
    return None


def events_hold_no_personal_data(log: Log) -> Iterator[Fault | None]:
    """A fact is a delivered event of any topic but `member.contact`."""
    for fact in log.deliveries:
        if not isinstance(fact.event.data, MemberContact):
            found = next(_findings(fact), None)
            yield (None if found is None else Fault(fact.event.id, f"{fact.event.topic}: {found}"))


def _findings(fact: Fact[EventBody]) -> Iterator[str]:
    raw = json.loads(fact.record.value or b"{}")
    for path in _undeclared(fact.event.data, raw):
        yield f"field {path!r} is in no model"
    for path, text in _texts(raw):
        if what := looks_personal(text):
            yield f"{path} holds {what}"
    for name, value in fact.record.headers:
        if what := looks_personal((value or b"").decode(errors="replace")):
            yield f"header {name} holds {what}"
    yield from _names(fact.event)


def _names(event: Event[EventBody]) -> Iterator[str]:
    """Fields that say who acted hold a pseudonym, never a name."""
    if not _ACTOR.fullmatch(event.actor):
        yield "the actor is no pseudonym"
    if isinstance(event.data, RewardApproved) and not _APPROVER.fullmatch(event.data.approved_by):
        yield "approved_by is no pseudonym"


def _undeclared(model: object, raw: Any, path: str = "") -> Iterator[str]:
    if isinstance(model, BaseModel) and isinstance(raw, dict):
        for name, value in raw.items():
            if name not in type(model).model_fields:
                yield f"{path}{name}"
            else:
                yield from _undeclared(getattr(model, name), value, f"{path}{name}.")
    elif isinstance(model, tuple) and isinstance(raw, list):
        for index, (item, value) in enumerate(zip(model, raw, strict=False)):
            yield from _undeclared(item, value, f"{path}{index}.")


def _texts(raw: Any, path: str = "data") -> Iterator[tuple[str, str]]:
    if isinstance(raw, str):
        yield path, raw
    elif isinstance(raw, dict):
        for name, value in raw.items():
            yield from _texts(value, f"{path}.{name}")
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from _texts(value, f"{path}.{index}")
