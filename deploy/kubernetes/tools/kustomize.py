"""The one version of kustomize that overlays are rendered with, built from its Go module.

`python -m deploy.kubernetes.tools.kustomize` brings it into `build/bin`, once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["OVERLAYS", "Missing", "fetch", "missing", "render"]

ROOT: Final = Path(__file__).resolve().parents[3]
OVERLAYS: Final = ROOT / "deploy" / "kubernetes" / "overlays"
_VERSION: Final = "v5.0.3"  # the newest that Debian 12's Go can build
_MODULE: Final = "sigs.k8s.io/kustomize/kustomize/v5"
_HOME: Final = ROOT / "build" / "bin" / f"kustomize-{_VERSION}"
_BINARY: Final = _HOME / "kustomize"


class Missing(Exception):
    """kustomize is not here; the message says what to do."""


def missing() -> str | None:
    """What to do before anything can be rendered, or None."""
    if _BINARY.exists():
        return None
    if shutil.which("go") is None:
        return (
            "kustomize is built by Go and there is no `go`: install Go 1.19 or later "
            "(Debian: `apt-get install golang-go`), then `make kustomize`"
        )
    return "kustomize is not built yet: run `make kustomize`"


def fetch() -> None:
    """Build it where it is missing; processes that do so at once wait. Raises `Missing`."""
    _HOME.mkdir(parents=True, exist_ok=True)
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _BINARY.exists():
            return
        go = shutil.which("go")
        if go is None:
            raise Missing(str(missing()))
        sys.stdout.write("Building kustomize, once; it takes a minute\n")
        outcome = subprocess.run(  # noqa: S603 - our own command
            [go, "install", f"{_MODULE}@{_VERSION}"],
            env=os.environ | {"GOBIN": str(_HOME)},
            cwd=_HOME,
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            said = outcome.stderr.strip().splitlines()[-1:]
            raise Missing(f"Go could not build kustomize {_VERSION}: {' '.join(said)}")


@cache
def render(overlay: str) -> tuple[dict[str, Any], ...]:
    """The resources of an overlay. Raises `Missing`, and `ValueError` for what it refuses."""
    if (what := missing()) is not None:
        raise Missing(what)
    outcome = subprocess.run(  # noqa: S603 - our own command
        [str(_BINARY), "build", str(OVERLAYS / overlay)],
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode != 0:
        raise ValueError(outcome.stderr.strip())
    return tuple(yaml.load_all(outcome.stdout, Loader=yaml.CSafeLoader))


if __name__ == "__main__":
    try:
        fetch()
    except Missing as fault:
        sys.stderr.write(f"{fault}\n")
        raise SystemExit(2) from None
