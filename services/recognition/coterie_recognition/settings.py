"""Recognition's own settings."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Final

from pydantic import Field, SecretStr, field_validator

from coterie_chassis.settings import ChassisSettings

__all__ = ["RecognitionSettings"]

_KEY_BYTES: Final = 32


class RecognitionSettings(ChassisSettings):
    """`code_keys` maps key ids to base64 of 32 bytes: the first seals, all open.

    `refold_interval` is in seconds: how often merit is read again where something changed.
    """

    code_keys: dict[str, SecretStr] = Field(min_length=1)
    refold_interval: Annotated[float, Field(ge=0, le=3_600)] = 1.0

    @field_validator("code_keys")
    @classmethod
    def _are_keys(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, key in keys.items():
            try:
                size = len(base64.b64decode(key.get_secret_value(), validate=True))
            except binascii.Error:
                raise ValueError(f"key {name!r} is not base64") from None
            if size != _KEY_BYTES:
                raise ValueError(f"key {name!r} has {size} bytes instead of {_KEY_BYTES}")
        return keys

    def raw_keys(self) -> dict[str, bytes]:
        """The keys as bytes, in their order."""
        return {n: base64.b64decode(k.get_secret_value()) for n, k in self.code_keys.items()}
