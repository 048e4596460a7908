"""A release is a promise to readers who upgrade when they like; this holds the next one to it.

`python -m coterie_contracts.release 0.1.0` freezes schemas (what producers send), readers (what the
models take), topics and headers in `released/0.1.0/`, with a digest of each file and of each golden
example. Nothing there is ever written again. `make check` compares the models with the newest
release in both directions: by structure, then with generated data and the frozen examples.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from coterie_contracts.compatibility import Break, Harm, breaks
from coterie_contracts.model import EventBody
from coterie_contracts.sampling import edges
from coterie_contracts.schemas import headers, reader_schema, schema
from coterie_contracts.topics import TOPICS, Topic

__all__ = ["freeze", "main", "newest_release", "release_breaks"]

ROOT: Final = Path(__file__).resolve().parents[1]
_NUMBER: Final = re.compile(r"\d+\.\d+\.\d+")
_DIGESTS: Final = "SHA256SUMS"
_FIXED: Final = {
    "key": "order is kept within another key, and copies that go by it fall apart",
    "partitions": "a key moves to another partition, so its records are read out of order",
    "compacted": "who starts at the beginning misses records, or is told of every old one",
    "owner": "`ce_source` changes, by which readers tell senders apart",
}


def newest_release(root: Path) -> Path | None:
    """The folder `released/<major.minor.patch>` with the highest version, if there is one."""
    folders = [
        path for path in root.glob("released/*") if path.is_dir() and _NUMBER.fullmatch(path.name)
    ]
    return max(folders, key=lambda path: _parts(path.name), default=None)


def release_breaks(root: Path, topics: Sequence[Topic] = TOPICS) -> Iterator[str]:
    """One sentence for each thing that differs from the newest release and breaks somebody.

    Yields nothing where nothing was released.
    """
    if (release := newest_release(root)) is None:
        return
    yield from _touched(root)
    now = {topic.name: topic for topic in topics}
    known = {body.event_type(): (topic, body) for topic in now.values() for body in topic.bodies}
    frozen = _read(release / "topics.json")
    for found in breaks(frozen["headers"], headers(), "headers"):
        yield f"Since {release.name}, {found}."
    for name, promised in frozen["topics"].items():
        for sentence in _topic_breaks(name, promised, now.get(name)):
            yield f"Since {release.name}, {sentence}."
    readers = _read(release / "readers.json")
    for path in sorted((release / "schemas").glob("*.json")):
        old = _read(path)
        type_ = old["$id"].rpartition(":")[2]
        if type_ not in known:
            yield (
                f"Since {release.name}, {type_} is gone: its readers hear nothing any more; "
                f"publish it until its sunset, as one of `earlier` in its topic's row."
            )
            continue
        topic, body = known[type_]
        for found in type_breaks(old, readers[type_], topic, body):
            yield (
                f"Since {release.name}, {found} ({_whom(topic)}); "
                f"publish it as {_next_version(type_)} beside {type_.rpartition('.')[2]}."
            )


def type_breaks(
    old: dict[str, Any], reader: dict[str, Any], topic: Topic, body: type[EventBody]
) -> list[Break]:
    """How the type now breaks its release: by structure, and where that finds none, by data."""
    new = schema(topic, body)
    at = body.event_type()
    return breaks(old, new, at) or [*old_data(old, body, at), *new_data(new, reader, at)]


def old_data(old: dict[str, Any], body: type[EventBody], at: str) -> Iterator[Break]:
    """The first of the data that the frozen schema allows and today's model refuses."""
    for data in edges(old, old["examples"][0]):
        try:
            body.model_validate_json(json.dumps(data))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in fault["loc"])
            what = f"{at} refuses {_short(fault['input'])} in {field}, which was sent before"
            yield Break(what, Harm.NEW_READERS)
            return


def new_data(new: dict[str, Any], reader: dict[str, Any], at: str) -> Iterator[Break]:
    """The first of the data that today's schema allows and the frozen reader refuses."""
    validator = Draft202012Validator(reader)
    for data in edges(new, new["examples"][0]):
        if (fault := next(validator.iter_errors(data), None)) is not None:
            field = ".".join(str(part) for part in fault.absolute_path) or "the data"
            what = f"{at} may send {_short(fault.instance)} in {field}, which was refused before"
            yield Break(what, Harm.OLD_READERS)
            return


