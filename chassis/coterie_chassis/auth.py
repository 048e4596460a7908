"""Who calls: a bearer token of a trusted issuer becomes a `Principal`, or nothing does.

Deny by default: algorithms are fixed, a key signs with its own algorithm alone, `iss`, `aud`, `exp`
and `sub` are required, and a claim of an unexpected shape refuses the token instead of narrowing
it. A token that cannot be judged because the issuer's keys are out of reach is not refused: the
answer is 503.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx2
import jwt
from jwt import PyJWKSet

from coterie_chassis.decisions import Refusal, person_id_of
from coterie_chassis.errors import ConfigurationFault, describe

__all__ = ["Principal", "Role", "TokenVerifier"]

_log = logging.getLogger(__name__)
ALGORITHMS: Final = ["ES256", "EdDSA", "RS256"]
_LEEWAY_S: Final = 10.0
_REFETCH_AFTER_S: Final = 30.0
_STALE_AFTER_S: Final = 600.0
_RETRY_AFTER_S: Final = 2.0
_FETCH_S: Final = 5.0
_REASONS: Final = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it is meant for somebody else",
    jwt.InvalidIssuerError: "its issuer is not ours",
    jwt.MissingRequiredClaimError: "it needs the claims iss, aud, exp and sub",
}


class Role(StrEnum):
    """What a token may allow; `IMPORTER` also lets a command say when it happened."""

    APPLICANT = "applicant"
    MEMBER = "member"
    HOST = "host"
    MANAGER = "manager"
    OPERATOR = "operator"
    IMPORTER = "importer"


@dataclass(frozen=True)
class Principal:
    """An authenticated caller. `communities` of None means all communities of `brand_id`."""

    issuer: str
    subject: str
    roles: frozenset[Role]
    brand_id: UUID | None = None
    communities: frozenset[UUID] | None = None

    @cached_property
    def person_id(self) -> UUID:
        return person_id_of(self.issuer, self.subject)

    @property
    def actor(self) -> str:
        """The `actor` of events: imports say so, people are pseudonyms."""
        return "importer" if Role.IMPORTER in self.roles else f"person:{self.person_id}"

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)

    def covers(self, community_id: UUID, brand_id: UUID | None) -> bool:
        """Whether the staff roles of this token reach that community of that brand."""
        return (
            self.brand_id is not None
            and self.brand_id == brand_id
            and (self.communities is None or community_id in self.communities)
        )


class KeysUnavailable(Refusal):
    """The issuer's keys cannot be read; no token can be judged."""

    def __init__(self) -> None:
        super().__init__(
            "keys-unavailable",
            "The token issuer's keys cannot be read right now; try again shortly.",
            status=HTTPStatus.SERVICE_UNAVAILABLE,
        )


class TokenVerifier:
    """Verifies tokens against a JSON Web Key Set at a path or a URL.

    Keys are read with the first token, again after ten minutes, and for an unknown key id at most
    every 30 s, so they can be rotated and withdrawn. While a read fails the known keys count on.
    """

    def __init__(self, jwks: str, *, issuer: str, audience: str) -> None:
        self._jwks = jwks
        self._issuer = issuer
        self._audience = audience
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._reading = asyncio.Lock()

    def check(self) -> None:
        """Raise `ConfigurationFault` for a file that holds no keys; a URL may come up later."""
        if not self._is_url:
            try:
                _usable(Path(self._jwks).read_text())
            except _NO_KEYS as error:
                raise ConfigurationFault(
                    f"COTERIE_JWKS: {self._jwks} holds no public keys: {describe(error)}"
                ) from None

    async def verify(self, token: str) -> Principal:
        """The principal of `token`. Raises `Refusal`: 401, or 503 while no keys can be read."""
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_S,
                options={"require": ["iss", "aud", "exp", "sub"]},
            )
            return _principal(claims)
        except _REFUSED as error:
            reason = _REASONS.get(type(error), "it cannot be verified")
            raise Refusal(
                "invalid-token", f"The access token was refused: {reason}.", status=401
            ) from None

    async def _key(self, kid: object) -> jwt.PyJWK:
        if not isinstance(kid, str):
            raise KeyError("a token names its key")
        if self._is_due(kid):
            async with self._reading:
                if self._is_due(kid):
                    await self._read()
        if self._read_at is None:
            raise KeysUnavailable
        return self._keys[kid]

    def _is_due(self, kid: str) -> bool:
        now = time.monotonic()
        if self._tried_at is not None and now - self._tried_at < _RETRY_AFTER_S:
            return False
        if self._read_at is None:
            return True
        return now - self._read_at > (_STALE_AFTER_S if kid in self._keys else _REFETCH_AFTER_S)

    async def _read(self) -> None:
        try:
            keys = _usable(await self._text())
        except _NO_KEYS as error:
            _log.warning("the token issuer's keys cannot be read: %s", describe(error))
        else:
            self._keys, self._read_at = keys, time.monotonic()
        self._tried_at = time.monotonic()

    async def _text(self) -> str:
        if not self._is_url:
            return await asyncio.to_thread(Path(self._jwks).read_text)
        async with httpx2.AsyncClient(timeout=_FETCH_S, follow_redirects=False) as client:
            return (await client.get(self._jwks)).raise_for_status().text

    @property
    def _is_url(self) -> bool:
        return self._jwks.startswith(("https://", "http://"))


def _usable(jwks: str) -> dict[str, jwt.PyJWK]:
    """Public keys that sign, by key id. Raises where there are none."""
    keys = {
        key.key_id: key
        for key in PyJWKSet.from_json(jwks).keys
        if key.key_id and key.algorithm_name in ALGORITHMS and key.public_key_use != "enc"
    }
    if not keys:
        raise ValueError("no key with an id and one of the algorithms that are accepted")
    return keys


def _principal(claims: dict[str, Any]) -> Principal:
    communities = claims.get("communities")
    brand = claims.get("brand")
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not isinstance(communities, list | None):
        raise TypeError("claims 'roles' and 'communities' must be lists")
    if not claims["sub"]:
        raise ValueError("claim 'sub' must name somebody")
    return Principal(
        issuer=claims["iss"],
        subject=claims["sub"],
        roles=frozenset(Role(role) for role in roles),
        brand_id=UUID(brand) if brand is not None else None,
        communities=None if communities is None else frozenset(UUID(c) for c in communities),
    )


_NO_KEYS: Final = (
    httpx2.HTTPError,
    OSError,
    jwt.PyJWTError,
    ValueError,
    TypeError,
    AttributeError,
)
# A token's JSON may be anything: nested beyond the parser's stack, or of numbers beyond an integer.
_REFUSED: Final = (
    jwt.PyJWTError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    RecursionError,
    OverflowError,
)
