"""What `deploy/Dockerfile` puts into an image, made without an engine.

The build stage's own instructions are read and carried out in a folder: what a COPY does not bring
is not there, and what a RUN does not install cannot be imported.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One line of a stage, with continuation lines joined and SERVICE put in."""

    name: str
    rest: str


def stages(service: str) -> list[list[Instruction]]:
    """The instructions of each stage, its FROM first; what stands before them is left out."""
    found: list[list[Instruction]] = []
    for line in _lines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append(Instruction(name, rest.replace("${SERVICE}", service)))
    return found


def build(service: str, folder: Path) -> Path:
    """Carry out the build stage in `folder`; its virtual environment."""
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    environment = folder / ".venv"
    for step in stages(service)[0]:
        match step.name, shlex.split(step.rest):
            case "COPY", [*sources, target]:
                _copy(sources, folder, target)
            case "RUN", ["uv", "sync", *options]:
                _run([uv, "sync", "--offline", "--python", sys.executable, *options], folder)
            case "RUN", ["ln", *arguments]:
                _run(["ln", *arguments], folder)
            case "RUN", ["pip", *_]:
                continue  # brings uv, which is here
            case "RUN", other:
                raise AssertionError(f"this test does not know how to run {other}")
    return environment


def _copy(sources: list[str], folder: Path, target: str) -> None:
    for source in sources:
        path, to = ROOT / source, folder / target
        if path.is_dir():
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, to, ignore=leave, dirs_exist_ok=True)
        else:
            to = to / path.name if target.endswith("/") else to
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)


def _run(command: list[str], folder: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name in {"HOME", "PATH", "TMPDIR"}
    }
    subprocess.run(
        command,
        cwd=folder,
        env=environment | {"UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "hardlink"},
        check=True,
        capture_output=True,
        text=True,
    )


def _lines() -> Iterator[str]:
    whole = ""
    for line in DOCKERFILE.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        whole += line.removesuffix("\\")
        if not line.endswith("\\"):
            yield whole
            whole = ""
