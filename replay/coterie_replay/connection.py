"""How a cluster that asks who calls is reached: by the variables that the services take.

Nothing that was given is left unused: a typo must not open a plain connection.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any, Final

from coterie_replay.faults import ReplayFault

__all__ = ["client_options"]

_PREFIX: Final = "COTERIE_KAFKA_"
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_FILES: Final = ("CA_FILE", "CERTIFICATE_FILE", "KEY_FILE")
_NAMES: Final = ("USERNAME", "PASSWORD")


def client_options(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """What aiokafka's clients are given, by `COTERIE_KAFKA_SECURITY_PROTOCOL` and its like.

    Raises `ReplayFault` naming the variable that is wrong, missing or has no use.
    """
    given = {
        name.removeprefix(_PREFIX): value
        for name, value in environment.items()
        if name.startswith(_PREFIX) and value
    }
    protocol = _one_of("SECURITY_PROTOCOL", given, _PROTOCOLS)
    options: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        options["ssl_context"] = _tls(given)
    else:
        _refuse(given, _FILES, f"has no use with {_PREFIX}SECURITY_PROTOCOL={protocol}")
    if protocol.startswith("SASL"):
        options["sasl_mechanism"] = _one_of("SASL_MECHANISM", given, _MECHANISMS)
        for name in _NAMES:
            if name not in given:
                raise ReplayFault(f"{_PREFIX}{name} is missing: {protocol} needs it")
            options[f"sasl_plain_{name.lower()}"] = given[name]
    else:
        _refuse(given, _NAMES, f"has no use with {_PREFIX}SECURITY_PROTOCOL={protocol}")
    return options


def _tls(given: Mapping[str, str]) -> ssl.SSLContext:
    """Trusts these authorities, or the system's where none are named."""
    try:
        context = ssl.create_default_context(cafile=given.get("CA_FILE"))
    except OSError as error:
        raise ReplayFault(f"{_PREFIX}CA_FILE {given.get('CA_FILE')}: {_why(error)}") from None
    certificate, key = given.get("CERTIFICATE_FILE"), given.get("KEY_FILE")
    if (certificate is None) != (key is None):
        raise ReplayFault(f"{_PREFIX}CERTIFICATE_FILE and {_PREFIX}KEY_FILE come together")
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise ReplayFault(
                f"{_PREFIX}CERTIFICATE_FILE {certificate} and {_PREFIX}KEY_FILE {key}: "
                f"{_why(error)}"
            ) from None
    return context


def _one_of(name: str, given: Mapping[str, str], known: tuple[str, ...]) -> str:
    value = given.get(name, known[0])
    if value not in known:
        raise ReplayFault(f"{_PREFIX}{name}={value} is none of: {', '.join(known)}")
    return value


def _refuse(given: Mapping[str, str], names: tuple[str, ...], why: str) -> None:
    for name in names:
        if name in given:
            raise ReplayFault(f"{_PREFIX}{name} {why}")


def _why(error: OSError) -> str:
    return str(error.strerror or error.args[-1])
