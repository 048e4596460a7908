"""Membership's tables, and how decisions are loaded and saved.

Lock order, the same in every command and deadline: the community's row, then nothing that needs a
lock of its own, because whoever changes an application, a member or an invitation holds the row of
its community. `CHECK (held <= seat_limit)` is the last word on seats.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    Time,
    Uuid,
    delete,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from coterie_chassis.decisions import Cause, NotFound
from coterie_chassis.store import UnitOfWork, bulk_insert, bulk_upsert
from coterie_contracts.community import ClockMode, CommunityStatus, Objective
from coterie_contracts.member import MemberStatus, RequirementVerdict
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Community,
    Invitation,
    InvitationStatus,
    Member,
)
from coterie_membership.domain.requirements import Dossier, Requirement
from coterie_membership.domain.seats import Seats

metadata = MetaData()
_moment = DateTime(timezone=True)
_LIVE: Final = "status IN ('submitted', 'waitlisted', 'offered')"

community: Final = Table(
    "community",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("brand_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("member_promise", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("quiet_from", Time, nullable=False),
    Column("quiet_until", Time, nullable=False),
    Column("clock", Text, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("seat_limit", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("seat_sequence", BigInteger, nullable=False),
    Column("requirements_version", Integer, nullable=False),
    Column("objectives", JSONB, nullable=False),
    Column("founded", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint("held <= seat_limit", name="seats_within_limit"),
    CheckConstraint("held >= 0", name="seats_not_negative"),
)

requirements: Final = Table(
    "requirements",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("tree", JSONB, nullable=False),
)

application: Final = Table(
    "application",
    metadata,
    Column("application_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("requirements_version", Integer, nullable=False),
    Column("dossier", JSONB, nullable=False),
    Column("verdicts", JSONB, nullable=False),
    Column("submitted_at", _moment, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("email", Text),
    Column("invitation_id", Uuid),
    Column("priority", Integer, nullable=False),
    Column("enqueued_at", _moment),
    Column("offer_expires_at", _moment),
    Column("lapses", Integer, nullable=False),
    Column("reason", Text),
    Column("reapply_after", _moment),
    Column("version", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Index(
        "one_live_application",
        "community_id",
        "person_id",
        unique=True,
        postgresql_where=text(_LIVE),
    ),
    Index(
        "application_waitlist",
        "community_id",
        "status",
        text("priority DESC"),
        "enqueued_at",
        "application_id",
    ),
)

member: Final = Table(
    "member",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("admitted_at", _moment, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("founding_number", Integer, nullable=False),
    Column("until", _moment),
    Column("ended_at", _moment),
    Column("reapply_after", _moment),
    Column("handle", Text),
    Column("about", Text),
    Column("version", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Index("one_member_a_person", "community_id", "person_id", unique=True),
    Index("member_by_admission", "community_id", "admitted_at", "member_id"),
)

invitation: Final = Table(
    "invitation",
    metadata,
    Column("invitation_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("issuer", Text, nullable=False),
    Column("max_uses", Integer, nullable=False),
    Column("reserves_seat", Boolean, nullable=False),
    Column("expires_at", _moment, nullable=False),
    Column("status", Text, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint("uses <= max_uses", name="uses_within_max"),
    Index("invitation_of_community", "community_id"),
)

erased: Final = Table(
    "erased",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
)

incarnation: Final = Table(
    "incarnation",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("identity_hash", Text, primary_key=True, comment="HMAC under membership's key"),
    Column("erasures", Integer, nullable=False),
    Column("reapply_after", _moment),
)

_REQUIREMENT: Final[TypeAdapter[Requirement]] = TypeAdapter(Requirement)


async def begin(uow: UnitOfWork, community_id: UUID) -> Decision:
    """Lock a community's row and begin a decision on it. Raises `NotFound`."""
    row = await uow.one_or_none(
        select(community).where(community.c.community_id == community_id).with_for_update()
    )
    if row is None:
        raise NotFound("community")
    return Decision(_community(row))


async def community_by_id(uow: UnitOfWork, community_id: UUID) -> Community | None:
    row = await uow.one_or_none(select(community).where(community.c.community_id == community_id))
    return None if row is None else _community(row)


async def tree(uow: UnitOfWork, community_id: UUID, version: int) -> Requirement:
    """The entry requirements of a community in a version."""
    c = requirements.c
    query = select(c.tree).where(c.community_id == community_id, c.version == version)
    return _REQUIREMENT.validate_python((await uow.execute(query)).scalar_one())


