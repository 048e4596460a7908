"""Items, policies and pools of a community, and the templates that it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy import select, text

from coterie_chassis.decisions import Cause
from coterie_chassis.store import UnitOfWork, bulk_insert, bulk_upsert
from coterie_recognition.domain.at_hand import Pool
from coterie_recognition.domain.catalogue import (
    GiftCode,
    Item,
    Policy,
    announcement,
    templates,
)
from coterie_recognition.store import rows, tables

__all__ = [
    "add_item",
    "add_pool",
    "find_item",
    "items",
    "policies",
    "pools",
    "save_item",
    "set_up",
]


async def set_up(uow: UnitOfWork, causes: Mapping[UUID, Cause]) -> None:
    """Give communities their templates unless they have them; four statements."""
    made = [(item, policy) for id_ in sorted(causes) for item, policy in templates(id_)]
    pools = [
        Pool(item.spec.pool_id, item.community_id, item.name)
        for item, _ in made
        if isinstance(item.spec, GiftCode) and item.spec.pool_id is not None
    ]
    await _insert_new(uow, [rows.item_row(item) for item, _ in made])
    await bulk_insert(
        uow,
        tables.code_pool,
        [rows.row_of(tables.code_pool, pool) for pool in pools],
        on_conflict_do_nothing=True,
    )
    new = await bulk_insert(
        uow,
        tables.reward_policy,
        [rows.row_of(tables.reward_policy, policy) for _, policy in made],
        on_conflict_do_nothing=True,
        returning=("policy_id",),
    )
    inserted = {row.policy_id for row in new}
    for _, policy in made:
        if policy.policy_id in inserted:
            cause = causes[policy.community_id]
            uow.publish(cause, announcement(policy, cause))


async def _insert_new(uow: UnitOfWork, item_rows: list[dict[str, object]]) -> None:
    await bulk_insert(uow, tables.catalogue_item, item_rows, on_conflict_do_nothing=True)


async def add_pool(uow: UnitOfWork, pool: Pool) -> None:
    await bulk_insert(uow, tables.code_pool, [rows.row_of(tables.code_pool, pool)])


async def add_item(uow: UnitOfWork, item: Item) -> None:
    await bulk_insert(uow, tables.catalogue_item, [rows.item_row(item)])


async def save_item(uow: UnitOfWork, item: Item) -> Item:
    """Keep a changed item under its next version."""
    changed = replace(item, version=item.version + 1)
    await bulk_upsert(uow, tables.catalogue_item, [rows.item_row(changed)], keys=("item_id",))
    return changed


async def find_item(uow: UnitOfWork, item_id: UUID) -> Item | None:
    table = tables.catalogue_item
    row = await uow.one_or_none(select(table).where(table.c.item_id == item_id))
    return None if row is None else rows.item_from(row)


async def items(uow: UnitOfWork, community_id: UUID) -> list[Item]:
    """A community's catalogue, by name."""
    c = tables.catalogue_item.c
    statement = (
        select(tables.catalogue_item)
        .where(c.community_id == community_id)
        .order_by(c.name, c.item_id)
    )
    return [rows.item_from(row) for row in await uow.rows(statement)]


async def policies(uow: UnitOfWork, community_id: UUID) -> list[Policy]:
    """The version in force of each of a community's policies, by name."""
    found = [
        rows.policy_from(row) for row in await uow.rows(_IN_FORCE, {"community": community_id})
    ]
    return sorted(found, key=lambda policy: (policy.name, policy.policy_id))


async def pools(uow: UnitOfWork, community_id: UUID) -> list[Pool]:
    """A community's code pools, by name."""
    c = tables.code_pool.c
    statement = (
        select(tables.code_pool).where(c.community_id == community_id).order_by(c.name, c.pool_id)
    )
    return [rows.pool_from(row) for row in await uow.rows(statement)]


_IN_FORCE: Final = text(
    "SELECT DISTINCT ON (policy_id) * FROM reward_policy WHERE community_id = :community "
    "ORDER BY policy_id, version DESC"
)
