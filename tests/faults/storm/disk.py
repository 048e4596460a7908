"""A file system that is small enough to be filled: a tmpfs, which only root may mount."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["missing_disk", "mount_small_disk", "unmount"]

_SIZE: Final = "400m"


@functools.cache
def missing_disk() -> str | None:
    """Why no small disk is to be had here, or None."""
    if os.name != "posix" or os.getuid() != 0 or shutil.which("mount") is None:
        return "a full disk needs a file system of its own, which only root may mount"
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount_small_disk(Path(folder))
        except subprocess.CalledProcessError as error:
            return f"a full disk needs a file system of its own, and mount says {error.stderr!r}"
        unmount(Path(folder))
    return None


def mount_small_disk(at: Path) -> None:
    """Raises `CalledProcessError` where that is not allowed."""
    at.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "tmpfs", str(at)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def unmount(at: Path) -> None:
    """Does nothing where nothing is mounted."""
    subprocess.run(["umount", "--lazy", str(at)], check=False, capture_output=True)