async def add_tree(uow: UnitOfWork, community_id: UUID, version: int, value: Requirement) -> None:
    row = {
        "community_id": community_id,
        "version": version,
        "tree": _REQUIREMENT.dump_python(value, mode="json"),
    }
    await bulk_insert(uow, requirements, [row])


async def application_by_id(uow: UnitOfWork, application_id: UUID) -> Application | None:
    row = await uow.one_or_none(
        select(application).where(application.c.application_id == application_id)
    )
    return None if row is None else _application(row)


async def applications_of(
    uow: UnitOfWork, community_id: UUID, person_id: UUID
) -> list[Application]:
    """A person's applications to a community, newest first."""
    c = application.c
    query = (
        select(application)
        .where(c.community_id == community_id, c.person_id == person_id)
        .order_by(c.submitted_at.desc(), c.application_id)
    )
    return [_application(row) for row in await uow.rows(query)]


async def waitlist(uow: UnitOfWork, community_id: UUID, limit: int) -> list[Application]:
    """The head of the waitlist in its order: priority, time, id."""
    c = application.c
    query = (
        select(application)
        .where(c.community_id == community_id, c.status == ApplicationStatus.WAITLISTED)
        .order_by(c.priority.desc(), c.enqueued_at, c.application_id)
        .limit(limit)
    )
    return [_application(row) for row in await uow.rows(query)]


async def applications(uow: UnitOfWork, query: Select[Any]) -> list[Application]:
    return [_application(row) for row in await uow.rows(query)]


async def members(uow: UnitOfWork, query: Select[Any]) -> list[Member]:
    return [_member(row) for row in await uow.rows(query)]


async def member_by_id(uow: UnitOfWork, member_id: UUID) -> Member | None:
    row = await uow.one_or_none(select(member).where(member.c.member_id == member_id))
    return None if row is None else _member(row)


async def member_of(uow: UnitOfWork, community_id: UUID, person_id: UUID) -> Member | None:
    c = member.c
    row = await uow.one_or_none(
        select(member).where(c.community_id == community_id, c.person_id == person_id)
    )
    return None if row is None else _member(row)


async def members_by_id(uow: UnitOfWork, community_id: UUID, ids: Collection[UUID]) -> list[Member]:
    c = member.c
    query = select(member).where(c.community_id == community_id, c.member_id.in_(list(ids)))
    return [_member(row) for row in await uow.rows(query)]


async def invitation_by_id(uow: UnitOfWork, invitation_id: UUID) -> Invitation | None:
    row = await uow.one_or_none(
        select(invitation).where(invitation.c.invitation_id == invitation_id)
    )
    return None if row is None else _invitation(row)


async def invitation_by_token(uow: UnitOfWork, token_hash: str) -> Invitation | None:
    row = await uow.one_or_none(select(invitation).where(invitation.c.token_hash == token_hash))
    return None if row is None else _invitation(row)


async def erasures_of(uow: UnitOfWork, community_id: UUID, identity_hash: str) -> Row[Any] | None:
    """How often a person was erased from a community, and any ban that outlived it."""
    c = incarnation.c
    return await uow.one_or_none(
        select(incarnation).where(c.community_id == community_id, c.identity_hash == identity_hash)
    )


async def save(
    uow: UnitOfWork, decision: Decision, cause: Cause, *, token_hash: str | None = None
) -> None:
    """Write a decision: one statement a kind of aggregate, events and deadlines included."""
    await bulk_upsert(uow, community, [_community_row(decision.community)], keys=("community_id",))
    rows = [_application_row(value) for _, value in sorted(decision.applications.items())]
    await bulk_upsert(uow, application, rows, keys=("application_id",))
    rows = [_member_row(value) for _, value in sorted(decision.members.items())]
    await bulk_upsert(uow, member, rows, keys=("member_id",))
    rows = [_invitation_row(value) for _, value in sorted(decision.invitations.items())]
    if token_hash is not None:
        await bulk_insert(uow, invitation, [{**row, "token_hash": token_hash} for row in rows])
    else:
        await _update_invitations(uow, rows)
    uow.publish(cause, *decision.drafts)
    for (kind, aggregate_id), due_at in decision.deadlines.items():
        if due_at is None:
            uow.cancel(kind, aggregate_id)
        else:
            uow.schedule(kind, aggregate_id, decision.community.community_id, due_at)


