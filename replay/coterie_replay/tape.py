"""A file of records: a header line, then one line a record; with `.zst` all of it compressed.

The header tells what stands behind it, so records wait in a file beside the tape until their last
one is known: a tape under its final name is complete, whatever ended the program. Reading and
writing hold one record at a time. The digest is over records, not lines: two tapes with the same
digest hold the same, however they are written or compressed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from coterie_replay.faults import ReplayFault
from coterie_replay.files import CountingFile, open_read, open_write
from coterie_replay.lines import from_line, to_line
from coterie_replay.record import Record, holds_contact_data

__all__ = ["FORMAT", "Digest", "Header", "TapeReader", "TapeWriter", "write_tape"]

FORMAT: Final = 1
_LONGEST_LINE: Final = 64 * 2**20  # a record of Kafka's is at most a few MB


class Header(BaseModel):
    """What a tape holds. Everything but the format may be missing on one written by hand.

    `types` counts records by event type, whose last part is the version of its schema;
    `partitions` is the count of each topic where it was recorded. `first` and `last` are the
    earliest and latest `time` of its events.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    coterie_tape: int = Field(description="version of this format")
    contracts: str | None = Field(default=None, description="version of coterie-contracts")
    written: AwareDatetime | None = None
    records: int | None = Field(default=None, ge=0)
    first: AwareDatetime | None = None
    last: AwareDatetime | None = None
    types: dict[str, int] = {}
    partitions: dict[str, int] = {}
    digest: str | None = None


class Digest:
    """SHA-256 over everything that a record is, record after record."""

    def __init__(self) -> None:
        self._hash = sha256()

    def add(self, record: Record) -> None:
        place = f"{record.topic}/{record.partition}/{record.offset}/{record.timestamp}"
        parts: list[bytes | None] = [place.encode(), record.key, record.value]
        for name, value in record.headers:
            parts += [name.encode(), value]
        told = [b"-" if part is None else b"%d:%b" % (len(part), part) for part in parts]
        self._hash.update(b"%d;%b;" % (len(told), b";".join(told)))

    def __str__(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class TapeReader:
    """The records of a tape in their order; each iteration reads from the beginning.

    Iterating raises `ReplayFault` naming the line for anything that is no record, for contact
    data, and at the end where records are missing.
    """

    def __init__(self, path: Path) -> None:
        """Reads the header; raises `ReplayFault` where the file is no tape that this reads."""
        self.path = path
        self.total_bytes = 0
        self._file: CountingFile | None = None
        with self._open() as lines:
            self.header = self._header(self._line(lines, 1))

    @property
    def read_bytes(self) -> int:
        """How much of `total_bytes` the running iteration has read, as they lie on disk."""
        return 0 if self._file is None else self._file.read_bytes

    def __iter__(self) -> Iterator[Record]:
        with self._open() as lines:
            self._line(lines, 1)
            number = 1
            while line := self._line(lines, number + 1):
                number += 1
                yield self._record(line, number)
        if self.header.records not in {None, number - 1}:
            raise ReplayFault(
                f"{self.path} holds {number - 1:,} of the {self.header.records:,} records that "
                "its header names: it was cut short or edited"
            )

    def _open(self) -> IO[bytes]:
        try:
            self.total_bytes = self.path.stat().st_size
            self._file, stream = open_read(self.path)
        except OSError as error:
            raise ReplayFault(f"{self.path} cannot be read: {error.strerror}") from None
        return stream

    def _line(self, lines: IO[bytes], number: int) -> bytes:
        try:
            line = lines.readline(_LONGEST_LINE)
        except OSError as error:  # what the decompressor raises is one, too
            raise ReplayFault(f"{self.path}, line {number} cannot be read: {error}") from None
        if len(line) == _LONGEST_LINE:
            raise ReplayFault(f"{self.path}, line {number} is longer than any record")
        return line

    def _header(self, line: bytes) -> Header:
        try:
            header = Header.model_validate_json(line)
        except ValidationError:
            raise ReplayFault(
                f"{self.path} is no tape: its first line is no header "
                f'like {{"coterie_tape": {FORMAT}}}'
            ) from None
        if header.coterie_tape != FORMAT:
            raise ReplayFault(
                f"{self.path} is a tape of format {header.coterie_tape}; this coterie-replay "
                f"reads format {FORMAT}"
            )
        return header

    def _record(self, line: bytes, number: int) -> Record:
        try:
            record = from_line(line)
        except ValueError as error:
            raise ReplayFault(f"{self.path}, line {number} is no record: {error}") from None
        if holds_contact_data(record):
            raise ReplayFault(
                f"{self.path}, line {number} holds contact data, which no tape may hold: "
                "delete the tape"
            )
        return record


class TapeWriter:
    """Writes a tape; it appears under its name when the `with` block ends.

    A block that ends with an exception leaves nothing, with `keep_partial` a valid tape of what
    was written until then. `left_out` counts records of contact data, which are never written.
    """

    def __init__(
        self,
        path: Path,
        partitions: Mapping[str, int] | None = None,
        *,
        overwrite: bool = False,
        keep_partial: bool = False,
    ) -> None:
        """Raises `ReplayFault` where a file of that name is there or none can be written."""
        if path.exists() and not overwrite:
            raise ReplayFault(f"{path} is there already: name another file, or pass --force")
        self.path = path
        self.left_out = 0
        self.types: Counter[str] = Counter()
        self.records = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self._digest = Digest()
        self._partitions = dict(partitions or {})
        self._keep_partial = keep_partial
        self._waiting = path.with_name(f".{path.name}.part")
        try:
            self._lines = open_write(self._waiting, compressed=_compressed(path))
        except OSError as error:
            raise ReplayFault(f"{path} cannot be written: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def write(self, record: Record) -> None:
        if holds_contact_data(record):
            self.left_out += 1
            return
        self._lines.write(to_line(record))
        self._lines.write(b"\n")
        self._digest.add(record)
        self.records += 1
        self.types[record.type or ""] += 1
        happened = record.happened
        self.first = min(self.first or happened, happened)
        self.last = max(self.last or happened, happened)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()
        try:
            if kind is None or self._keep_partial:
                self._finish()
        finally:
            self._waiting.unlink(missing_ok=True)

    @property
    def header(self) -> Header:
        """Of what has been written until now."""
        return Header(
            coterie_tape=FORMAT,
            contracts=version("coterie-contracts"),
            written=datetime.now(UTC),
            records=self.records,
            first=self.first,
            last=self.last,
            types={name or "no event": count for name, count in sorted(self.types.items())},
            partitions=self._partitions,
            digest=str(self._digest),
        )

    def _finish(self) -> None:
        whole = self.path.with_name(f".{self.path.name}.new")
        try:
            with open_write(whole, compressed=_compressed(self.path)) as head:
                head.write(self.header.model_dump_json(exclude_none=True).encode() + b"\n")
            with whole.open("ab") as target, self._waiting.open("rb") as source:
                shutil.copyfileobj(source, target)
            whole.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                whole.unlink(missing_ok=True)
            raise ReplayFault(f"{self.path} cannot be written: {error.strerror}") from None


def write_tape(path: Path, records: Iterable[Record], *, overwrite: bool = False) -> Header:
    """Write `records` as a tape; its header."""
    with TapeWriter(path, overwrite=overwrite) as tape:
        for record in records:
            tape.write(record)
    return tape.header


def _compressed(path: Path) -> bool:
    return path.suffix == ".zst"
