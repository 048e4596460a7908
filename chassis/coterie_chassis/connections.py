"""How a service reaches its broker and its database where they ask who calls.

Certificates and keys are files, because that is how clusters hand them out; they are read when a
connection is set up, and a file that cannot be used is named before anything is served.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from coterie_chassis.errors import ConfigurationFault

if TYPE_CHECKING:
    from coterie_chassis.settings import ChassisSettings

__all__ = ["database_tls", "kafka_metadata", "kafka_options", "kafka_security"]


def kafka_security(settings: ChassisSettings) -> BaseSecurity | None:
    """What FastStream's broker is given; None for plaintext. Raises `ConfigurationFault`."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    context = _kafka_tls(settings) if settings.kafka_security_protocol.endswith("SSL") else None
    if not settings.kafka_security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=True)
    password = settings.kafka_password
    return _MECHANISMS[settings.kafka_sasl_mechanism](
        settings.kafka_username or "",
        password.get_secret_value() if password is not None else "",
        ssl_context=context,
        use_ssl=context is not None,
    )


def kafka_options(settings: ChassisSettings) -> dict[str, Any]:
    """The same for clients of aiokafka, as keyword arguments. Raises `ConfigurationFault`."""
    return parse_security(kafka_security(settings))


async def kafka_metadata(settings: ChassisSettings) -> ClusterMetadata:
    """What topics and partitions there are; creates none. Raises `KafkaError` without a broker."""
    client = AIOKafkaClient(bootstrap_servers=settings.kafka_bootstrap, **kafka_options(settings))
    try:
        await client.bootstrap()
        return await client.fetch_all_metadata()
    finally:
        await client.close()


def database_tls(settings: ChassisSettings) -> ssl.SSLContext | None:
    """Verifies server and host name where `database_ca_file` is given, else None."""
    if settings.database_ca_file is None:
        return None
    return _trusting("COTERIE_DATABASE_CA_FILE", settings.database_ca_file)


def _kafka_tls(settings: ChassisSettings) -> ssl.SSLContext:
    context = _trusting("COTERIE_KAFKA_CA_FILE", settings.kafka_ca_file)
    if (certificate := settings.kafka_certificate_file) is not None:
        try:
            context.load_cert_chain(certificate, settings.kafka_key_file)
        except OSError as error:
            raise ConfigurationFault(
                f"COTERIE_KAFKA_CERTIFICATE_FILE {certificate} and COTERIE_KAFKA_KEY_FILE "
                f"{settings.kafka_key_file}: {_why(error)}"
            ) from None
    return context


def _trusting(setting: str, authorities: Path | None) -> ssl.SSLContext:
    """Trust these authorities, or the system's where none are named."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise ConfigurationFault(f"{setting} {authorities}: {_why(error)}") from None


def _why(error: OSError) -> str:
    return str(error.strerror or error.args[-1])


_MECHANISMS: Final = {
    "PLAIN": SASLPlaintext,
    "SCRAM-SHA-256": SASLScram256,
    "SCRAM-SHA-512": SASLScram512,
}
