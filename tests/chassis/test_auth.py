"""Tokens: what is not exactly right is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from coterie_chassis.auth import Role, TokenVerifier
from coterie_chassis.decisions import Refusal, person_id_of

ISSUER = "https://issuer.test"
Mint = Callable[..., str]


@pytest.fixture
def mint() -> Mint:
    key = ec.generate_private_key(ec.SECP256R1())

    def make(*, signed_with: ec.EllipticCurvePrivateKey = key, **changes: Any) -> str:
        claims = {
            "iss": ISSUER,
            "aud": "coterie",
            "sub": "ann",
            "exp": datetime.now(UTC) + timedelta(minutes=5),
            "roles": ["member"],
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, signed_with, algorithm="ES256", headers={"kid": "one"})

    make.key = key  # type: ignore[attr-defined]
    return make


@pytest.fixture
def verifier(mint: Mint, tmp_path: Path) -> TokenVerifier:
    public = mint.key.public_key()  # type: ignore[attr-defined]
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public))
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [{**jwk, "kid": "one", "alg": "ES256"}]}))
    return TokenVerifier(str(jwks), issuer=ISSUER, audience="coterie")


async def test_a_good_token_becomes_a_principal(mint: Mint, verifier: TokenVerifier) -> None:
    brand, community = uuid4(), uuid4()
    token = mint(roles=["manager"], brand=str(brand), communities=[str(community)])

    principal = await verifier.verify(token)

    assert principal.person_id == person_id_of(ISSUER, "ann")
    assert principal.has(Role.MANAGER)
    assert principal.covers(community, brand)
    assert not principal.covers(uuid4(), brand)
    assert not principal.covers(community, uuid4())


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.test"},
        {"aud": "other"},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"exp": None},
        {"sub": None},
        {"roles": ["emperor"]},
        {"roles": "manager"},
        {"communities": "all"},
        {"brand": "no uuid"},
        {"signed_with": ec.generate_private_key(ec.SECP256R1())},
    ],
)
async def test_a_wrong_claim_or_signature_is_refused(
    mint: Mint, verifier: TokenVerifier, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refusal) as refused:
        await verifier.verify(mint(**changes))

    assert refused.value.status == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Refusal):
        await verifier.verify(token)
