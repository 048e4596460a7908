"""Rows to values and back; a value has the names of its columns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from coterie_contracts.community import ClockMode, CommunityStatus
from coterie_contracts.member import MemberStatus, RequirementVerdict
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Community,
    Goal,
    Invitation,
    InvitationStatus,
    Member,
)
from coterie_membership.domain.requirements import Dossier
from coterie_membership.domain.seats import Seats
from coterie_membership.store import tables


def community(row: Row[Any]) -> Community:
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
        objectives=tuple(Goal.model_validate(o) for o in row.objectives),
        founded=row.founded,
        clock_told_at=row.clock_told_at,
        version=row.version,
        sequence=row.sequence,
    )


def community_row(value: Community) -> dict[str, Any]:
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
        "clock_told_at": value.clock_told_at,
        "version": value.version,
        "sequence": value.sequence,
    }


def application(row: Row[Any]) -> Application:
    values = {name: row._mapping[name] for name in tables.application.c.keys()}  # noqa: SIM118 - columns
    values["status"] = ApplicationStatus(row.status)
    values["dossier"] = Dossier.model_validate(row.dossier)
    values["verdicts"] = tuple(RequirementVerdict.model_validate(v) for v in row.verdicts)
    return Application(**values)


def application_row(value: Application) -> dict[str, Any]:
    row = {name: getattr(value, name) for name in tables.application.c.keys()}  # noqa: SIM118 - columns
    row["status"] = value.status.value
    row["dossier"] = value.dossier.model_dump(mode="json")
    row["verdicts"] = [verdict.model_dump(mode="json") for verdict in value.verdicts]
    return row


def member(row: Row[Any]) -> Member:
    return Member(**{**row._mapping, "status": MemberStatus(row.status)})


def member_row(value: Member) -> dict[str, Any]:
    row = {name: getattr(value, name) for name in tables.member.c.keys()}  # noqa: SIM118 - columns
    row["status"] = value.status.value
    return row


def invitation(row: Row[Any]) -> Invitation:
    values = {**row._mapping, "status": InvitationStatus(row.status)}
    del values["token_hash"]
    return Invitation(**values)


def invitation_row(value: Invitation) -> dict[str, Any]:
    names = [name for name in tables.invitation.c.keys() if name != "token_hash"]  # noqa: SIM118 - columns
    row = {name: getattr(value, name) for name in names}
    row["status"] = value.status.value
    return row