def freeze(root: Path, number: str, topics: Sequence[Topic] = TOPICS) -> Path:
    """Write `released/<number>/`; the folder. Raises `ValueError` with the reason not to."""
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{number!r} is no version: three numbers with dots, for example 0.2.0")
    newest = newest_release(root)
    if newest is not None and _parts(number) <= _parts(newest.name):
        raise ValueError(f"{number} is not higher than {newest.name}, which is released")
    found = next(release_breaks(root, topics), None)
    if found is not None:
        raise ValueError(found)
    folder = root / "released" / f".{number}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "schemas").mkdir(parents=True)
    types = [(topic, body) for topic in topics for body in topic.bodies]
    for topic, body in types:
        _write(folder / "schemas" / f"{topic.name}.v{body.version}.json", schema(topic, body))
    _write(folder / "readers.json", {body.event_type(): reader_schema(body) for _, body in types})
    promised = {topic.name: _promise(topic) for topic in topics}
    _write(folder / "topics.json", {"headers": headers(), "topics": promised})
    whole = folder.rename(root / "released" / number)
    files = sorted([*whole.rglob("*.json"), *(root / "examples").rglob("*.json")])
    sums = [f"{_digest(path)}  {path.relative_to(root).as_posix()}\n" for path in files]
    (whole / _DIGESTS).write_text("".join(sums))
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Freeze the contracts as a version; returns the exit code."""
    parser = argparse.ArgumentParser(description="Freeze the contracts as a release.")
    parser.add_argument("version", help="as in contracts/pyproject.toml, for example 0.1.0")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of the contracts")
    given = parser.parse_args(arguments)
    if given.version != (packaged := version("coterie-contracts")):
        sys.stderr.write(f"the package is {packaged}: set `version` in pyproject.toml first\n")
        return 1
    try:
        folder = freeze(given.root, given.version)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"released {given.version} in {folder}: commit it as it is\n")
    return 0


def _topic_breaks(name: str, promised: dict[str, Any], topic: Topic | None) -> Iterator[str]:
    if topic is None:
        yield f"topic {name} is gone or has another name: its readers hear nothing any more"
        return
    now = _promise(topic)
    for field, consequence in _FIXED.items():
        if promised[field] != now[field]:
            what = f"topic {name} changed {field} from {promised[field]} to {now[field]}"
            yield f"{what}: {consequence} ({_whom(topic)})"
    before, after = promised["retention_ms"], now["retention_ms"]
    if after != -1 and (before == -1 or after < before):
        kept = "for ever" if before == -1 else f"{before} ms"
        yield (
            f"topic {name} keeps records for {after} ms, which it kept {kept}: "
            f"who starts at the beginning misses some ({_whom(topic)})"
        )


def _promise(topic: Topic) -> dict[str, Any]:
    """What of a topic's row a reader builds on. Lanes and consumers are our own affair."""
    return {
        "owner": topic.owner,
        "key": topic.key,
        "partitions": topic.partitions,
        "retention_ms": topic.retention_ms,
        "compacted": topic.compacted,
    }


def _touched(root: Path) -> Iterator[str]:
    """Files of any release that are not as they were released."""
    for sums in sorted(root.glob(f"released/*/{_DIGESTS}")):
        number = sums.parent.name
        for line in sums.read_text().splitlines():
            digest, _, name = line.partition("  ")
            path = root / name
            if not path.is_file():
                yield f"{name} was released in {number} and is gone: take it from history."
            elif _digest(path) != digest:
                yield f"{name} was released in {number} and was changed: take it from history."


def _whom(topic: Topic) -> str:
    return f"hit: {', '.join([*topic.consumers, 'every other subscriber'])}"


def _next_version(type_: str) -> str:
    stem, _, number = type_.rpartition(".v")
    return f"{stem}.v{int(number) + 1}"


def _parts(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split("."))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:40]}… ({len(text)} characters)"


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
