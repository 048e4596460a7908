"""Every record of a version is readable by every reader of that version, older or newer.

Records are kept for ever and other teams upgrade when they like, so both directions count: a new
reader meets old records, an old reader meets new ones. Readers ignore fields that they do not
know and read unknown values of an enumeration that has `unknown`; all else that differs in what
is sent is a break, widening too, and needs a new version of the type. Texts (titles,
descriptions, examples) are free.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["breaks", "newest_release", "release_breaks"]

_LOWER: Final = {"minimum", "exclusiveMinimum", "minLength", "minItems"}
_UPPER: Final = {"maximum", "exclusiveMaximum", "maxLength", "maxItems"}
_EXACT: Final = ("additionalProperties", "multipleOf", "pattern", "uniqueItems")
_RELEASE: Final = re.compile(r"\d+\.\d+\.\d+")


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One sentence for each way in which a reader of `old` or `new` fails on the other's records.

    Both are JSON Schemas as `export` writes them: local `$ref`, `anyOf` of alternatives, arrays
    of one item type.
    """
    return list(_Comparison(old, new).node(old, new, "data"))


def newest_release(root: Path) -> Path | None:
    """The folder `released/<major.minor.patch>` with the highest version, if there is one."""
    folders = [
        path for path in root.glob("released/*") if path.is_dir() and _RELEASE.fullmatch(path.name)
    ]
    return max(folders, key=lambda path: tuple(int(n) for n in path.name.split(".")), default=None)


def release_breaks(root: Path) -> Iterator[str]:
    """The breaks of `schemas/` against the newest release; none where nothing was released."""
    if (release := newest_release(root)) is None:
        return
    for path in sorted(release.glob("*.json")):
        current = root / "schemas" / path.name
        if not current.is_file():
            yield f"schemas/{path.name} was released in {release.name} and is gone"
            continue
        old, new = json.loads(path.read_text()), json.loads(current.read_text())
        for sentence in breaks(old, new):
            yield f"schemas/{path.name} breaks release {release.name}: {sentence}"


class _Comparison:
    """Walks two schemas side by side; a pair of definitions is compared once, recursive or not."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str]] = set()

    def node(self, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if all(pair):
            if pair in self._seen:
                return
            self._seen.add(pair)
        before, after = _arms(self._old, old), _arms(self._new, new)
        gone, came = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
        if gone and came:
            yield f"{at} changed from {' or '.join(gone)} to {' or '.join(came)}"
        elif gone:
            yield f"{at} was narrowed: it may no longer be {' or '.join(gone)}"
        elif came:
            yield f"{at} was widened: it may now be {' or '.join(came)}"
        if "default" in old and "default" in new:
            yield from _changed(old, new, at, ("default",))
        for kind in sorted(before.keys() & after.keys()):
            yield from self._alike(before[kind], after[kind], at)

    def _alike(self, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
        yield from _values(old, new, at)
        yield from _limits(old, new, at)
        yield from _changed(old, new, at, _EXACT)
        yield from self._properties(old, new, at)
        if "items" in old and "items" in new:
            yield from self.node(old["items"], new["items"], f"{at}[]")
        elif ("items" in old) != ("items" in new):
            yield f"{at} changed what its items are"

    def _properties(self, old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        always_before, always_now = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(before.keys() - after.keys()):
            yield f"{at}.{name} was removed"
        for name in sorted(after.keys() - before.keys()):
            if name in always_now:
                yield f"{at}.{name} was added without a default, and older records lack it"
        for name in sorted(before.keys() & after.keys()):
            if name in always_before - always_now:
                yield f"{at}.{name} is no longer always there"
            elif name in always_now - always_before:
                yield f"{at}.{name} became required, and older records may lack it"
            yield from self.node(before[name], after[name], f"{at}.{name}")


def _arms(root: dict[str, Any], node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The alternatives of a node by what tells them apart, references resolved."""
    choices = node.get("anyOf") or node.get("oneOf")
    if choices is not None:
        arms = [_resolved(root, choice) for choice in choices]
    else:
        arms = [_resolved(root, node)]
    many_objects = sum(arm.get("type") == "object" for arm in arms) > 1
    return {_kind(arm, titled=many_objects): arm for arm in arms}


def _resolved(root: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
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


def _values(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    before, after = _closed_values(old), _closed_values(new)
    if before is None and after is not None:
        yield f"{at} was narrowed to {_listed(after)}"
    elif before is not None and after is None:
        yield f"{at} was widened: it is no longer one of {_listed(before)}"
    elif before is not None and after is not None:
        if lost := before - after:
            yield f"{at} can no longer be {_listed(lost)}, which older records hold"
        if (grown := after - before) and "unknown" not in before:
            yield f"{at} can now be {_listed(grown)}, and its readers have no `unknown`"


def _closed_values(node: dict[str, Any]) -> set[Any] | None:
    if "const" in node:
        return {node["const"]}
    return set(node["enum"]) if "enum" in node else None


def _listed(values: set[Any]) -> str:
    return ", ".join(f"`{value}`" for value in sorted(values, key=str))


def _limits(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    for name in sorted(_LOWER | _UPPER):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None or after is None:
            narrowed = before is None
        else:
            narrowed = (after > before) == (name in _LOWER)
        verb = "narrowed" if narrowed else "widened"
        yield f"{at} was {verb}: {name} went from {_shown(before)} to {_shown(after)}"


def _changed(
    old: dict[str, Any], new: dict[str, Any], at: str, names: tuple[str, ...]
) -> Iterator[str]:
    for name in names:
        if old.get(name) != new.get(name):
            yield f"{at} changed {name} from {_shown(old.get(name))} to {_shown(new.get(name))}"


def _shown(value: Any) -> str:
    return "none" if value is None else json.dumps(value)
