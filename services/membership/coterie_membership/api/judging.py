"""What managers decide about applications: verdicts, approvals, declining, the line's order."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from coterie_chassis.decisions import Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done
from coterie_chassis.texts import Impersonal
from coterie_contracts.member import Verdict
from coterie_membership import store
from coterie_membership.api.admitting import begin_as_manager, done, rejudge, save
from coterie_membership.api.applications import show_application
from coterie_membership.domain import admission, seating
from coterie_membership.domain.people import ApplicationStatus
from coterie_membership.domain.requirements import (
    ManagerApproval,
    Requirement,
    StaffVerdict,
    leaves,
    stands,
)

api = Api(tags=["applications"])

Reason = Annotated[str, Field(min_length=1, max_length=1_000)]
Path = Annotated[str, Field(max_length=80)]
Evidence = Annotated[str, Field(min_length=1, max_length=280), Impersonal]


class GiveVerdicts(CommandBody):
    """Verdicts by the path of a requirement, for example `root/1/0`, with a reference each."""

    verdicts: dict[Path, Literal["met", "unmet", "unknown", "waived"]] = Field(
        min_length=1, max_length=20
    )
    evidence: Evidence | None = Field(
        default=None, description="a reference, which events carry: no personal data"
    )


class Decline(CommandBody):
    reason: Reason


class SetPriority(CommandBody):
    priority: int = Field(ge=-1_000, le=1_000)


@api.command("POST", "/applications/{application_id}/verdicts", shows=show_application)
async def give_verdicts(call: Call, application_id: UUID, body: GiveVerdicts) -> Done:
    """Record what staff found out; `waived` lets somebody in without it."""
    cause, decision, application = await begin_as_manager(call, application_id)
    tree = await store.tree(call.uow, application.community_id, application.requirements_version)
    _check_verdicts(tree, body)
    found = {
        path: StaffVerdict(verdict=Verdict(verdict), evidence=body.evidence, found_at=cause.at)
        for path, verdict in body.verdicts.items()
    }
    if stands(tree, application.dossier, found):
        return done(application)
    verdicts = {**application.dossier.verdicts, **found}
    dossier = application.dossier.model_copy(update={"verdicts": verdicts})
    return await rejudge(call, cause, decision, application, dossier)


@api.command("POST", "/applications/{application_id}/approve", shows=show_application)
async def approve(call: Call, application_id: UUID) -> Done:
    """Approve as one manager; counts once, however often."""
    cause, decision, application = await begin_as_manager(call, application_id)
    me = str(call.principal.person_id)
    is_in = application.status is ApplicationStatus.ADMITTED
    if is_in or me in application.dossier.approvals:
        return done(application)
    approvals = (*application.dossier.approvals, me)
    dossier = application.dossier.model_copy(update={"approvals": approvals})
    return await rejudge(call, cause, decision, application, dossier)


@api.command("POST", "/applications/{application_id}/decline", shows=show_application)
async def decline(call: Call, application_id: UUID, body: Decline) -> Done:
    """Decline with a reason that the applicant reads."""
    cause, decision, application = await begin_as_manager(call, application_id)
    if application.status is ApplicationStatus.DECLINED:
        return done(application)
    admission.decline(decision, application, body.reason, at=cause.at)
    await store.move_up(call.uow, decision, at=cause.at)
    return await save(call, decision, cause, application_id)


@api.command("POST", "/applications/{application_id}/priority", shows=show_application)
async def set_priority(call: Call, application_id: UUID, body: SetPriority) -> Done:
    """Move somebody on the waitlist; higher goes first."""
    cause, decision, application = await begin_as_manager(call, application_id)
    seating.prioritise(decision, application, body.priority)
    return await save(call, decision, cause, application_id)


def _check_verdicts(tree: Requirement, body: GiveVerdicts) -> None:
    """Approvals are counted by manager, so nobody states their result."""
    wanted = dict(leaves(tree))
    if unknown := sorted(set(body.verdicts) - set(wanted)):
        raise Refusal(
            "unknown-requirement", f"There is no requirement {', '.join(unknown)}.", status=422
        )
    for path, verdict in body.verdicts.items():
        if isinstance(wanted[path], ManagerApproval) and verdict != "waived":
            raise Refusal("approve-instead", f"{path} is met by managers who approve.")
