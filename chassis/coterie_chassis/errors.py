"""Every error type of the chassis, which database errors pass by themselves, and what is told.

Transient: wait and try again. Everything else is a bug or a refusal, and trying again would only
repeat it. Source of the classes: PostgreSQL, Appendix A, SQLSTATE.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

__all__ = [
    "CommitUncertain",
    "ConfigurationFault",
    "HaltedConsumer",
    "LeakedCancellation",
    "MissingTopics",
    "OlderSchema",
    "describe",
    "is_lost_connection",
    "is_transient",
    "no_stray_cancellation",
]

_TRANSIENT_CLASSES: Final = ("08", "40", "53", "57")
_GONE_CLASSES: Final = ("08", "57")
_LOCK_NOT_AVAILABLE: Final = "55P03"
_IDLE_IN_TRANSACTION: Final = "25P03"
_DATA: Final = "22"


class ConfigurationFault(Exception):
    """Settings or wiring cannot work; the message says what to do."""


class OlderSchema(ConfigurationFault):
    """The database's schema is older than this release; `migrate` brings it up."""


class HaltedConsumer(Exception):
    """Dead letters reached a limit; the consumer stops instead of draining its topics."""


class MissingTopics(ConnectionError):
    """The broker answers and does not have these topics yet."""


class LeakedCancellation(Exception):
    """Work raised `CancelledError` although nobody cancelled it: a bug, which ends no loop."""


class CommitUncertain(ConnectionError):
    """The connection was lost during a commit: it took effect or not."""


@contextmanager
def no_stray_cancellation(what: str) -> Iterator[None]:
    """Raise `LeakedCancellation` for a `CancelledError` that no cancellation of this task caused.

    A loop that one of these ends is not started again by anybody.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LeakedCancellation(f"{what} leaked a cancellation") from error


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without a change."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(error, InterfaceError):
            return True
        return _passes(error.orig)
    if isinstance(error, asyncpg.PostgresError):
        return _passes(error)
    return isinstance(
        error,
        (
            PoolTimeout,
            KafkaConnectionError,
            KafkaTimeoutError,
            NodeNotReadyError,
            ConnectionError,
            TimeoutError,
            socket.gaierror,
        ),
    )


def is_lost_connection(error: BaseException) -> bool:
    """Whether the database went away, so that its answer is not known."""
    if isinstance(error, DBAPIError):
        state = str(getattr(error.driver_exception, "sqlstate", None) or "")
        lost = error.connection_invalidated or isinstance(error, InterfaceError)
        return lost or state.startswith(_GONE_CLASSES)
    return isinstance(error, OSError)


def describe(error: BaseException) -> str:
    """Type and message, without the rows or the input that a library puts into its own text."""
    if isinstance(error, DBAPIError):
        return f"{type(error).__name__} {_primary(error.driver_exception)}"
    if isinstance(error, asyncpg.PostgresError):
        return f"{type(error).__name__} {_primary(error)}"
    if isinstance(error, StatementError):
        return f"{type(error).__name__}: {type(error.orig).__name__}"
    if isinstance(error, ValidationError):
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['type']}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        )
        return f"{type(error).__name__} of {error.title}: {faults}"
    return f"{type(error).__name__}: {error}"


def _passes(error: BaseException | None) -> bool:
    state = str(getattr(error, "sqlstate", None) or "")
    return state.startswith(_TRANSIENT_CLASSES) or state in {
        _LOCK_NOT_AVAILABLE,
        _IDLE_IN_TRANSACTION,
    }


def _primary(error: BaseException) -> str:
    """PostgreSQL's SQLSTATE and first line; what follows names rows, and of class 22 the value."""
    state = str(getattr(error, "sqlstate", None) or "")
    message = str(error.args[0]) if error.args else ""
    return f"{state}: {message.partition(':')[0] if state.startswith(_DATA) else message}"
