"""What an instance of a service does: everything, or one of three, so that each scales alone.

`api` takes commands and answers queries. `consumer` applies other services' events and acts on
deadlines, because a deadline waits for what the log held when it passed; where a service listens to
nothing, deadlines are the relay's. `relay` sends the outbox and does recurring work and retention.
One relay of all instances leads; deadlines are shared among theirs. Whatever the role, what it
commits rings the leader.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Role"]


class Role(StrEnum):
    """What `serve --only` names."""

    API = "api"
    CONSUMER = "consumer"
    RELAY = "relay"
