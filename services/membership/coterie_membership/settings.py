"""Membership's own few settings."""

from __future__ import annotations

from pydantic import Field, SecretStr

from coterie_chassis.settings import ChassisSettings

__all__ = ["MembershipSettings"]


class MembershipSettings(ChassisSettings):
    identity_key: SecretStr = Field(
        min_length=16, description="key of the HMACs by which bans outlive an erasure"
    )
