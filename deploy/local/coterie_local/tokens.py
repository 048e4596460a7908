"""A token issuer for one machine: signs with a key of the data folder, publishes its public half.

Services trust the key set alone, as they trust an identity provider's elsewhere.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from coterie_chassis.auth import Role
from coterie_local.secrets_store import write_private
from coterie_replay.brokers.processes import LocalFault

__all__ = ["AUDIENCE", "ISSUER", "TokenIssuer"]

ISSUER: Final = "https://coterie.localhost"
AUDIENCE: Final = "coterie"
_ALGORITHM: Final = "ES256"
_DAY: Final = timedelta(days=1)


class TokenIssuer:
    """Mints tokens with the key pair of `folder`, which is made there when it is missing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.jwks = folder / "jwks.json"
        self._key = _key(folder / "signing-key.pem")
        public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self._key_id = _thumbprint(public)
        key = public | {"kid": self._key_id, "use": "sig", "alg": _ALGORITHM}
        self.jwks.write_text(json.dumps({"keys": [key]}))

    def mint(
        self,
        subject: str,
        roles: Iterable[Role],
        *,
        brand: UUID | None = None,
        communities: Iterable[UUID] | None = None,
        ttl: timedelta = _DAY,
    ) -> str:
        """A bearer token for `subject`; without `communities` it reaches all of the brand's."""
        now = datetime.now(UTC)
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + ttl,
            "jti": str(uuid4()),
            "roles": sorted(role.value for role in roles),
        }
        if brand is not None:
            claims["brand"] = str(brand)
        if communities is not None:
            claims["communities"] = sorted(str(community) for community in communities)
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._key_id})


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        pem = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(path, pem.decode())
    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        loaded = None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise LocalFault(f"{path} holds no key for {_ALGORITHM}: remove it, and one is made anew")
    return loaded


def _thumbprint(key: dict[str, str]) -> str:
    """The key's id as RFC 7638 derives it from the public key."""
    required = {name: key[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
    return urlsafe_b64encode(sha256(canonical.encode()).digest()).decode().rstrip("=")
