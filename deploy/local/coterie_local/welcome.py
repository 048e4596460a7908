"""What a person needs in front of a running platform: addresses, tokens, requests to try."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from rich.console import Console
from rich.table import Table

from coterie_chassis.auth import Role
from coterie_local.platform import Platform
from coterie_local.secrets_store import write_private
from coterie_local.tokens import ISSUER

__all__ = ["LOCAL_BRAND", "Request", "curl", "greet", "token_files"]

LOCAL_BRAND: Final = uuid5(NAMESPACE_URL, ISSUER)
_PEOPLE: Final = {
    Role.APPLICANT: "zoe",
    Role.MEMBER: "ada",
    Role.HOST: "hana",
    Role.MANAGER: "mia",
    Role.OPERATOR: "olu",
    Role.IMPORTER: "ines",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A `curl` line and what it does, in words."""

    deed: str
    line: str


def greet(
    console: Console,
    platform: Platform,
    *,
    requests: Sequence[Request],
    commands: Sequence[str] = (),
    people: Mapping[Role, str] | None = None,
) -> None:
    """Print a token per role, the services, and what to try: `curl` lines, then commands.

    `people` names the subject of a role's token, where that is not the usual person.
    """
    whose = _PEOPLE | dict(people or {})
    console.print("\nA token per role, good for a day; each line names the file that holds it too:")
    for role, path in token_files(platform, whose).items():
        console.print(f"[bold]{role.value}[/] ({whose[role]}) {_short(path)}", soft_wrap=True)
        console.print(path.read_text(), soft_wrap=True)
    console.print()
    console.print(_addresses(platform))
    console.print(
        "On such a page, Authorize takes a token. To try in another terminal, in this folder:\n"
    )
    for number, request in enumerate(requests, start=1):
        console.print(f"[bold]# {number}. {request.deed}[/]", soft_wrap=True)
        console.print(request.line, soft_wrap=True, markup=False)
    if commands:
        program, data = _short(Path(sys.argv[0]).resolve()), _short(platform.folder.path)
        console.print("\n[bold]# What the log tells of it[/]")
        for command in commands:
            console.print(f"{program} {command} --data {data}", soft_wrap=True, markup=False)
    console.print()


def token_files(platform: Platform, people: Mapping[Role, str] = _PEOPLE) -> dict[Role, Path]:
    """A fresh token per role in a file of its own, readable by its owner alone."""
    files = {}
    for role, subject in people.items():
        roles = {role, Role.MEMBER} if role is Role.APPLICANT else {role}
        path = platform.folder.tokens / f"{role.value}.jwt"
        write_private(path, platform.tokens.mint(subject, roles, brand=LOCAL_BRAND))
        files[role] = path
    return files


def curl(
    platform: Platform,
    service: str,
    method: str,
    path: str,
    *,
    role: Role,
    body: str | None = None,
    key: str | None = None,
) -> str:
    """One line that any POSIX shell takes as it is; it reads the role's token from its file."""
    token = _short(platform.folder.tokens / f"{role.value}.jwt")
    parts = ["curl -s"] if method == "GET" else [f"curl -s -X {method}"]
    parts.append(shlex.quote(platform.urls[service] + path))
    parts.append(f'-H "Authorization: Bearer $(cat {token})"')
    if key is not None:
        parts.append(f"-H 'Idempotency-Key: {key}'")
    if body is not None:
        parts.append(f"-H 'Content-Type: application/json' -d {shlex.quote(body)}")
    return " ".join([*parts, "| python3 -m json.tool"])


def _addresses(platform: Platform) -> Table:
    table = Table(title="Coterie is up", title_justify="left")
    for heading in ("service", "address", "interactive API page"):
        table.add_column(heading)
    for name, url in platform.urls.items():
        table.add_row(name, url, f"{url}/docs")
    table.add_row("broker", platform.kafka, "")
    return table


def _short(path: Path) -> str:
    """The path as a shell takes it, from here where it lies below."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
