"""Look once and say how it is, or look again and again until Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from rich.console import Console
from rich.live import Live

from coterie_chassis.auth import Role
from coterie_local.data_folder import running_in
from coterie_local.interruptible import Interruptible
from coterie_local.options import DATA
from coterie_local.status.asking import Glance, Place, look
from coterie_local.status.frame import frame
from coterie_local.status.judging import Trouble, troubles
from coterie_local.tokens import TokenIssuer
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.processes import LocalFault

__all__ = ["Source", "show", "source_of"]

_TOKEN: Final = "COTERIE_TOKEN"  # noqa: S105 - the variable's name


class Source(Protocol):
    """Where services are found, and with what token they are asked."""

    def places(self) -> Sequence[Place]:
        """Called before each look. Raises `LocalFault` when there is nothing to look at."""
        ...

    def token(self) -> str: ...

    def command(self, service: str, rest: str) -> str:
        """How a command of a service is typed here."""
        ...


def source_of(data: Path, urls: Sequence[str], token_file: Path | None) -> Source:
    """The services at `urls`, or those of the platform on `data`.

    Raises `LocalFault` for what is no URL, for `urls` without a token, and for a `token_file` that
    cannot be read.
    """
    if urls:
        return _Elsewhere(tuple(map(_place, urls)), _given_token(token_file))
    if token_file is not None:
        raise LocalFault("--token-file goes with --url: on --data a token is made for each look")
    return _Here(data)


def show(console: Console, source: Source, *, once: bool, as_json: bool, every_s: float) -> bool:
    """Print one frame, or frame after frame on a terminal until Ctrl-C.

    Returns whether all was well; who watched has seen it, and that is well.
    """
    glance = _look(source)
    found = troubles(glance, source.command)
    if as_json:
        sys.stdout.write(json.dumps(_plain(glance, found), indent=2) + "\n")
        return not found
    if not once and console.is_terminal:
        with Interruptible(), Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(frame(glance, found), refresh=True)
                time.sleep(every_s)
                glance = _look(source)
                found = troubles(glance, source.command)
        console.print(frame(glance, found))
        return True
    console.print(frame(glance, found))
    return not found


@dataclass(frozen=True, slots=True)
class _Here:
    """The platform on a data folder, whose issuer makes a token for each look."""

    data: Path

    def places(self) -> Sequence[Place]:
        if (running := running_in(self.data)) is None:
            raise LocalFault(f"no platform runs on {self.data}: start one with `coterie up`")
        return [Place(url, name) for name, url in running.services.items()]

    def token(self) -> str:
        return TokenIssuer(self.data / "tokens").mint("olu", [Role.OPERATOR])

    def command(self, service: str, rest: str) -> str:
        data = "" if self.data == DATA else f" --data {shlex.quote(str(self.data))}"
        return f"coterie service {service} {rest}{data}"


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Services at addresses, asked with a token that somebody brought."""

    addresses: tuple[Place, ...]
    given: str

    def places(self) -> Sequence[Place]:
        return self.addresses

    def token(self) -> str:
        return self.given

    def command(self, service: str, rest: str) -> str:
        return f"coterie-{service} {rest}"


def _look(source: Source) -> Glance:
    places = source.places()
    return block_on(look(places, source.token()))


def _plain(glance: Glance, found: Sequence[Trouble]) -> dict[str, Any]:
    """What `--json` prints: every answer whole, and what needs somebody."""
    return {
        "at": glance.at.isoformat(),
        "healthy": not found,
        "troubles": [asdict(trouble) for trouble in found],
        "instances": [
            {
                "name": instance.name,
                "url": instance.place.url,
                "problem": instance.problem,
                "status": instance.status and instance.status.model_dump(mode="json"),
            }
            for instance in glance.instances
        ],
        "seats": [circle.model_dump() for circle in glance.circles],
        "budgets": [budget.model_dump() for budget in glance.budgets],
        "more": sorted(glance.more),
    }


def _place(url: str) -> Place:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise LocalFault(f"--url {url!r} is no address such as http://127.0.0.1:8000")
    return Place(url.rstrip("/"))


def _given_token(file: Path | None) -> str:
    if file is None:
        token = os.environ.get(_TOKEN, "")
    else:
        try:
            token = file.read_text()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise LocalFault(f"--token-file {file} cannot be read: {reason}") from None
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        raise LocalFault(
            f"--url needs a token with the role operator: name its file with --token-file, or set "
            f"{_TOKEN}"
        )
    return token
