"""Sends records as whole Kafka batches: one a partition, built while the ones before are in flight.

A record's partition is the one that aiokafka's own partitioner, and every other Kafka client, gives
its key; only the hash, which is pure Python there, is remembered. Batches of one partition are
queued in the order of their records, and a partition's next batch waits until the one before it is
under way, so the idempotent producer numbers them in that order. No size is left to the broker: a
batch holds what the broker takes, and a record that fits in none is refused before anything is sent
with it, for `BatchBuilder` takes a first record of any size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import murmur2

__all__ = ["MAX_BATCH_BYTES", "Packed", "Sender"]

MAX_BATCH_BYTES: Final = 1_000_000  # Kafka's own message.max.bytes is 1,048,588
_KEYS: Final = 32_768
_HASH_BITS: Final = 0x7FFFFFFF
_ABORT_S: Final = 0.2
_REQUEST_TIMEOUT_MS: Final = 10_000

Headers = list[tuple[str, bytes]]


Outgoing = tuple[str, bytes, Headers, bytes | None]


@dataclass(frozen=True, slots=True)
class Packed:
    """Records in batches, each with its topic and partition, ready to be queued in this order."""

    batches: Sequence[tuple[str, int, Any]]
    count: int


class Sender:
    """A producer of its own: acknowledged by all replicas, idempotent, gone for good when closed.

    An error leaves it unusable, because an idempotent producer does not recover from a gap.
    """

    def __init__(self, bootstrap: str, *, client_id: str, **options: Any) -> None:
        """`options` are further ones of aiokafka's clients."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            **options,
        )

    async def start(self) -> None:
        """Connect. Raises where Kafka does not answer."""
        await self._producer.start()

    async def pack(self, records: Iterable[Outgoing]) -> Packed:
        """Put records (topic, key, headers, value) into batches, in their order.

        Raises `MessageSizeTooLargeError` for one that fits in none.
        Waits only for the metadata of a topic that is new to this producer.
        """
        batches: list[tuple[str, int, Any]] = []
        filling: dict[tuple[str, int], Callable[..., Any]] = {}
        partitions: dict[str, int] = {}
        count = 0
        for topic, key, headers, value in records:
            count += 1
            if (number := partitions.get(topic)) is None:
                number = partitions[topic] = len(await self._producer.partitions_for(topic))
            place = topic, _hash_of(key) % number
            add = filling.get(place)
            if add is None or add(timestamp=None, key=key, value=value, headers=headers) is None:
                batch = self._producer.create_batch()
                batches.append((*place, batch))
                add = filling[place] = batch.append
                add(timestamp=None, key=key, value=value, headers=headers)
                if batch.size() > MAX_BATCH_BYTES:
                    raise MessageSizeTooLargeError(
                        f"a record of {topic} is larger than {MAX_BATCH_BYTES} bytes"
                    )
        return Packed(batches, count)

    async def send(self, packed: Packed) -> None:
        """Send in order and wait for every acknowledgement."""
        await asyncio.gather(*await self._queue(packed))

    async def _queue(self, packed: Packed) -> list[asyncio.Future[Any]]:
        return [
            await self._producer.send_batch(batch, topic, partition=partition)
            for topic, partition, batch in packed.batches
        ]

    async def abort(self) -> None:
        """Close without sending what is still queued, which the producer's own `stop` would do.

        What was acknowledged is not queued, so an orderly end loses nothing by it. The first
        cancellation has aiokafka's sender wait for the request under way, the second ends that too.
        """
        producer = self._producer
        client, sender = producer.client, producer._sender.sender_task
        await client.close()
        while sender is not None and not sender.done():
            sender.cancel()
            await asyncio.wait({sender}, timeout=_ABORT_S)
        if client._md_update_fut is not None:
            client._md_update_fut.cancel()
        producer._closed = True


@lru_cache(maxsize=_KEYS)
def _hash_of(key: bytes) -> int:
    return int(murmur2(key)) & _HASH_BITS
