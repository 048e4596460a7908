"""Whether a broker elsewhere serves a platform already: one cluster serves one.

Topics and consumer groups have the same names in every platform, so two of them on one cluster
would each miss what the other took.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from coterie_contracts.topics import TOPICS

__all__ = ["used_by_a_platform"]

_GROUPS: Final = "coterie."


async def used_by_a_platform(bootstrap: str) -> bool:
    """Whether its topics hold events, or services consume there; raises `KafkaError` or `OSError`.

    The topics must be there. A broker that does not tell its groups is judged by its topics.
    """
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in TOPICS),
        bootstrap_servers=bootstrap,
        group_id=None,
        auto_offset_reset="latest",
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await consumer.start()
        ends = await consumer.end_offsets(list(consumer.assignment()))
        if any(ends.values()):
            return True
        await admin.start()
        with suppress(KafkaError):
            groups = await admin.list_consumer_groups()
            return any(name.startswith(_GROUPS) for name, *_ in groups)
        return False
    finally:
        await consumer.stop()
        await admin.close()
