"""Rows to domain values and back; columns and fields have the same names."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Row, Table

from coterie_contracts.reward import Badge, HeldFor, ItemKind
from coterie_recognition.domain.at_hand import Pool
from coterie_recognition.domain.badges import Held
from coterie_recognition.domain.catalogue import Beneficiary, Item, ItemSpec, Policy, When
from coterie_recognition.domain.ledger import Budget, Entry
from coterie_recognition.domain.rewards import Reward, Status
from coterie_recognition.store import tables

__all__ = [
    "badge_from",
    "budget_from",
    "entry_row",
    "item_from",
    "item_row",
    "policy_from",
    "pool_from",
    "reward_from",
    "row_of",
]

_SPEC: Final[TypeAdapter[ItemSpec]] = TypeAdapter(ItemSpec)


def row_of(table: Table, value: object) -> dict[str, Any]:
    """The row of a value whose fields are the table's columns."""
    return {column.name: _plain(getattr(value, column.name)) for column in table.columns}


def reward_from(row: Row[Any]) -> Reward:
    values = _dict(row)
    held_for = values["held_for"]
    return Reward(
        **values
        | {
            "item_kind": ItemKind(values["item_kind"]),
            "status": Status(values["status"]),
            "held_for": None if held_for is None else HeldFor(held_for),
        }
    )


def policy_from(row: Row[Any]) -> Policy:
    values = _dict(row)
    when, beneficiary = When(values["when"]), Beneficiary(values["beneficiary"])
    return Policy(**values | {"when": when, "beneficiary": beneficiary})


def item_from(row: Row[Any]) -> Item:
    spec = _SPEC.validate_python(row.spec)
    return Item(row.item_id, row.community_id, row.name, spec, row.version)


def item_row(item: Item) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "community_id": item.community_id,
        "name": item.name,
        "spec": item.spec.model_dump(mode="json"),
        "version": item.version,
    }


def budget_from(row: Row[Any]) -> Budget:
    return Budget(**_dict(row))


def pool_from(row: Row[Any]) -> Pool:
    return Pool(**_dict(row))


def badge_from(row: Row[Any]) -> Held:
    return Held(
        row.badge_id,
        row.member_id,
        row.community_id,
        Badge(row.badge),
        row.season,
        row.held,
        row.changed_at,
        row.sequence,
    )


def entry_row(entry: Entry) -> dict[str, Any]:
    credited, debited = entry.move.legs
    own = {
        column.name: _plain(getattr(entry, column.name))
        for column in tables.ledger_entry.columns
        if column.name not in {"credited", "debited"}
    }
    return own | {"credited": credited.value, "debited": debited.value}


def _dict(row: Row[Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row._mapping.items()}


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else value
