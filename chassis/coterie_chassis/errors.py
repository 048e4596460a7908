"""Every error type of the chassis, and which database errors pass by themselves.

Transient: wait and try again. Everything else is a bug or a refusal, and trying again would only
repeat it. Source of the classes: PostgreSQL, Appendix A, SQLSTATE.
"""

from __future__ import annotations

from typing import Final

from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

__all__ = ["ConfigurationFault", "HaltedConsumer", "OlderSchema", "is_transient"]

_TRANSIENT_CLASSES: Final = ("08", "40", "53", "57")
_LOCK_NOT_AVAILABLE: Final = "55P03"
_IDLE_IN_TRANSACTION: Final = "25P03"


class ConfigurationFault(Exception):
    """Settings or wiring cannot work; the message says what to do."""


class OlderSchema(ConfigurationFault):
    """The database's schema is older than this release; `migrate` brings it up."""


class HaltedConsumer(Exception):
    """Dead letters reached their limit; the consumer stops instead of draining its topics."""


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without a change."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(error, InterfaceError):
            return True
        state = str(getattr(error.orig, "sqlstate", None) or "")
        return state.startswith(_TRANSIENT_CLASSES) or state in {
            _LOCK_NOT_AVAILABLE,
            _IDLE_IN_TRANSACTION,
        }
    return isinstance(
        error,
        (
            PoolTimeout,
            KafkaConnectionError,
            KafkaTimeoutError,
            NodeNotReadyError,
            ConnectionError,
            TimeoutError,
        ),
    )
