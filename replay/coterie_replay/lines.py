"""One record as one line of JSON, and back to the same bytes.

`event` is the CloudEvent in the CloudEvents JSON format, for people and their tools; `headers` are
what goes back. The value is kept as `data` where reading and writing it again gives the same bytes,
else in base64. Source: CloudEvents 1.0.2, JSON Event Format, section 3.1.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Final

from pydantic_core import from_json, to_json

from coterie_replay.record import Record

__all__ = ["from_line", "to_line"]

_JSON_TYPES: Final = ("application/json", "+json")
_DEPTH: Final = 2  # how deep a line nests the data


def to_line(record: Record) -> bytes:
    """The record as one line without its end."""
    line: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": _told(record.key),
        "headers": [[name, _told(value)] for name, value in record.headers],
    }
    attributes = record.attributes()
    if attributes is None:
        line["value"] = _told(record.value)
    else:
        line["event"] = attributes | _data(record.value, attributes)
    return to_json(line)


def from_line(line: bytes) -> Record:
    """The record on a line; `ValueError` says what is wrong with the line."""
    told = from_json(line, allow_inf_nan=False)
    if not isinstance(told, dict):
        raise ValueError("is no JSON object")
    headers = told.get("headers")
    if not isinstance(headers, list):
        raise ValueError("`headers` is no list")
    record = Record(
        topic=_of(told, "topic", str),
        partition=_of(told, "partition", int),
        offset=_of(told, "offset", int),
        timestamp=_of(told, "timestamp", int),
        key=_bytes(told.get("key"), "key"),
        headers=tuple(_header(pair) for pair in headers),
        value=_value(told),
    )
    if (event := told.get("event")) is not None:
        _refuse_differences(record.attributes() or {}, event)
    return record


def _refuse_differences(attributes: dict[str, str], event: dict[str, Any]) -> None:
    """Headers are what goes back: whoever edits the event alone would not see it take effect."""
    for name in sorted((event.keys() | attributes.keys()) - {"data", "data_base64"}):
        if event.get(name) != attributes.get(name):
            raise ValueError(f"`event` and `headers` disagree on {name}")


def _header(pair: Any) -> tuple[str, bytes | None]:
    if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
        raise ValueError("`headers` is no list of [name, value]")
    return pair[0], _bytes(pair[1], f"headers/{pair[0]}")


def _data(value: bytes | None, attributes: dict[str, str]) -> dict[str, Any]:
    if value is None:
        return {}
    if attributes.get("datacontenttype", _JSON_TYPES[0]).partition(";")[0].endswith(_JSON_TYPES):
        try:
            # As deep as in its line, so that what is written here can be read there.
            nested = from_json(b"[" * _DEPTH + value + b"]" * _DEPTH, allow_inf_nan=False)
            ((data,),) = nested
            if to_json(data) == value:
                return {"data": data}
        except ValueError:
            pass
    return {"data_base64": b64encode(value).decode()}


def _value(told: dict[str, Any]) -> bytes | None:
    if "event" not in told:
        return _bytes(told.get("value"), "value")
    event = told["event"]
    if not isinstance(event, dict):
        raise ValueError("`event` is no JSON object")
    if "data" in event:
        return to_json(event["data"])
    return _decoded(event["data_base64"], "data_base64") if "data_base64" in event else None


def _told(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def _bytes(told: Any, where: str) -> bytes | None:
    if told is None:
        return None
    if isinstance(told, str):
        return told.encode()
    if isinstance(told, dict) and told.keys() == {"base64"}:
        return _decoded(told["base64"], where)
    raise ValueError(f"`{where}` is neither text, null nor base64")


def _decoded(told: Any, where: str) -> bytes:
    try:
        return b64decode(told, validate=True)
    except (TypeError, ValueError):
        raise ValueError(f"`{where}` is no base64") from None


def _of(told: dict[str, Any], name: str, kind: type) -> Any:
    value = told.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"`{name}` is missing or no {kind.__name__}")
    return value
