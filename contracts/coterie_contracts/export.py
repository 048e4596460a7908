"""JSON Schemas, one AsyncAPI document, a page an event and golden examples, all from the models.

`python -m coterie_contracts.export` writes what is missing or stale; with `--check` it writes
nothing and names every file that is, and every break with the newest release. An example that
exists is never written again, because its bytes must decode for ever.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from coterie_contracts.asyncapi import asyncapi, readable
from coterie_contracts.envelope import Message, encode
from coterie_contracts.model import EventBody
from coterie_contracts.pages import contents, page, page_name
from coterie_contracts.release import release_breaks
from coterie_contracts.samples import sample
from coterie_contracts.schemas import schema
from coterie_contracts.topics import TOPICS, Topic

__all__ = ["golden", "main"]

ROOT: Final = Path(__file__).resolve().parents[1]


def golden(topic: Topic, body: type[EventBody]) -> dict[Path, str]:
    """The example of a version of an event, readable and as exact bytes, by file."""
    event = sample(topic, body)
    folder = ROOT / "examples" / topic.name / f"v{body.version}"
    return {
        folder / "example.json": _pretty(readable(event)),
        folder / "example.record.json": _pretty(record(encode(event))),
    }


def record(message: Message) -> dict[str, Any]:
    """The bytes of a record in base64."""
    value = None if message.value is None else base64.b64encode(message.value).decode()
    return {
        "topic": message.topic,
        "key": base64.b64encode(message.key).decode(),
        "headers": [[name, base64.b64encode(raw).decode()] for name, raw in message.headers],
        "value": value,
    }


def main(arguments: list[str] | None = None) -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name stale files")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of the contracts")
    given = parser.parse_args(arguments)
    faults = list(_check(given.root)) if given.check else []
    if not given.check:
        _write(given.root)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


def _versions() -> Iterator[tuple[Topic, type[EventBody]]]:
    return ((topic, body) for topic in TOPICS for body in topic.bodies)


def _generated() -> dict[Path, str]:
    files = {ROOT / "pages" / "README.md": contents()}
    for topic, body in _versions():
        file = ROOT / "schemas" / f"{topic.name}.v{body.version}.json"
        files[file] = _pretty(schema(topic, body))
        files[ROOT / "pages" / page_name(topic, body)] = page(topic, body)
    text = yaml.dump(asyncapi(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    files[ROOT / "asyncapi.yaml"] = text
    return files


def _examples() -> dict[Path, str]:
    return {path: text for topic, body in _versions() for path, text in golden(topic, body).items()}


def _check(root: Path) -> Iterator[str]:
    generated = {root / path.relative_to(ROOT): text for path, text in _generated().items()}
    examples = {root / path.relative_to(ROOT) for path in _examples()}
    for path, text in generated.items():
        if not path.is_file():
            yield f"{path.relative_to(root)} is missing: run `make contracts`"
        elif path.read_text() != text:
            yield f"{path.relative_to(root)} differs from the models: run `make contracts`"
    for path in sorted(examples):
        if not path.is_file():
            yield f"{path.relative_to(root)} is missing: run `make contracts`"
    known = generated.keys() | examples
    present = [
        *(root / "schemas").glob("*"),
        *(root / "pages").glob("*"),
        *(root / "examples").rglob("*.json"),
    ]
    for path in sorted(present):
        if path not in known:
            yield f"{path.relative_to(root)} belongs to no topic: delete it"
    yield from release_breaks(root)


def _write(root: Path) -> None:
    for path, text in _generated().items():
        _put(root / path.relative_to(ROOT), text)
    for path, text in _examples().items():
        if not (target := root / path.relative_to(ROOT)).is_file():
            _put(target, text)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class _Plain(yaml.SafeDumper):
    """Repeats what is repeated: an anchor is one thing more that a reader's tool may not take."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
