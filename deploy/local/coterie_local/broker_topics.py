"""All topics of the contracts on the platform's broker."""

from __future__ import annotations

from coterie_chassis.errors import ConfigurationFault
from coterie_chassis.topics import LOOK_UP_MS, create_missing
from coterie_contracts.topics import TOPICS
from coterie_local.processes import LocalFault

__all__ = ["LOOK_UP_MS", "create_topics"]


async def create_topics(bootstrap: str, *, partitions: int | None = None, replicas: int = 1) -> int:
    """Create what is missing at `bootstrap`, wait until it can be used; how many were created.

    `partitions` overrides the table's count, for tests. Raises `LocalFault` when a topic exists
    with another partition count, `KafkaError` when the broker refuses.
    """
    try:
        return await create_missing(TOPICS, bootstrap, partitions=partitions, replicas=replicas)
    except ConfigurationFault as fault:
        raise LocalFault(str(fault)) from None
