"""What may stand in a command: the types that it asks for, text that can be stored, usable times.

Refused at the border, field by field, so that no service needs a rule of its own against a word for
a number, a null character, half of a surrogate pair or the year 9999, and none answers them with a
defect.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, TypeAdapter

__all__ = ["Impersonal", "Moment", "as_strict_json", "check_storable"]

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_NUMBERS: Final = 2**63
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_EMAIL: Final = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_TELEPHONE: Final = re.compile(r"(?<![\w.+])\+\d(?:[ ().\-/]{0,2}\d){7,14}(?!\w)")


def check_storable(value: Any) -> None:
    """Raises `ValueError` for what no column holds: in a JSON value's texts, keys and numbers."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                if _UNSTORABLE.search(text):
                    raise ValueError("a text holds a null character or half of a surrogate pair")
            case int(number) if not -_NUMBERS <= number < _NUMBERS:
                raise ValueError("a number needs more than 64 bits")
            case dict(fields):
                waiting += [*fields, *fields.values()]
            case list(items) | tuple(items):
                waiting += items
            case _:
                pass


def as_strict_json(kind: Any) -> BeforeValidator:
    """Reads a parsed JSON value as `kind` without turning one JSON type into another."""
    wanted: TypeAdapter[Any] = TypeAdapter(kind)

    def read(data: Any) -> Any:
        if isinstance(data, bytes):
            raise ValueError("this is no JSON")
        check_storable(data)
        try:
            given = json.dumps(data)
        except RecursionError:
            raise ValueError("this is nested too deeply") from None
        return wanted.validate_json(given, strict=True)

    return BeforeValidator(read)


def _check_impersonal(text: str) -> str:
    if "@" in text and _EMAIL.search(text):
        raise ValueError("events carry this text, and it holds an e-mail address")
    if "+" in text and _TELEPHONE.search(text):
        raise ValueError("events carry this text, and it holds a telephone number")
    return text


def _check_countable(moment: datetime) -> datetime:
    if not _FIRST <= moment < _LAST:
        raise ValueError(f"a time lies between {_FIRST.year} and {_LAST.year}")
    return moment


Impersonal = AfterValidator(_check_impersonal)
"""For texts written by staff that events carry: no e-mail address and no telephone number."""

Moment = Annotated[AwareDatetime, AfterValidator(_check_countable)]
"""A time that a command names: with its zone, and within the years that deadlines are made of."""
