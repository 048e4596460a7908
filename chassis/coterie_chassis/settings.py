"""What a service is told from outside, checked at once and reported together.

Environment variables with the prefix `COTERIE_`, or files of the same names in the folder that
`COTERIE_SECRETS_DIR` names; a variable wins. Secrets have no default.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from coterie_chassis.errors import ConfigurationFault

__all__ = ["ChassisSettings", "load"]

S = TypeVar("S", bound="ChassisSettings")
_SECRETS_DIR: Final = "COTERIE_SECRETS_DIR"


class ChassisSettings(BaseSettings):
    """Settings that every service has; a service adds its own few in a subclass."""

    model_config = SettingsConfigDict(env_prefix="COTERIE_", frozen=True, extra="ignore")

    database_url: SecretStr = Field(description="postgresql://role:password@host/database")
    kafka_bootstrap: str = Field(description="host:port, comma-separated")
    kafka_group_prefix: str = "coterie"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_ca_file: Path | None = Field(
        default=None, description="PEM; who may certify brokers, default: the system's authorities"
    )
    kafka_certificate_file: Path | None = Field(
        default=None, description="PEM; this service's own certificate, for mutual TLS"
    )
    kafka_key_file: Path | None = Field(default=None, description="PEM; the certificate's key")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    database_ca_file: Path | None = Field(
        default=None, description="PEM; given, the database's certificate and host are verified"
    )
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
    relay_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 3_200
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

    @model_validator(mode="after")
    def _says_how_kafka_is_reached(self) -> Self:
        """Nothing that was given is left unused: a typo must not open a plain connection."""
        protocol = self.kafka_security_protocol
        files = (self.kafka_ca_file, self.kafka_certificate_file, self.kafka_key_file)
        if any(files) and not protocol.endswith("SSL"):
            raise ValueError(
                f"COTERIE_KAFKA_SECURITY_PROTOCOL is {protocol}: certificates need SSL or SASL_SSL"
            )
        if (self.kafka_certificate_file is None) != (self.kafka_key_file is None):
            raise ValueError(
                "COTERIE_KAFKA_CERTIFICATE_FILE and COTERIE_KAFKA_KEY_FILE come together"
            )
        named = (self.kafka_username is not None, self.kafka_password is not None)
        if named != (protocol.startswith("SASL"),) * 2:
            raise ValueError(
                "COTERIE_KAFKA_USERNAME and COTERIE_KAFKA_PASSWORD go with SASL_SSL or "
                f"SASL_PLAINTEXT, and COTERIE_KAFKA_SECURITY_PROTOCOL is {protocol}"
            )
        return self


def load(cls: type[S]) -> S:
    """Read `cls` from environment and files; raises `ConfigurationFault` that lists all faults."""
    folder = os.environ.get(_SECRETS_DIR)
    if folder is not None and not Path(folder).is_dir():
        raise ConfigurationFault(f"{_SECRETS_DIR}: there is no folder {folder}")
    try:
        return cls(_secrets_dir=folder)
    except ValidationError as error:
        faults = "\n".join(
            f"  {_named(fault['loc'])}{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationFault(f"settings are missing or wrong:\n{faults}") from None


def _named(location: tuple[int | str, ...]) -> str:
    """The variable that a fault is about; one about several names them itself."""
    return f"COTERIE_{'_'.join(map(str, location)).upper()}: " if location else ""
