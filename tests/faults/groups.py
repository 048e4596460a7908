"""Who consumes what in a service's lane, as Kafka's coordinator and its committed offsets say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from coterie_chassis.testing import until
from coterie_contracts.topics import Lane
from coterie_local.platform import Platform

__all__ = ["Share", "all_have_applied", "settle_on", "shares"]

Share: TypeAlias = Mapping[TopicPartition, int]
"""The partitions of one member of a group, each with its committed offset, 0 where none is."""

_PATIENCE_S: Final = 60.0
_STABLE: Final = "Stable"


async def shares(platform: Platform, service: str, lane: Lane) -> list[Share]:
    """What each member of a stable group consumes; empty while it rebalances."""
    group = f"coterie.{service}.{lane}"
    admin = AIOKafkaAdminClient(bootstrap_servers=platform.kafka)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
        ((_, _, state, _, _, members, *_),) = answer.groups
        if state != _STABLE:
            return []
        done = await admin.list_consumer_group_offsets(group)
        return [
            {
                place: max(done[place].offset, 0) if place in done else 0
                for place in ConsumerProtocolMemberAssignment.decode(member[4]).partitions()
            }
            for member in members
        ]
    finally:
        await admin.close()


async def settle_on(platform: Platform, service: str, lane: Lane, members: int) -> list[Share]:
    """Wait until exactly `members` share the lane, each with partitions of its own."""
    found: list[Share] = []

    async def shared() -> bool:
        found[:] = await shares(platform, service, lane)
        return len(found) == members and all(found)

    await until(shared, within_s=_PATIENCE_S)
    return found


async def all_have_applied(
    platform: Platform, service: str, lane: Lane, before: list[Share]
) -> None:
    """Wait until each of the same members has committed more than `before` somewhere."""

    async def moved() -> bool:
        now = await shares(platform, service, lane)
        done = {place: offset for share in now for place, offset in share.items()}
        same = {frozenset(share) for share in now} == {frozenset(share) for share in before}
        return same and all(
            any(done[place] > offset for place, offset in share.items()) for share in before
        )

    await until(moved, within_s=_PATIENCE_S)
