"""One way to send a command or a query to a service: who, when, once, after what.

A 503 is waited out by its `Retry-After`, a lost connection is tried again under the same
Idempotency-Key, and a refusal becomes `Refused` with the rule that the platform named. Nothing
else is retried, so a caller never has to sleep or to guess.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Protocol
from uuid import UUID

import httpx2

from coterie_chassis.auth import Role

PROBLEM = "urn:coterie:problem:"
PATIENCE_S = 60.0
TOKEN_AGE_S = 120.0
_FIRST_PAUSE_S = 0.1


class Mint(Protocol):
    """Makes an access token, as `TokenIssuer.mint` does. Tokens are kept for two minutes."""

    def __call__(
        self, subject: str, roles: Iterable[Role], *, brand: UUID | None = None
    ) -> str: ...


class Refused(Exception):
    """The platform refused a command: `rule` is the broken rule, `detail` is for people."""

    def __init__(self, rule: str, detail: str, status: int) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail
        self.status = status


class Unreachable(Exception):
    """A service did not answer, or not usefully, for longer than the client is patient."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token a command carries."""

    subject: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """The circumstances of one command.

    `at` is when it happened on a driven clock (the token then also has the role importer),
    `key` the Idempotency-Key, `after` a position that the service must have seen,
    `version` what `If-Match` names.
    """

    caller: Caller
    at: datetime | None = None
    key: str | None = None
    after: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `position` is what another service may be told to wait for."""

    body: Any
    position: str | None
    version: int | None


@dataclass(slots=True)
class Transport:
    """Sends to the services at `bases` (service name to base URL) in one brand's name.

    `issuer` is that of the minted tokens: ids that follow from a key follow from it too.
    """

    http: httpx2.AsyncClient
    bases: Mapping[str, str]
    mint: Mint
    brand_id: UUID
    issuer: str
    patience_s: float = PATIENCE_S
    commands: int = 0
    _tokens: dict[Caller, tuple[float, str]] = field(default_factory=dict)

    async def command(
        self, service: str, method: str, path: str, body: Mapping[str, Any], send: Send
    ) -> Answer:
        """Raises Refused, or Unreachable once patience is at its end."""
        self.commands += 1
        return await self._exchange(service, method, path, send, json=body)

    async def query(self, service: str, path: str, send: Send, **parameters: str | int) -> Answer:
        """Raises Refused, or Unreachable once patience is at its end."""
        return await self._exchange(service, "GET", path, send, params=parameters)

    async def _exchange(
        self, service: str, method: str, path: str, send: Send, **content: Any
    ) -> Answer:
        url = self.bases[service].rstrip("/") + path
        deadline = time.monotonic() + self.patience_s
        pause, fresh = _FIRST_PAUSE_S, False
        while True:
            headers = self._headers(send, fresh=fresh)
            try:
                response = await self.http.request(method, url, headers=headers, **content)
            except httpx2.TransportError as error:
                trouble = f"{service} does not answer: {error or type(error).__name__}"
            else:
                if response.status_code == HTTPStatus.UNAUTHORIZED and not fresh:
                    fresh = True
                    continue
                if response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return _answer(response)
                trouble = f"{service} answers {response.status_code} to {method} {path}"
                if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                    raise Unreachable(f"{trouble}: {response.text[:300]}")
                pause = max(pause, _retry_after(response))
            if time.monotonic() + pause > deadline:
                raise Unreachable(f"{trouble}, for {self.patience_s:.0f} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _headers(self, send: Send, *, fresh: bool) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._token(send, fresh=fresh)}"}
        if send.at is not None:
            headers["Coterie-Occurred-At"] = send.at.astimezone(UTC).isoformat()
        if send.key is not None:
            headers["Idempotency-Key"] = send.key
        if send.after is not None:
            headers["Coterie-After"] = send.after
        if send.version is not None:
            headers["If-Match"] = f'"{send.version}"'
        return headers

    def _token(self, send: Send, *, fresh: bool) -> str:
        caller = send.caller
        if send.at is not None and Role.IMPORTER not in caller.roles:
            caller = Caller(caller.subject, (*caller.roles, Role.IMPORTER))
        minted_at, token = self._tokens.get(caller, (0.0, ""))
        if fresh or not token or time.monotonic() - minted_at > TOKEN_AGE_S:
            token = self.mint(caller.subject, caller.roles, brand=self.brand_id)
            self._tokens[caller] = (time.monotonic(), token)
        return token


def _answer(response: httpx2.Response) -> Answer:
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        raise _refused(response)
    tag = response.headers.get("ETag", "").strip('W/"')
    return Answer(
        body=response.json() if response.content else None,
        position=response.headers.get("Coterie-Position"),
        version=int(tag) if tag.isdigit() else None,
    )


def _refused(response: httpx2.Response) -> Refused:
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    rule = str(problem.get("type", f"http-{response.status_code}")).removeprefix(PROBLEM)
    return Refused(rule, str(problem.get("detail", response.text[:300])), response.status_code)


def _retry_after(response: httpx2.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else _FIRST_PAUSE_S
