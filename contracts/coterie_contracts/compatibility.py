"""Every record of a version is readable by every reader of that version, older or newer.

Records are kept for ever and other teams upgrade when they like, so both directions count: a new
reader meets old records, an old reader meets new ones. Readers ignore fields that they do not
know and read unknown values of an enumeration that has `unknown`; all else that differs in what
is sent is a break, widening too, and needs a new version of the type. Texts (titles,
descriptions, examples) are free.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

__all__ = ["Break", "Harm", "breaks"]

_LOWER: Final = {"minimum", "exclusiveMinimum", "minLength", "minItems"}
_UPPER: Final = {"maximum", "exclusiveMaximum", "maxLength", "maxItems"}
_EXACT: Final = ("multipleOf", "pattern", "uniqueItems", "x-unit")
_TEXTS: Final = {"title", "description", "examples"}


class Harm(StrEnum):
    """Whom a break breaks."""

    OLD_READERS = "older readers refuse newer records"
    NEW_READERS = "newer readers refuse older records"
    BOTH = "older readers refuse newer records and newer readers older ones"
    MISREAD = "the same record means something else to older and to newer readers"
    MISSED = "older readers take its default for the truth"


@dataclass(frozen=True, slots=True)
class Break:
    """A difference that some reader cannot take. `str()` of it is one sentence."""

    what: str
    harm: Harm

    def __str__(self) -> str:
        return f"{self.what}: {self.harm}"


def breaks(old: dict[str, Any], new: dict[str, Any], at: str = "data") -> list[Break]:
    """Each way in which a reader of `old` or `new` fails on the other's records.

    Both are JSON Schemas of one object as producers send it: local `$ref`, `anyOf` of
    alternatives, arrays of one item type.
    """
    return list(_Comparison(old, new).node(old, new, at))


class _Comparison:
    """Walks two schemas side by side; a pair of definitions is compared once, recursive or not."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str]] = set()

    def node(self, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[Break]:
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if all(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        before, after = _arms(self._old, old), _arms(self._new, new)
        gone, came = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
        if gone and came:
            changed = f"{at} changed from {' or '.join(gone)} to {' or '.join(came)}"
            yield Break(changed, Harm.BOTH)
        elif gone:
            narrowed = f"{at} was narrowed: it may no longer be {' or '.join(gone)}"
            yield Break(narrowed, Harm.NEW_READERS)
        elif came:
            widened = f"{at} was widened: it may now be {' or '.join(came)}"
            yield Break(widened, Harm.OLD_READERS)
        if "default" in old and "default" in new:
            yield from _changed(old, new, at, ("default",), Harm.MISREAD)
        for kind in sorted(before.keys() & after.keys()):
            yield from self._alike(before[kind], after[kind], at)

    def _alike(self, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[Break]:
        yield from _values(old, new, at)
        yield from _limits(old, new, at)
        yield from _changed(old, new, at, _EXACT, Harm.BOTH)
        yield from _openness(old, new, at)
        yield from self._properties(old, new, at)
        if "items" in old and "items" in new:
            yield from self.node(old["items"], new["items"], f"{at}[]")
        elif ("items" in old) != ("items" in new):
            yield Break(f"{at} changed what its items are", Harm.BOTH)

    def _properties(self, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[Break]:
        before, after = old.get("properties", {}), new.get("properties", {})
        always_before, always_now = set(old.get("required", ())), set(new.get("required", ()))
        gone, came = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
        for name, other in self._renamed(before, after, gone, came):
            harm = Harm.BOTH if name in always_before else Harm.MISREAD
            yield Break(f"{at}.{name} was renamed to {other}", harm)
            gone.remove(name)
            came.remove(other)
        for name in gone:
            harm = Harm.OLD_READERS if name in always_before else Harm.MISSED
            yield Break(f"{at}.{name} was removed", harm)
        for name in came:
            yield from _added(f"{at}.{name}", name in always_now, old)
        for name in sorted(before.keys() & after.keys()):
            if name in always_before - always_now:
                yield Break(f"{at}.{name} is no longer always there", Harm.OLD_READERS)
            elif name in always_now - always_before:
                yield Break(f"{at}.{name} became required", Harm.NEW_READERS)
            yield from self.node(before[name], after[name], f"{at}.{name}")

    def _renamed(
        self, before: dict[str, Any], after: dict[str, Any], gone: list[str], came: list[str]
    ) -> list[tuple[str, str]]:
        """The one field that left and the one that came in its place, if they are alike."""
        if len(gone) != 1 or len(came) != 1:
            return []
        left, entered = before[gone[0]], after[came[0]]
        return [(gone[0], came[0])] if _bare(left) == _bare(entered) else []


def _added(at: str, required: bool, parent: dict[str, Any]) -> Iterator[Break]:
    if required:
        yield Break(f"{at} was added without a default", Harm.NEW_READERS)
    elif parent.get("additionalProperties") is not False:
        open_ = f"{at} was added to an open object, where older records hold anything by that name"
        yield Break(open_, Harm.NEW_READERS)


def _openness(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[Break]:
    before, after = (node.get("additionalProperties", True) for node in (old, new))
    if before == after:
        return
    what = f"{at} changed additionalProperties from {_shown(before)} to {_shown(after)}"
    yield Break(what, Harm.OLD_READERS if before is False else Harm.NEW_READERS)


def _bare(node: Any) -> Any:
    """A schema without the texts that are free to change."""
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if key not in _TEXTS}
    return [_bare(value) for value in node] if isinstance(node, list) else node


def _arms(root: dict[str, Any], node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The alternatives of a node by what tells them apart, references resolved."""
    choices = node.get("anyOf") or node.get("oneOf")
    if choices is not None:
        arms = [resolved(root, choice) for choice in choices]
    else:
        arms = [resolved(root, node)]
    many_objects = sum(arm.get("type") == "object" for arm in arms) > 1
    return {_kind(arm, titled=many_objects): arm for arm in arms}


def resolved(root: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What a node's reference, if it has one, leads to inside `root`."""
    while (reference := node.get("$ref")) is not None:
        target: Any = root
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def _kind(arm: dict[str, Any], *, titled: bool) -> str:
    name = str(arm.get("type", "anything"))
    if name == "object" and titled:
        return f"{name} {arm.get('title', '')}".rstrip()
    return f"{name} ({arm['format']})" if "format" in arm else name


def _values(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[Break]:
    before, after = _closed_values(old), _closed_values(new)
    if before is None and after is not None:
        yield Break(f"{at} was narrowed to {_listed(after)}", Harm.NEW_READERS)
    elif before is not None and after is None:
        widened = f"{at} was widened: it is no longer one of {_listed(before)}"
        yield Break(widened, Harm.OLD_READERS)
    elif before is not None and after is not None:
        if (lost := before - after) and "unknown" not in after:
            yield Break(f"{at} can no longer be {_listed(lost)}", Harm.NEW_READERS)
        elif lost:
            read = f"{at} can no longer be {_listed(lost)}, which is read as `unknown` now"
            yield Break(read, Harm.MISREAD)
        if (grown := after - before) and "unknown" not in before:
            without = f"{at} can now be {_listed(grown)}, and it has no `unknown`"
            yield Break(without, Harm.OLD_READERS)


def _closed_values(node: dict[str, Any]) -> set[Any] | None:
    if "const" in node:
        return {node["const"]}
    return set(node["enum"]) if "enum" in node else None


def _listed(values: set[Any]) -> str:
    return ", ".join(f"`{value}`" for value in sorted(values, key=str))


def _limits(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[Break]:
    for name in sorted(_LOWER | _UPPER):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None or after is None:
            narrowed = before is None
        else:
            narrowed = (after > before) == (name in _LOWER)
        verb = "narrowed" if narrowed else "widened"
        what = f"{at} was {verb}: {name} went from {_shown(before)} to {_shown(after)}"
        yield Break(what, Harm.NEW_READERS if narrowed else Harm.OLD_READERS)


def _changed(
    old: dict[str, Any], new: dict[str, Any], at: str, names: tuple[str, ...], harm: Harm
) -> Iterator[Break]:
    for name in names:
        if old.get(name) != new.get(name):
            what = f"{at} changed {name} from {_shown(old.get(name))} to {_shown(new.get(name))}"
            yield Break(what, Harm.MISREAD if name == "x-unit" else harm)


def _shown(value: Any) -> str:
    return "none" if value is None else json.dumps(value)
