"""Who calls: a bearer token of a trusted issuer becomes a `Principal`, or nothing does.

Deny by default: algorithms are fixed, `iss`, `aud`, `exp` and `sub` are required, and a claim of
an unexpected shape refuses the token instead of narrowing it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx2
import jwt
from jwt import PyJWKSet

from coterie_chassis.decisions import Refusal, person_id_of
from coterie_chassis.errors import ConfigurationFault

__all__ = ["Principal", "Role", "TokenVerifier"]

ALGORITHMS: Final = ["ES256", "EdDSA", "RS256"]
_REFETCH_AFTER_S: Final = 30.0


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


class TokenVerifier:
    """Verifies tokens against a JSON Web Key Set at a path or a URL.

    A URL is asked again for an unknown key, at most every 30 s, so keys can be rotated.
    """

    def __init__(self, jwks: str, *, issuer: str, audience: str) -> None:
        self._jwks = jwks
        self._issuer = issuer
        self._audience = audience
        self._keys: PyJWKSet | None = None
        self._fetched_at = 0.0
        self._fetching = asyncio.Lock()

    async def verify(self, token: str) -> Principal:
        """The principal of `token`. Raises `Refusal` with status 401."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["iss", "aud", "exp", "sub"]},
            )
            return _principal(claims)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            raise Refusal(
                "invalid-token", f"The access token was refused: {error}.", status=401
            ) from None

    async def _key(self, kid: str) -> jwt.PyJWK:
        if (found := self._find(kid)) is None and self._may_fetch():
            async with self._fetching:
                if (found := self._find(kid)) is None and self._may_fetch():
                    self._keys = PyJWKSet.from_json(await self._read())
                    self._fetched_at = time.monotonic()
                    found = self._find(kid)
        if found is None:
            raise KeyError(f"no public key {kid!r}")
        return found

    def _may_fetch(self) -> bool:
        return self._keys is None or time.monotonic() - self._fetched_at > _REFETCH_AFTER_S

    def _find(self, kid: str) -> jwt.PyJWK | None:
        keys = self._keys.keys if self._keys else []
        return next((key for key in keys if key.key_id == kid), None)

    async def _read(self) -> str:
        if self._jwks.startswith(("https://", "http://")):
            async with httpx2.AsyncClient(timeout=5.0, follow_redirects=False) as client:
                return (await client.get(self._jwks)).raise_for_status().text
        try:
            return await asyncio.to_thread(Path(self._jwks).read_text)
        except OSError as error:
            raise ConfigurationFault(f"COTERIE_JWKS: cannot read {self._jwks}: {error}") from None


def _principal(claims: dict[str, Any]) -> Principal:
    communities = claims.get("communities")
    brand = claims.get("brand")
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not isinstance(communities, list | None):
        raise TypeError("claims 'roles' and 'communities' must be lists")
    return Principal(
        issuer=claims["iss"],
        subject=claims["sub"],
        roles=frozenset(Role(role) for role in roles),
        brand_id=UUID(brand) if brand is not None else None,
        communities=None if communities is None else frozenset(UUID(c) for c in communities),
    )
