"""Tokens: what is not exactly right is refused."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coterie_chassis import auth
from coterie_chassis.auth import Role, TokenVerifier
from coterie_chassis.decisions import Refusal, person_id_of
from coterie_chassis.errors import ConfigurationFault

ISSUER = "https://issuer.test"
Mint = Callable[..., str]


@pytest.fixture
def mint() -> Mint:
    key = ec.generate_private_key(ec.SECP256R1())

    def make(
        *,
        signed_with: ec.EllipticCurvePrivateKey = key,
        kid: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        claims = {
            "iss": ISSUER,
            "aud": "coterie",
            "sub": "ann",
            "exp": timedelta(minutes=5),
            "roles": ["member"],
            **changes,
        }
        now = datetime.now(UTC)
        claims = {
            name: now + value if isinstance(value, timedelta) else value
            for name, value in claims.items()
            if value is not None
        }
        named = {"kid": "one"} if kid is None else kid
        return jwt.encode(claims, signed_with, algorithm="ES256", headers=named)

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
        {"exp": timedelta(seconds=-20)},
        {"nbf": timedelta(minutes=5)},
        {"iat": timedelta(minutes=5)},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
        {"sub": ""},
        {"sub": 7},
        {"sub": {"name": "ann"}},
        {"roles": [["member"]]},
        {"roles": {"member": True}},
        {"communities": [7]},
        {"communities": ["all"]},
        {"brand": 7},
        {"kid": {}},
        {"kid": {"kid": "two"}},
        {"kid": {"kid": ""}},
    ],
)
async def test_a_wrong_claim_or_signature_is_refused(
    mint: Mint, verifier: TokenVerifier, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refusal) as refused:
        await verifier.verify(mint(**changes))

    assert refused.value.status == 401


SYMMETRIC = '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"}]}'
NESTED = base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("=")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": timedelta(seconds=-2)},
        {"nbf": timedelta(seconds=5)},
        {"iat": timedelta(seconds=5)},
    ],
)
async def test_clocks_may_differ_by_seconds(
    mint: Mint, verifier: TokenVerifier, changes: dict[str, Any]
) -> None:
    assert (await verifier.verify(mint(**changes))).subject == "ann"


async def test_a_public_key_is_no_shared_secret(mint: Mint, verifier: TokenVerifier) -> None:
    """The classic confusion: HS256 with the text of the public key as the secret."""
    pem = mint.key.public_key().public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = _part({"alg": "HS256", "typ": "JWT", "kid": "one"})
    claims = {"iss": ISSUER, "aud": "coterie", "sub": "ann", "roles": ["operator"]}
    body = _part({**claims, "exp": int(time.time()) + 300})
    mac = hmac.new(pem, f"{header}.{body}".encode(), "sha256").digest()

    for alg in ("HS256", "none", "RS256", "EdDSA"):
        header = _part({"alg": alg, "typ": "JWT", "kid": "one"})
        forged = f"{header}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
        with pytest.raises(Refusal) as refused:
            await verifier.verify(forged)
        assert refused.value.status == 401


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", f"{NESTED}.{NESTED}.{NESTED}", "\x00.\x00."],
)
async def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Refusal) as refused:
        await verifier.verify(token)

    assert refused.value.status == 401


class Issuer:
    """Serves a key set over HTTP; counts the requests."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] | str = []
        self.asked = 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        body = self.keys if isinstance(self.keys, str) else json.dumps({"keys": self.keys})
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    one = Issuer()
    server = await asyncio.start_server(one.answer, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    yield one
    server.close()


def _jwk(mint: Mint, kid: str) -> dict[str, Any]:
    public = mint.key.public_key()  # type: ignore[attr-defined]
    return {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public)), "kid": kid, "alg": "ES256"}


async def _status(verifier: TokenVerifier, token: str) -> int:
    try:
        await verifier.verify(token)
    except Refusal as refused:
        return refused.status
    return 200


async def test_keys_out_of_reach_refuse_nobody_and_are_not_asked_for_by_everybody(
    mint: Mint, issuer: Issuer
) -> None:
    issuer.keys = "not JSON"
    verifier = TokenVerifier(issuer.url, issuer=ISSUER, audience="coterie")

    answers = await asyncio.gather(*(_status(verifier, mint()) for _ in range(20)))

    assert set(answers) == {503}
    assert issuer.asked == 1


async def test_an_issuer_that_comes_up_late_is_asked_again(
    mint: Mint, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_RETRY_AFTER_S", 0.0)
    verifier = TokenVerifier(issuer.url, issuer=ISSUER, audience="coterie")
    verifier.check()
    assert await _status(verifier, mint()) == 503

    issuer.keys = [_jwk(mint, "one")]

    assert await _status(verifier, mint()) == 200


async def test_an_unknown_key_asks_once_and_known_ones_count_on(
    mint: Mint, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_RETRY_AFTER_S", 0.0)
    issuer.keys = [_jwk(mint, "one")]
    verifier = TokenVerifier(issuer.url, issuer=ISSUER, audience="coterie")
    assert await _status(verifier, mint()) == 200

    monkeypatch.setattr(auth, "_REFETCH_AFTER_S", 0.0)
    assert await _status(verifier, mint(kid={"kid": "two"})) == 401
    issuer.keys = [_jwk(mint, "two")]
    assert await _status(verifier, mint(kid={"kid": "two"})) == 200
    assert issuer.asked == 3
    issuer.keys = "gone"
    monkeypatch.setattr(auth, "_STALE_AFTER_S", 0.0)
    assert await _status(verifier, mint(kid={"kid": "two"})) == 200


async def test_a_withdrawn_key_ends_to_count(
    mint: Mint, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_RETRY_AFTER_S", 0.0)
    issuer.keys = [_jwk(mint, "one")]
    verifier = TokenVerifier(issuer.url, issuer=ISSUER, audience="coterie")
    assert await _status(verifier, mint()) == 200
    issuer.keys = [_jwk(mint, "two")]
    assert await _status(verifier, mint()) == 200, "until the keys are stale"

    monkeypatch.setattr(auth, "_STALE_AFTER_S", 0.0)

    assert await _status(verifier, mint()) == 401


@pytest.mark.parametrize("content", [None, "", "{}", '{"keys": []}', "[]", SYMMETRIC])
def test_a_file_without_public_keys_is_refused_at_start(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigurationFault, match="COTERIE_JWKS"):
        TokenVerifier(str(path), issuer=ISSUER, audience="coterie").check()
