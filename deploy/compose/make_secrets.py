"""Writes the secrets of `deploy/compose.yaml`, at random and once: what is there stays.

Needs Python alone. Containers run as nobody and read the files, so these are readable and their
folder is closed to everybody else. Keep them: codes and bans cannot be read with other keys.
"""

from __future__ import annotations

import json
import secrets
import sys
from base64 import b64encode
from pathlib import Path

SERVICES = ("membership", "feedback", "recognition", "notifications")


def make(folder: Path) -> list[str]:
    """Write what is missing in `folder`; the names of the files that were written."""
    folder.mkdir(mode=0o700, exist_ok=True)
    written = _write(folder, "postgres_password", secrets.token_urlsafe(24))
    for service in SERVICES:
        written += _write(folder, f"{service}_password", secrets.token_urlsafe(24))
        password = (folder / f"{service}_password").read_text()
        url = f"postgresql://{service}:{password}@postgres/{service}"
        written += _write(folder, f"{service}_database_url", url)
    written += _write(folder, "identity_key", secrets.token_urlsafe(32))
    code_key = b64encode(secrets.token_bytes(32)).decode()
    written += _write(folder, "code_keys", json.dumps({"first": code_key}))
    return written


def _write(folder: Path, name: str, secret: str) -> list[str]:
    path = folder / name
    if path.exists():
        return []
    path.write_text(secret)
    path.chmod(0o444)
    return [name]


if __name__ == "__main__":
    made = make(Path(__file__).parent / "secrets")
    sys.stdout.write(f"{len(made)} secrets written, others were there\n")
