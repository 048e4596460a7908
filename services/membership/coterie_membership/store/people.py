"""Loading what a decision needs, and saving what it changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, and_, delete, select, text

from coterie_chassis.decisions import Cause, NotFound
from coterie_chassis.store import UnitOfWork, bulk_insert, bulk_upsert
from coterie_contracts.member import MemberStatus
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Community,
    Invitation,
    InvitationStatus,
    Member,
)
from coterie_membership.domain.requirements import Requirement
from coterie_membership.store import rows, tables

_REQUIREMENT: Final[TypeAdapter[Requirement]] = TypeAdapter(Requirement)


async def begin(uow: UnitOfWork, community_id: UUID) -> Decision:
    """Lock a community's row and begin a decision on it. Raises `NotFound`."""
    c = tables.community.c
    query = select(tables.community).where(c.community_id == community_id).with_for_update()
    if (row := await uow.one_or_none(query)) is None:
        raise NotFound("community")
    return Decision(rows.community(row))


async def community_by_id(uow: UnitOfWork, community_id: UUID) -> Community | None:
    query = select(tables.community).where(tables.community.c.community_id == community_id)
    row = await uow.one_or_none(query)
    return None if row is None else rows.community(row)


async def trees(
    uow: UnitOfWork, community_id: UUID, versions: Collection[int]
) -> dict[int, Requirement]:
    """The entry requirements of a community by version."""
    c = tables.requirements.c
    query = select(c.version, c.tree).where(
        c.community_id == community_id, c.version.in_(sorted(versions))
    )
    found = await uow.rows(query)
    return {row.version: _REQUIREMENT.validate_python(row.tree) for row in found}


async def tree(uow: UnitOfWork, community_id: UUID, version: int) -> Requirement:
    """The entry requirements of a community in one version."""
    return (await trees(uow, community_id, [version]))[version]


async def add_tree(uow: UnitOfWork, community_id: UUID, version: int, value: Requirement) -> None:
    row = {
        "community_id": community_id,
        "version": version,
        "tree": _REQUIREMENT.dump_python(value, mode="json"),
    }
    await bulk_insert(uow, tables.requirements, [row])


async def application_by_id(uow: UnitOfWork, application_id: UUID) -> Application | None:
    c = tables.application.c
    row = await uow.one_or_none(
        select(tables.application).where(c.application_id == application_id)
    )
    return None if row is None else rows.application(row)


async def application_with_tree(
    uow: UnitOfWork, application_id: UUID
) -> tuple[Application, Requirement] | None:
    """An application with the requirements that it is judged by; one statement."""
    a, r = tables.application.c, tables.requirements.c
    pinned = and_(r.community_id == a.community_id, r.version == a.requirements_version)
    query = (
        select(tables.application, r.tree)
        .join(tables.requirements, pinned)
        .where(a.application_id == application_id)
    )
    row = await uow.one_or_none(query)
    return None if row is None else (rows.application(row), _REQUIREMENT.validate_python(row.tree))


async def applications_of(
    uow: UnitOfWork, community_id: UUID, person_id: UUID
) -> list[Application]:
    """A person's applications to a community, newest first."""
    c = tables.application.c
    query = (
        select(tables.application)
        .where(c.community_id == community_id, c.person_id == person_id)
        .order_by(c.submitted_at.desc(), c.application_id)
    )
    return await applications(uow, query)


async def applications(uow: UnitOfWork, query: Select[Any]) -> list[Application]:
    return [rows.application(row) for row in await uow.rows(query)]


async def members(uow: UnitOfWork, query: Select[Any]) -> list[Member]:
    return [rows.member(row) for row in await uow.rows(query)]


async def member_by_id(uow: UnitOfWork, member_id: UUID) -> Member | None:
    query = select(tables.member).where(tables.member.c.member_id == member_id)
    row = await uow.one_or_none(query)
    return None if row is None else rows.member(row)


async def member_of(uow: UnitOfWork, community_id: UUID, person_id: UUID) -> Member | None:
    c = tables.member.c
    row = await uow.one_or_none(
        select(tables.member).where(c.community_id == community_id, c.person_id == person_id)
    )
    return None if row is None else rows.member(row)


async def members_by_id(uow: UnitOfWork, community_id: UUID, ids: Collection[UUID]) -> list[Member]:
    c = tables.member.c
    query = select(tables.member).where(c.community_id == community_id, c.member_id.in_(list(ids)))
    return await members(uow, query)


