"""Files of lines, plain or compressed with Zstandard, read and written as a stream.

A compressed file may be several frames one after another: a tape's header is one of its own.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any, Final, cast

from coterie_replay.faults import ReplayFault

__all__ = ["CountingFile", "open_read", "open_write"]

_CHUNK: Final = 2**17


class CountingFile(io.RawIOBase):
    """A file that tells how much of it has been read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self.read_bytes += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Zstd(io.RawIOBase):
    """What the decompressor reads, with its errors as `OSError`s."""

    def __init__(self, file: CountingFile) -> None:
        zstandard = _zstandard()
        self._faults = zstandard.ZstdError
        self._stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return cast("int", self._stream.readinto(buffer))
        except self._faults as error:
            raise OSError(f"it is not compressed as it should be ({error})") from None

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_read(path: Path) -> tuple[CountingFile, IO[bytes]]:
    """The file and its lines, decompressed where its name ends with `.zst`."""
    file = CountingFile(path)
    raw: io.RawIOBase = _Zstd(file) if path.suffix == ".zst" else file
    return file, cast("IO[bytes]", io.BufferedReader(raw, _CHUNK))


def open_write(path: Path, *, compressed: bool) -> IO[bytes]:
    """A new file; with `compressed` one frame of Zstandard."""
    if not compressed:
        return path.open("wb")
    zstandard = _zstandard()
    return cast("IO[bytes]", zstandard.open(path, "wb", cctx=zstandard.ZstdCompressor(level=6)))


def _zstandard() -> Any:
    try:
        import zstandard  # noqa: PLC0415 - an extra
    except ImportError:
        raise ReplayFault(
            "a tape that ends with .zst needs Zstandard: pip install 'coterie-replay[zstd]'"
        ) from None
    return zstandard
