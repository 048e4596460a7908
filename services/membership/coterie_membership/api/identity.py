"""Who somebody is here: ids that survive a return and do not survive an erasure."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from coterie_chassis.decisions import derived_id, member_id_of
from coterie_chassis.http import Call
from coterie_membership import store
from coterie_membership.settings import MembershipSettings

__all__ = ["Identity", "identity_hash", "identity_of", "token_hash", "token_of"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A person in a community: the member id to use now, and any ban that outlived an erasure."""

    member_id: UUID
    banned_until: datetime | None
    erasures: int


def identity_hash(call: Call, community_id: UUID, person_id: UUID) -> str:
    """An HMAC under membership's own key; stands in no event."""
    return _keyed(call, f"{community_id}:{person_id}").hex()


async def identity_of(call: Call, community_id: UUID, person_id: UUID) -> Identity:
    """The member id is derived, and another one after each erasure."""
    hashed = identity_hash(call, community_id, person_id)
    row = await store.erasures_of(call.uow, community_id, hashed)
    if row is None:
        return Identity(member_id_of(community_id, person_id), None, 0)
    return Identity(
        derived_id(community_id, person_id, row.erasures), row.reapply_after, row.erasures
    )


def token_of(call: Call, invitation_id: UUID) -> str:
    """An invitation's token: derived, so that a repeated command answers the same one."""
    raw = _keyed(call, f"invitation:{invitation_id}")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return sha256(token.encode()).hexdigest()


def _keyed(call: Call, message: str) -> bytes:
    key = call.settings(MembershipSettings).identity_key.get_secret_value().encode()
    return hmac.new(key, message.encode(), sha256).digest()