async def with_deadlines(
    uow: UnitOfWork, community_id: UUID
) -> tuple[list[Application], list[Invitation], list[Member]]:
    """Everything of a community that ends by itself: applications, invitations, suspensions."""
    a, i, m = tables.application.c, tables.invitation.c, tables.member.c
    ending = [ApplicationStatus.SUBMITTED, ApplicationStatus.OFFERED]
    open_applications = await applications(
        uow,
        select(tables.application)
        .where(a.community_id == community_id, a.status.in_(ending))
        .order_by(a.application_id),
    )
    issued = await uow.rows(
        select(tables.invitation)
        .where(i.community_id == community_id, i.status == InvitationStatus.ISSUED)
        .order_by(i.invitation_id)
    )
    suspended = await members(
        uow,
        select(tables.member)
        .where(m.community_id == community_id, m.status == MemberStatus.SUSPENDED.value)
        .order_by(m.member_id),
    )
    return open_applications, [rows.invitation(row) for row in issued], suspended


async def erasures_of(uow: UnitOfWork, community_id: UUID, identity_hash: str) -> Row[Any] | None:
    """How often a person was erased from a community, and any ban that outlived it."""
    c = tables.incarnation.c
    return await uow.one_or_none(
        select(tables.incarnation).where(
            c.community_id == community_id, c.identity_hash == identity_hash
        )
    )


async def erased_from(uow: UnitOfWork, erased_id: UUID) -> UUID | None:
    """The community from which a member or an application of this id was erased, ever."""
    row = await uow.one_or_none(_ERASED_FROM, {"id": erased_id})
    return None if row is None else row.community_id


async def save(
    uow: UnitOfWork, decision: Decision, cause: Cause, *, token_hash: str | None = None
) -> None:
    """Write a decision, its events and deadlines included.

    One statement a kind of aggregate; invitations change singly, but for a community that goes
    live. `token_hash` says that the decision's one invitation is new.
    """
    row = rows.community_row(decision.community)
    await bulk_upsert(uow, tables.community, [row], keys=("community_id",))
    changed = [rows.application_row(value) for _, value in sorted(decision.applications.items())]
    await bulk_upsert(uow, tables.application, changed, keys=("application_id",))
    changed = [rows.member_row(value) for _, value in sorted(decision.members.items())]
    await bulk_upsert(uow, tables.member, changed, keys=("member_id",))
    changed = [rows.invitation_row(value) for _, value in sorted(decision.invitations.items())]
    if token_hash is not None:
        new = [{**row, "token_hash": token_hash} for row in changed]
        await bulk_insert(uow, tables.invitation, new)
    else:
        await _update_invitations(uow, changed)
    uow.publish(cause, *decision.drafts)
    for (kind, aggregate_id), due_at in decision.deadlines.items():
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
    """Delete what is held of a person; keep the erased ids and a hash that carries a ban."""
    a, m = tables.application.c, tables.member.c
    gone = await uow.rows(
        delete(tables.application)
        .where(a.community_id == community_id, a.person_id == person_id)
        .returning(a.application_id)
    )
    await uow.execute(
        delete(tables.member).where(m.community_id == community_id, m.person_id == person_id)
    )
    row = {"member_id": member_id, "community_id": community_id}
    await bulk_insert(uow, tables.erased, [row], on_conflict_do_nothing=True)
    ended = [{"application_id": each.application_id, "community_id": community_id} for each in gone]
    await bulk_insert(uow, tables.erased_application, ended, on_conflict_do_nothing=True)
    await uow.execute(
        _COUNT_ERASURE,
        {"community": community_id, "hash": identity_hash, "reapply_after": reapply_after},
    )


async def _update_invitations(uow: UnitOfWork, changed: Sequence[dict[str, Any]]) -> None:
    c = tables.invitation.c
    for row in changed:
        await uow.execute(
            tables.invitation.update().where(c.invitation_id == row["invitation_id"]).values(row)
        )


_ERASED_FROM: Final = text(
    "SELECT community_id FROM erased WHERE member_id = :id "
    "UNION SELECT community_id FROM erased_application WHERE application_id = :id"
)
_COUNT_ERASURE: Final = text(
    "INSERT INTO incarnation (community_id, identity_hash, erasures, reapply_after) "
    "VALUES (:community, :hash, 1, :reapply_after) "
    "ON CONFLICT (community_id, identity_hash) DO UPDATE SET "
    "erasures = incarnation.erasures + 1, reapply_after = excluded.reapply_after"
)
