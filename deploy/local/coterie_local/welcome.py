"""What a person needs in front of a running platform: addresses, tokens, requests to try."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from rich.console import Console
from rich.table import Table

from coterie_chassis.auth import Role
from coterie_local.platform import Platform
from coterie_local.secrets_store import write_private
from coterie_local.tokens import ISSUER

__all__ = ["LOCAL_BRAND", "curl", "greet", "token_files"]

LOCAL_BRAND: Final = uuid5(NAMESPACE_URL, ISSUER)
_PEOPLE: Final = {
    Role.APPLICANT: "ada",
    Role.MEMBER: "ben",
    Role.HOST: "hana",
    Role.MANAGER: "mia",
    Role.OPERATOR: "olu",
    Role.IMPORTER: "ines",
}


def greet(
    console: Console,
    platform: Platform,
    *,
    brand: UUID = LOCAL_BRAND,
    people: dict[Role, str] | None = None,
    requests: Sequence[str] = (),
) -> None:
    """Print the services, a token per role of `brand`, and `requests` (see `curl`) to try.

    `people` names the subject of each role's token; an applicant is a member once admitted.
    """
    table = Table(title="Coterie is up", title_justify="left")
    for heading in ("service", "address", "interactive API page"):
        table.add_column(heading)
    for name, url in platform.urls.items():
        table.add_row(name, url, f"{url}/docs")
    table.add_row("broker", platform.kafka, "")
    console.print(table)
    console.print("A token per role, for `Authorization: Bearer …` (also in these files):")
    for role, path in token_files(platform, brand=brand, people=people).items():
        console.print(f"  [bold]{role.value}[/] {path}")
        console.print(f"    {path.read_text()}", soft_wrap=True, highlight=False)
    if requests:
        console.print("To try:")
        for request in requests:
            console.print(f"  {request}", soft_wrap=True, highlight=False, markup=False)


def token_files(
    platform: Platform, *, brand: UUID = LOCAL_BRAND, people: dict[Role, str] | None = None
) -> dict[Role, Path]:
    """A fresh token per role in a file of its own, readable by its owner alone."""
    files = {}
    for role, subject in (_PEOPLE | (people or {})).items():
        roles = {role, Role.MEMBER} if role is Role.APPLICANT else {role}
        path = platform.folder.tokens / f"{role.value}.jwt"
        write_private(path, platform.tokens.mint(subject, roles, brand=brand))
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
    headers: Iterable[str] = (),
) -> str:
    """One `curl` line that a shell takes as it is; it reads the role's token from its file."""
    token = platform.folder.tokens / f"{role.value}.jwt"
    parts = ["curl -s"] if method == "GET" else [f"curl -s -X {method}"]
    parts.append(f"{platform.urls[service]}{path}")
    parts.append(f'-H "Authorization: Bearer $(cat {token})"')
    parts += [f"-H '{header}'" for header in headers]
    if body is not None:
        parts.append(f"-H 'Content-Type: application/json' -d '{body}'")
    return " ".join(parts)