async def forget(
    uow: UnitOfWork,
    community_id: UUID,
    person_id: UUID,
    *,
    member_id: UUID,
    identity_hash: str,
    reapply_after: datetime | None,
) -> None:
    """Delete what is held of a person; keep the erased id and a hash that carries a ban."""
    for table in (application, member):
        await uow.execute(
            delete(table).where(
                table.c.community_id == community_id, table.c.person_id == person_id
            )
        )
    row = {"member_id": member_id, "community_id": community_id}
    await bulk_insert(uow, erased, [row], on_conflict_do_nothing=True)
    await uow.execute(
        _COUNT_ERASURE,
        {"community": community_id, "hash": identity_hash, "reapply_after": reapply_after},
    )


async def _update_invitations(uow: UnitOfWork, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        await uow.execute(
            invitation.update()
            .where(invitation.c.invitation_id == row["invitation_id"])
            .values(row)
        )


def _community(row: Row[Any]) -> Community:
    return Community(
        community_id=row.community_id,
        brand_id=row.brand_id,
        name=row.name,
        purpose=row.purpose,
        audience=row.audience,
        member_promise=row.member_promise,
        status=CommunityStatus(row.status),
        time_zone=row.time_zone,
        quiet_from=row.quiet_from,
        quiet_until=row.quiet_until,
        clock=ClockMode(row.clock),
        seats=Seats(row.capacity, row.seat_limit, row.held, row.seat_sequence),
        requirements_version=row.requirements_version,
        objectives=tuple(Objective.model_validate(o) for o in row.objectives),
        founded=row.founded,
        version=row.version,
        sequence=row.sequence,
    )


def _community_row(value: Community) -> dict[str, Any]:
    return {
        "community_id": value.community_id,
        "brand_id": value.brand_id,
        "name": value.name,
        "purpose": value.purpose,
        "audience": value.audience,
        "member_promise": value.member_promise,
        "status": value.status.value,
        "time_zone": value.time_zone,
        "quiet_from": value.quiet_from,
        "quiet_until": value.quiet_until,
        "clock": value.clock.value,
        "capacity": value.seats.capacity,
        "seat_limit": value.seats.limit,
        "held": value.seats.held,
        "seat_sequence": value.seats.sequence,
        "requirements_version": value.requirements_version,
        "objectives": [o.model_dump(mode="json") for o in value.objectives],
        "founded": value.founded,
        "version": value.version,
        "sequence": value.sequence,
    }


def _application(row: Row[Any]) -> Application:
    values = dict(row._mapping)
    values["status"] = ApplicationStatus(row.status)
    values["dossier"] = Dossier.model_validate(row.dossier)
    values["verdicts"] = tuple(RequirementVerdict.model_validate(v) for v in row.verdicts)
    return Application(**values)


def _application_row(value: Application) -> dict[str, Any]:
    row = {name: getattr(value, name) for name in application.c.keys()}  # noqa: SIM118 - columns
    row["status"] = value.status.value
    row["dossier"] = value.dossier.model_dump(mode="json")
    row["verdicts"] = [verdict.model_dump(mode="json") for verdict in value.verdicts]
    return row


def _member(row: Row[Any]) -> Member:
    return Member(**{**row._mapping, "status": MemberStatus(row.status)})


def _member_row(value: Member) -> dict[str, Any]:
    row = {name: getattr(value, name) for name in member.c.keys()}  # noqa: SIM118 - columns
    row["status"] = value.status.value
    return row


def _invitation(row: Row[Any]) -> Invitation:
    values = {**row._mapping, "status": InvitationStatus(row.status)}
    del values["token_hash"]
    return Invitation(**values)


def _invitation_row(value: Invitation) -> dict[str, Any]:
    names = [name for name in invitation.c.keys() if name != "token_hash"]  # noqa: SIM118 - columns
    row = {name: getattr(value, name) for name in names}
    row["status"] = value.status.value
    return row


_COUNT_ERASURE: Final = text(
    "INSERT INTO incarnation (community_id, identity_hash, erasures, reapply_after) "
    "VALUES (:community, :hash, 1, :reapply_after) "
    "ON CONFLICT (community_id, identity_hash) DO UPDATE SET "
    "erasures = incarnation.erasures + 1, reapply_after = excluded.reapply_after"
)
