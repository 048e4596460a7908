"""Data at the edges of a schema: what a producer may send that a reader is most likely to refuse.

From one example, each field in turn takes every extreme that its schema allows (both ends of each
limit, every value of an enumeration, every alternative, nothing at all where it may be missing);
so a limit that moved by one is met for certain and every time, which random data would not do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from coterie_contracts.compatibility import resolved

__all__ = ["edges"]

_FORMATS: Final = {
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "date-time": ["1970-01-01T00:00:00Z", "9999-12-30T23:59:59.999999+05:30"],
}
_LONG: Final = 2_000
_FAR: Final = 2**53 - 1
_DEEPEST: Final = 3


def edges(schema: dict[str, Any], example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Objects that fit `schema`, each one field away from `example`, which comes first."""
    return _objects(schema, schema, example, 0)


def _objects(
    root: dict[str, Any], node: dict[str, Any], example: dict[str, Any], depth: int
) -> Iterator[dict[str, Any]]:
    required = set(node.get("required", ()))
    properties = node.get("properties", {})
    base = {name: example.get(name, _first(root, shape)) for name, shape in properties.items()}
    yield base
    yield {name: value for name, value in base.items() if name in required}
    for name, shape in properties.items():
        for value in _values(root, shape, base[name], depth):
            yield base | {name: value}


def _first(root: dict[str, Any], shape: dict[str, Any]) -> Any:
    return next(_values(root, shape, None, 0), None)


def _values(root: dict[str, Any], shape: dict[str, Any], example: Any, depth: int) -> Iterator[Any]:
    if "anyOf" in shape:
        for arm in shape["anyOf"]:
            yield from _values(root, arm, example, depth)
        return
    node = resolved(root, shape)
    if "const" in node:
        yield node["const"]
    elif "enum" in node:
        yield from node["enum"]
    elif node.get("type") == "array":
        yield from _lists(root, node, example, depth)
    elif node.get("type") == "object":
        if depth < _DEEPEST:
            known = example if isinstance(example, dict) else {}
            yield from _objects(root, node, known, depth + 1)
    else:
        yield from _plain(node, example)


def _lists(
    root: dict[str, Any], node: dict[str, Any], example: Any, depth: int
) -> Iterator[list[Any]]:
    shortest = node.get("minItems", 0)
    known = example[0] if isinstance(example, list) and example else None
    items = list(_values(root, node.get("items", {}), known, depth))
    if items:
        yield [items[0]] * max(shortest, 1)
        yield [items[0]] * min(node.get("maxItems", 50), 50)
        yield from ([item] * max(shortest, 1) for item in items)
    if shortest == 0:
        yield []


def _plain(node: dict[str, Any], example: Any) -> Iterator[Any]:
    match node.get("type"):
        case "string" if "pattern" in node:
            if isinstance(example, str):
                yield example
        case "string" if "format" in node:
            yield from _FORMATS.get(node["format"], [])
        case "string":
            shortest = node.get("minLength", 0)
            longest = node.get("maxLength", max(_LONG, shortest))
            yield from ("a" * shortest, "é" * longest)
        case "integer":
            yield from (node.get("minimum", -_FAR), node.get("maximum", _FAR))
        case "number":
            low, high = node.get("minimum", -1e12), node.get("maximum", 1e12)
            yield from (low, high, (low + high) / 2 + 1e-9)
        case "boolean":
            yield from (False, True)
        case "null":
            yield None
