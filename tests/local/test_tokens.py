"""A locally minted token passes the services' own verifier, and a tampered one does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from coterie_chassis.auth import Role, TokenVerifier
from coterie_chassis.decisions import Refusal
from coterie_local.tokens import AUDIENCE, ISSUER, TokenIssuer


def _verifier(issuer: TokenIssuer) -> TokenVerifier:
    return TokenVerifier(str(issuer.jwks), issuer=ISSUER, audience=AUDIENCE)


async def test_a_minted_token_says_who_calls_and_how_far_they_reach(tmp_path: Path) -> None:
    issuer = TokenIssuer(tmp_path)
    brand, community = uuid4(), uuid4()
    token = issuer.mint("mia", [Role.MANAGER, Role.HOST], brand=brand, communities=[community])
    principal = await _verifier(issuer).verify(token)
    assert principal.subject == "mia"
    assert principal.roles == {Role.MANAGER, Role.HOST}
    assert principal.brand_id == brand
    assert principal.communities == frozenset({community})


async def test_the_key_is_kept_so_that_tokens_outlive_a_restart(tmp_path: Path) -> None:
    token = TokenIssuer(tmp_path).mint("ann", [Role.MEMBER])
    principal = await _verifier(TokenIssuer(tmp_path)).verify(token)
    assert principal.communities is None
    assert (tmp_path / "signing-key.pem").stat().st_mode & 0o777 == 0o600


async def test_an_expired_token_and_one_of_another_key_are_refused(tmp_path: Path) -> None:
    issuer, stranger = TokenIssuer(tmp_path / "a"), TokenIssuer(tmp_path / "b")
    expired = issuer.mint("ann", [Role.MEMBER], ttl=timedelta(minutes=-1))
    foreign = stranger.mint("ann", [Role.MEMBER])
    for token in (expired, foreign):
        with pytest.raises(Refusal, match="refused"):
            await _verifier(issuer).verify(token)
