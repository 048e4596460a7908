"""What applying, redeeming and judging share: rights first, then the lock, then one decision.

A stranger is turned away before the community's row is locked, so nobody without a right here can
hold up those who have one.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import EmailStr, Field

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, NotFound, Refusal
from coterie_chassis.http import Call, CommandBody, Done
from coterie_membership import store
from coterie_membership.api.identity import identity_of
from coterie_membership.domain import admission, belonging
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Community,
    Invitation,
)
from coterie_membership.domain.requirements import Dossier, judge
from coterie_membership.domain.timing import checked_zone

__all__ = [
    "Form",
    "begin_as_applicant",
    "begin_as_manager",
    "rejudge",
    "save",
    "take_in",
    "tell_contact",
]

Answer = Annotated[str, Field(max_length=2_000)]
Question = Annotated[str, Field(max_length=280)]


class AgreementBody(CommandBody):
    document: str = Field(min_length=1, max_length=80)
    version: str = Field(default="1", min_length=1, max_length=20)


class Form(CommandBody):
    """Answers by the text of their question, and agreements to documents."""

    answers: dict[Question, Answer] = Field(default_factory=dict, max_length=20)
    agreements: list[AgreementBody] = Field(default_factory=list, max_length=20)
    email: EmailStr | None = None
    time_zone: str | None = Field(default=None, max_length=64)
    locale: str = Field(default="en", min_length=2, max_length=35)

    def agreed(self) -> dict[str, str]:
        return {item.document: item.version for item in self.agreements}


async def take_in(
    call: Call,
    cause: Cause,
    decision: Decision,
    form: Form,
    invitation: Invitation | None,
    *,
    earlier: list[Application],
) -> Done:
    """Take in an application of the caller's, who has none that is open. Raises `Refusal`."""
    community_id, person_id = decision.community.community_id, call.principal.person_id
    application_id = call.new_id("application")
    identity = await identity_of(call, community_id, person_id)
    if identity.erasures and await store.erased_from(call.uow, application_id):
        raise Refusal("erased", "This application was erased; apply anew.", status=410)
    member = await store.member_of(call.uow, community_id, person_id)
    live = next((each for each in earlier if each.status.live), None)
    declined = max((each.reapply_after for each in earlier if each.reapply_after), default=None)
    admission.may_apply(
        decision.community, live, declined, member, identity.banned_until, at=cause.at
    )
    application = _application(application_id, decision.community, person_id, form, cause)
    if invitation is not None:
        application = invited(application, invitation)
    tree = await store.tree(call.uow, community_id, application.requirements_version)
    seat_is_left = await store.move_up(call.uow, decision, at=cause.at)
    admission.submit(
        decision,
        application,
        judge(tree, application.dossier, at=cause.at),
        member,
        invitation,
        member_id=identity.member_id,
        seat_is_left=seat_is_left,
        at=cause.at,
    )
    tell_contact(decision)
    return await save(call, decision, cause, application_id)


async def rejudge(
    call: Call, cause: Cause, decision: Decision, application: Application, dossier: Dossier
) -> Done:
    """Judge an open application on what is known of the applicant now, and settle it."""
    community_id, person_id = application.community_id, application.person_id
    tree = await store.tree(call.uow, community_id, application.requirements_version)
    identity = await identity_of(call, community_id, person_id)
    invitation = None
    if application.invitation_id is not None:
        invitation = await store.invitation_by_id(call.uow, application.invitation_id)
    is_new_in_line = application.status is ApplicationStatus.SUBMITTED
    seat_is_left = is_new_in_line and await store.move_up(call.uow, decision, at=cause.at)
    dossier = admission.standing(application, dossier, invitation, at=cause.at)
    admission.settle(
        decision,
        application.with_dossier(dossier),
        judge(tree, dossier, at=cause.at),
        await store.member_of(call.uow, community_id, person_id),
        invitation,
        member_id=identity.member_id,
        seat_is_left=seat_is_left,
        at=cause.at,
    )
    if not is_new_in_line:
        await store.move_up(call.uow, decision, at=cause.at)
    tell_contact(decision)
    return await save(call, decision, cause, application.application_id)


def invited(application: Application, invitation: Invitation) -> Application:
    """The application with an invitation that counts as evidence."""
    dossier = application.dossier.model_copy(update={"invited_by": invitation.issuer})
    return application.with_invitation(invitation.invitation_id, dossier)


def tell_contact(decision: Decision) -> None:
    """Whoever was just admitted and gave an address can be reached from now on."""
    joined = {member.person_id: member for member in decision.members.values()}
    for application in decision.applications.values():
        if application.status is ApplicationStatus.ADMITTED and application.email:
            belonging.contact(decision, joined[application.person_id], application.email)


async def save(call: Call, decision: Decision, cause: Cause, application_id: UUID) -> Done:
    await store.save(call.uow, decision, cause)
    saved = decision.applications.get(application_id)
    if saved is None:
        saved = await _existing(call, application_id)
    return done(saved)


def done(application: Application) -> Done:
    return Done(application.application_id, application.version, application.sequence)


async def begin_as_manager(call: Call, application_id: UUID) -> tuple[Cause, Decision, Application]:
    """Somebody else's application, locked; nobody decides about their own."""
    found = await _existing(call, application_id)
    cause = await call.within(found.community_id)
    call.staff(cause, Role.MANAGER)
    if found.person_id == call.principal.person_id:
        raise Refusal("own-application", "Somebody else has to decide about your application.")
    return cause, *await _locked(call, found)


async def begin_as_applicant(
    call: Call, application_id: UUID
) -> tuple[Cause, Decision, Application]:
    """The caller's own application, locked."""
    found = await _existing(call, application_id)
    if found.person_id != call.principal.person_id:
        raise NotFound("application")
    call.require(Role.APPLICANT, Role.MEMBER)
    cause = await call.within(found.community_id)
    return cause, *await _locked(call, found)


async def _locked(call: Call, found: Application) -> tuple[Decision, Application]:
    decision = await store.begin(call.uow, found.community_id)
    application = await _existing(call, found.application_id)
    call.expect(application.version)
    return decision, application


async def _existing(call: Call, application_id: UUID) -> Application:
    found = await store.application_by_id(call.uow, application_id)
    if found is None:
        raise NotFound("application")
    return found


def _application(
    application_id: UUID, community: Community, person_id: UUID, form: Form, cause: Cause
) -> Application:
    zone = form.time_zone or community.time_zone
    checked_zone(zone)
    return Application(
        application_id=application_id,
        community_id=community.community_id,
        person_id=person_id,
        status=ApplicationStatus.SUBMITTED,
        requirements_version=community.requirements_version,
        dossier=Dossier(answers=form.answers, agreements=form.agreed()),
        verdicts=(),
        submitted_at=cause.at,
        time_zone=zone,
        locale=form.locale,
        email=form.email,
    )
