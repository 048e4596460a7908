"""What a service is told from outside, checked at once and reported together.

Environment variables with the prefix `COTERIE_`; secrets have no default.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from coterie_chassis.errors import ConfigurationFault

__all__ = ["ChassisSettings", "load"]

S = TypeVar("S", bound="ChassisSettings")


class ChassisSettings(BaseSettings):
    """Settings that every service has; a service adds its own few in a subclass."""

    model_config = SettingsConfigDict(env_prefix="COTERIE_", frozen=True, extra="ignore")

    database_url: SecretStr = Field(description="postgresql://role:password@host/database")
    kafka_bootstrap: str = Field(description="host:port, comma-separated")
    kafka_group_prefix: str = "coterie"
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    jwks: str = Field(description="path or URL of the token issuer's public keys")
    token_issuer: str
    token_audience: str = "coterie"  # noqa: S105 - a name, not a secret
    pool_size: Annotated[int, Field(ge=2, le=200)] = 12
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    batch_wait_ms: Annotated[int, Field(ge=1, le=5_000)] = 50
    kafka_fetch_max_wait_ms: Annotated[int, Field(ge=1, le=5_000)] = 100
    kafka_session_timeout_ms: Annotated[int, Field(ge=1_000, le=300_000)] = 10_000
    relay_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    relay_poll_ms: Annotated[int, Field(ge=10, le=10_000)] = 250
    archive_retention_days: Annotated[
        int, Field(ge=0, description="days that sent events stay for a refill; 0 keeps all")
    ] = 7
    inbox_retention_days: Annotated[
        int,
        Field(
            ge=0,
            validate_default=True,
            description="days back that repeated events are known; 0 for ever. At least what any "
            "service's archive keeps",
        ),
    ] = 30
    idempotency_retention_days: Annotated[int, Field(ge=1)] = 30
    settled_retention_days: Annotated[
        int, Field(ge=1, description="days that settled dead letters and deadlines are kept")
    ] = 90
    refill_on_start: bool = Field(
        default=False, description="send the whole archive again at start: the broker forgets"
    )
    dead_letters_per_key: Annotated[int, Field(ge=1)] = 1_000
    dead_letters_in_total: Annotated[int, Field(ge=1)] = 10_000
    dead_letters_in_a_row: Annotated[int, Field(ge=1)] = 500
    dead_letters_ratio: Annotated[float, Field(gt=0, le=1)] = 0.25
    max_body_bytes: Annotated[int, Field(ge=1_024)] = 65_536
    shutdown_grace_s: Annotated[float, Field(gt=0)] = 15.0
    log_level: str = "INFO"

    @field_validator("inbox_retention_days")
    @classmethod
    def _outlives_the_archive(cls, known: int, info: ValidationInfo) -> int:
        """An event that is sent again must meet its original."""
        kept = info.data.get("archive_retention_days")
        if known and kept is not None and (kept == 0 or kept > known):
            wanted = "0, for ever," if kept == 0 else f"at least {kept}"
            raise ValueError(
                f"{known} must be {wanted} because COTERIE_ARCHIVE_RETENTION_DAYS is {kept}: "
                "what is sent again after the inbox has forgotten it would not be applied"
            )
        return known


def load(cls: type[S]) -> S:
    """Read `cls` from the environment; raises `ConfigurationFault` that lists all faults."""
    try:
        return cls()
    except ValidationError as error:
        faults = "\n".join(
            f"  COTERIE_{'_'.join(str(part) for part in fault['loc']).upper()}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationFault(f"settings are missing or wrong:\n{faults}") from None
