"""Badges and their evidence, loaded for a batch and saved in bulk."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis.store import UnitOfWork, bulk_upsert
from coterie_contracts.reward import Badge
from coterie_recognition.domain.badges import Cabinet, Evidence
from coterie_recognition.store import rows, tables

__all__ = ["open_cabinet", "save_cabinet"]


async def open_cabinet(
    uow: UnitOfWork, members: Collection[UUID], *, evidence: bool = True
) -> Cabinet:
    """The badges of these members, and their evidence; two statements, or one without."""
    cabinet = Cabinet()
    values = {"ids": sorted(members)}
    for row in await uow.rows(_BADGES, values):
        cabinet.badges[row.badge_id] = rows.badge_from(row)
    if evidence:
        for row in await uow.rows(_EVIDENCE, values):
            fact = Evidence(
                row.member_id,
                Badge(row.badge),
                row.source_id,
                row.community_id,
                row.sequence,
                row.stands,
            )
            cabinet.evidence.setdefault((fact.member_id, fact.badge), {})[fact.source_id] = fact
    return cabinet


async def save_cabinet(uow: UnitOfWork, cabinet: Cabinet, added: Collection[Evidence] = ()) -> None:
    """Keep new evidence and changed badges and publish them; two statements."""
    latest: dict[tuple[UUID, Badge, UUID], Evidence] = {}
    for fact in added:
        key = fact.member_id, fact.badge, fact.source_id
        if key not in latest or latest[key].sequence < fact.sequence:
            latest[key] = fact
    await bulk_upsert(
        uow,
        tables.badge_evidence,
        [rows.row_of(tables.badge_evidence, latest[key]) for key in sorted(latest)],
        keys=("member_id", "badge", "source_id"),
        where="excluded.sequence > badge_evidence.sequence",
    )
    changed = [
        {
            "badge_id": held.badge_id,
            "community_id": held.community_id,
            "member_id": held.member_id,
            "badge": held.badge.value,
            "season": held.season,
            "held": held.held,
            "changed_at": held.changed_at,
            "sequence": held.sequence,
        }
        for _, held in sorted(cabinet.changed.items())
    ]
    await bulk_upsert(uow, tables.badge, changed, keys=("badge_id",))
    for cause, draft in cabinet.drafts:
        uow.publish(cause, draft)


_BADGES: Final = text(
    "SELECT * FROM badge WHERE member_id = ANY(CAST(:ids AS uuid[])) ORDER BY badge_id"
)
_EVIDENCE: Final = text(
    "SELECT * FROM badge_evidence WHERE member_id = ANY(CAST(:ids AS uuid[])) "
    "ORDER BY member_id, badge, source_id"
)
