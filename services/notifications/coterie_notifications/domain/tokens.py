"""One-click unsubscribe links (RFC 8058): they work without signing in, for one thing alone.

A token names a member, a class and a channel under an HMAC; it grants nothing else, so it may
stand in a mail that somebody forwards.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import NotFound
from coterie_contracts.notification import Channel, NotificationClass

__all__ = ["Unsubscription", "read_token", "write_token"]

_CLASSES: Final = tuple(NotificationClass)
_CHANNELS: Final = tuple(channel for channel in Channel if channel is not Channel.UNKNOWN)
_MAC_BYTES: Final = 16
_BODY_BYTES: Final = 18


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """What a token asks for."""

    member_id: UUID
    notification_class: NotificationClass
    channel: Channel

    @property
    def pair(self) -> str:
        return f"{self.notification_class}/{self.channel}"


def write_token(wish: Unsubscription, key: bytes) -> str:
    """The signed text of `wish`, safe in a URL."""
    body = wish.member_id.bytes + bytes(
        (_CLASSES.index(wish.notification_class), _CHANNELS.index(wish.channel))
    )
    return base64.urlsafe_b64encode(body + _mac(body, key)).decode().rstrip("=")


def read_token(token: str, key: bytes) -> Unsubscription:
    """What `token` asks for. Raises `NotFound` unless `key` signed exactly this."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotFound("unsubscribe link") from None
    body, mac = raw[:_BODY_BYTES], raw[_BODY_BYTES:]
    if len(body) != _BODY_BYTES or not hmac.compare_digest(mac, _mac(body, key)):
        raise NotFound("unsubscribe link")
    return Unsubscription(UUID(bytes=body[:16]), _CLASSES[body[16]], _CHANNELS[body[17]])


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"coterie-unsubscribe\x00" + body, "sha256")[:_MAC_BYTES]
