"""A service's own copy of communities and members: who is in, on which clock, in which zone.

Copied state, fold `latest`: a row changes only for a higher `ce_sequence`. `member.erased` wins in
any order: the id is kept for ever, and a trigger of the database refuses every later copy of that
member, one that is written at the same moment included.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    Uuid,
    delete,
    select,
    text,
)
from sqlalchemy import Time as TimeOfDay
from sqlalchemy.dialects.postgresql import JSONB

from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.projections import Projection
from coterie_chassis.store import UnitOfWork, bulk_insert, bulk_upsert
from coterie_chassis.tables import community_clock
from coterie_contracts.community import (
    ClockAdvanced,
    ClockMode,
    CommunityChanged,
    CommunityFacts,
    CommunityOpened,
    CommunityStatus,
    Objective,
)
from coterie_contracts.envelope import Event
from coterie_contracts.member import (
    MemberAdmitted,
    MemberErased,
    MemberFacts,
    MemberLeft,
    MemberReinstated,
    MemberReleased,
    MemberRemoved,
    MemberStatus,
    MemberSuspended,
)

__all__ = [
    "PROJECTIONS",
    "Community",
    "Member",
    "active_members",
    "communities",
    "community",
    "copy_communities",
    "copy_members",
    "follow_clock",
    "forget_members",
    "going_live",
    "member_of",
    "members",
    "metadata",
]

metadata = MetaData()
_moment = DateTime(timezone=True)

member_copy: Final = Table(
    "member_copy",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("admitted_at", _moment, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Index("member_copy_of_person", "community_id", "person_id"),
)

erased_member: Final = Table(
    "erased_member",
    metadata,
    Column("member_id", Uuid, primary_key=True),
)

community_copy: Final = Table(
    "community_copy",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("brand_id", Uuid),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("quiet_from", TimeOfDay, nullable=False),
    Column("quiet_until", TimeOfDay, nullable=False),
    Column("clock", Text, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("objectives", JSONB, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Member:
    member_id: UUID
    community_id: UUID
    person_id: UUID
    status: MemberStatus
    admitted_at: datetime
    time_zone: str
    locale: str
    sequence: int

    @property
    def active(self) -> bool:
        return self.status is MemberStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Community:
    community_id: UUID
    brand_id: UUID | None
    name: str
    status: CommunityStatus
    time_zone: str
    quiet_from: time
    quiet_until: time
    clock: ClockMode
    capacity: int
    objectives: tuple[Objective, ...]
    sequence: int


async def member_of(uow: UnitOfWork, community_id: UUID, person_id: UUID) -> Member | None:
    """The member that a person is in a community, in whatever state."""
    c = member_copy.c
    statement = select(member_copy).where(c.community_id == community_id, c.person_id == person_id)
    row = await uow.one_or_none(statement)
    return None if row is None else _member(row)


async def members(uow: UnitOfWork, member_ids: Collection[UUID]) -> dict[UUID, Member]:
    """Members by id, those that are known here."""
    if not member_ids:
        return {}
    statement = select(member_copy).where(member_copy.c.member_id.in_(list(member_ids)))
    return {row.member_id: _member(row) for row in await uow.rows(statement)}


async def active_members(uow: UnitOfWork, community_id: UUID) -> list[Member]:
    """The active members of a community, by id."""
    c = member_copy.c
    statement = (
        select(member_copy)
        .where(c.community_id == community_id, c.status == MemberStatus.ACTIVE.value)
        .order_by(c.member_id)
    )
    return [_member(row) for row in await uow.rows(statement)]


async def community(uow: UnitOfWork, community_id: UUID) -> Community | None:
    """A community, if it is known here."""
    return (await communities(uow, [community_id])).get(community_id)


async def communities(uow: UnitOfWork, ids: Collection[UUID]) -> dict[UUID, Community]:
    """Communities by id, those that are known here."""
    if not ids:
        return {}
    statement = select(community_copy).where(community_copy.c.community_id.in_(list(ids)))
    return {row.community_id: _community(row) for row in await uow.rows(statement)}


@handles(
    MemberAdmitted,
    MemberSuspended,
    MemberReinstated,
    MemberLeft,
    MemberReleased,
    MemberRemoved,
    fold=Fold.LATEST,
)
async def copy_members(events: Batch[MemberFacts], uow: UnitOfWork) -> None:
    """Keep the copy of members; one statement a batch."""
    rows = [
        {
            "member_id": event.data.member_id,
            "community_id": event.data.community_id,
            "person_id": event.data.person_id,
            "status": event.data.status.value,
            "admitted_at": event.data.admitted_at,
            "time_zone": event.data.time_zone,
            "locale": event.data.locale,
            "sequence": event.sequence or 0,
        }
        for event in sorted(events, key=lambda event: event.data.member_id)
    ]
    await bulk_upsert(
        uow,
        member_copy,
        rows,
        keys=("member_id",),
        where="excluded.sequence > member_copy.sequence",
    )


@handles(MemberErased, fold=Fold.EVERY)
async def forget_members(events: Batch[MemberErased], uow: UnitOfWork) -> None:
    """Remember the ids for ever, drop the copies; two statements a batch."""
    ids = sorted({event.data.member_id for event in events})
    rows = [{"member_id": id_} for id_ in ids]
    await bulk_insert(uow, erased_member, rows, on_conflict_do_nothing=True)
    await uow.execute(delete(member_copy).where(member_copy.c.member_id.in_(ids)))


@handles(CommunityOpened, CommunityChanged, fold=Fold.LATEST)
async def copy_communities(events: Batch[CommunityFacts], uow: UnitOfWork) -> None:
    """Keep the copy of communities; one statement a batch."""
    rows: list[dict[str, Any]] = [
        {
            "community_id": event.data.community_id,
            "brand_id": event.brand_id,
            "name": event.data.name,
            "status": event.data.status.value,
            "time_zone": event.data.time_zone,
            "quiet_from": event.data.quiet_from,
            "quiet_until": event.data.quiet_until,
            "clock": event.data.clock.value,
            "capacity": event.data.capacity,
            "objectives": [o.model_dump(mode="json") for o in event.data.objectives],
            "sequence": event.sequence or 0,
        }
        for event in sorted(events, key=lambda event: event.data.community_id)
    ]
    await bulk_upsert(
        uow,
        community_copy,
        rows,
        keys=("community_id",),
        where="excluded.sequence > community_copy.sequence",
    )


async def going_live(
    events: Sequence[Event[Any]], uow: UnitOfWork
) -> dict[UUID, Event[ClockAdvanced]]:
    """What ends a driven clock that is driven here still, by community.

    Those clocks stand still until the commit. For handlers that run before `follow_clock` and give
    what is open its whole time again: a community that is live already has nothing to restart.
    """
    live = {
        e.data.community_id: e
        for e in events
        if isinstance(e.data, ClockAdvanced) and e.data.mode is ClockMode.WALL
    }
    if not live:
        return {}
    rows = await uow.rows(_STILL_DRIVEN, {"ids": sorted(live)})
    return {row.community_id: live[row.community_id] for row in rows}


@handles(ClockAdvanced, fold=Fold.EVERY)
async def follow_clock(events: Batch[ClockAdvanced], uow: UnitOfWork) -> None:
    """Move driven clocks that were pushed explicitly; a community that went live stays live.

    A driven clock may stand in the future, so going live counts whatever time it is.
    """
    rows: dict[UUID, dict[str, Any]] = {}
    for event in sorted(events, key=lambda event: (event.data.mode, event.data.now)):
        rows[event.data.community_id] = {
            "community_id": event.data.community_id,
            "brand_id": event.brand_id,
            "mode": event.data.mode.value,
            "now": event.data.now,
        }
    ordered = [rows[id_] for id_ in sorted(rows)]
    await bulk_upsert(
        uow,
        community_clock,
        ordered,
        keys=("community_id",),
        where="community_clock.mode = 'driven' "
        "AND (excluded.mode = 'wall' OR excluded.now >= community_clock.now)",
    )


def _member(row: Row[Any]) -> Member:
    return Member(
        member_id=row.member_id,
        community_id=row.community_id,
        person_id=row.person_id,
        status=MemberStatus(row.status),
        admitted_at=row.admitted_at,
        time_zone=row.time_zone,
        locale=row.locale,
        sequence=row.sequence,
    )


def _community(row: Row[Any]) -> Community:
    return Community(
        community_id=row.community_id,
        brand_id=row.brand_id,
        name=row.name,
        status=CommunityStatus(row.status),
        time_zone=row.time_zone,
        quiet_from=row.quiet_from,
        quiet_until=row.quiet_until,
        clock=ClockMode(row.clock),
        capacity=row.capacity,
        objectives=tuple(Objective.model_validate(o) for o in row.objectives),
        sequence=row.sequence,
    )


PROJECTIONS: Final = (
    Projection(community_copy, (copy_communities,)),
    Projection(erased_member, (forget_members,)),
    Projection(member_copy, (copy_members, forget_members)),
)
"""All three are whole: every event of theirs carries what its copy needs."""

_STILL_DRIVEN: Final = text(
    "SELECT community_id FROM community_clock WHERE community_id = ANY(CAST(:ids AS uuid[])) "
    "AND mode = 'driven' ORDER BY community_id FOR UPDATE"
)
