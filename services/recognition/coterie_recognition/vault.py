"""Gift codes at rest: AES-GCM, bound to their row by its id, under a key that is named beside them.

A plain code exists only between the request that brings it and the row, and between the row and
the answer to its beneficiary. No error of this module holds one.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["SealBroken", "Vault"]

_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"coterie gift code fingerprint"


class SealBroken(Exception):
    """A sealed code cannot be opened: its key is gone, or it is not this row's."""


class Vault:
    """Seals and opens gift codes. `keys` maps key ids to 32 bytes; the first one seals."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self._current = next(iter(self._keys))

    def seal(self, code_id: UUID, code: str) -> tuple[str, bytes]:
        """The key's id, and nonce and ciphertext of `code` for the row `code_id`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._keys[self._current]).encrypt(nonce, code.encode(), code_id.bytes)
        return self._current, nonce + sealed

    def open(self, code_id: UUID, key_id: str, sealed: bytes) -> str:
        """The code of the row `code_id`; raises `SealBroken`."""
        if key_id not in self._keys:
            raise SealBroken(f"there is no key {key_id!r}")
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return AESGCM(self._keys[key_id]).decrypt(nonce, ciphertext, code_id.bytes).decode()
        except InvalidTag:
            raise SealBroken(f"the seal of code {code_id} does not fit") from None

    def fingerprints(self, code: str) -> list[bytes]:
        """Keyed hashes of `code`, the current key's first, by which a second copy is found."""
        return [self._fingerprint(key, code) for key in self._keys.values()]

    @staticmethod
    def _fingerprint(key: bytes, code: str) -> bytes:
        own = hmac.new(key, _PURPOSE, sha256).digest()
        return hmac.new(own, code.encode(), sha256).digest()
