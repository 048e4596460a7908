"""Commands and queries on applications."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import EmailStr, Field
from sqlalchemy import select, tuple_

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, NotFound, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done, Page, View, page_of
from coterie_contracts.member import RequirementVerdict, Verdict
from coterie_membership import store
from coterie_membership.api.communities import offer_to_waitlist
from coterie_membership.api.identity import identity_hash, identity_of
from coterie_membership.api.invitations import token_hash
from coterie_membership.domain import admission, belonging, founding
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Community,
    Invitation,
    Member,
)
from coterie_membership.domain.requirements import Dossier, StaffVerdict, judge, why
from coterie_membership.domain.timing import checked_zone

api = Api(tags=["applications"])

Reason = Annotated[str, Field(min_length=1, max_length=1_000)]


class AgreementBody(CommandBody):
    document: str = Field(min_length=1, max_length=80)
    version: str = Field(default="1", min_length=1, max_length=20)


class Apply(CommandBody):
    """Answers by the text of their question, agreements, and an invitation's token if any."""

    answers: dict[str, str] = Field(default_factory=dict, max_length=20)
    agreements: list[AgreementBody] = Field(default_factory=list, max_length=20)
    invitation_token: str | None = Field(default=None, max_length=100)
    email: EmailStr | None = None
    time_zone: str | None = Field(default=None, max_length=64)
    locale: str = Field(default="en", min_length=2, max_length=35)


class GiveVerdicts(CommandBody):
    """Verdicts by the path of a requirement, for example `root/1/0`, with a reference each."""

    verdicts: dict[str, Verdict] = Field(min_length=1, max_length=20)
    evidence: str | None = Field(default=None, max_length=280)


class Decline(CommandBody):
    reason: Reason


class SetPriority(CommandBody):
    priority: int = Field(ge=-1_000, le=1_000)


class VerdictView(View):
    requirement: str
    kind: str
    verdict: Verdict
    why: str


class ApplicationView(View):
    """`member_position` is what `Coterie-After` takes once somebody is admitted."""

    application_id: UUID
    community_id: UUID
    person_id: UUID
    member_id: UUID | None
    member_position: str | None
    status: ApplicationStatus
    submitted_at: datetime
    admitted_at: datetime | None
    priority: int
    enqueued_at: datetime | None
    offer_expires_at: datetime | None
    reason: str | None
    reapply_after: datetime | None
    verdicts: list[VerdictView]
    version: int


@api.query("/applications/{application_id}")
async def show_application(call: Call, application_id: UUID) -> ApplicationView:
    """One's own application with the verdict on each requirement and why; staff see all."""
    found = await store.application_by_id(call.uow, application_id)
    if found is None:
        raise NotFound("application")
    if found.person_id != call.principal.person_id:
        cause = await call.within(found.community_id)
        if not call.is_staff(cause):
            raise NotFound("application")
    member = None
    if found.status is ApplicationStatus.ADMITTED:
        member = await store.member_of(call.uow, found.community_id, found.person_id)
    return _view(found, member)


@api.query("/communities/{community_id}/waitlist", paged=True)
async def show_waitlist(call: Call, community_id: UUID) -> Page[ApplicationView]:
    """Who waits, in the order in which seats are offered."""
    call.staff(await call.within(community_id))
    c = store.application.c
    query = (
        select(store.application)
        .where(c.community_id == community_id, c.status == ApplicationStatus.WAITLISTED)
        .order_by(c.priority.desc(), c.enqueued_at, c.application_id)
        .limit(call.page.limit + 1)
    )
    if cursor := call.page.cursor:
        try:
            position = (
                -int(cursor["p"]),
                datetime.fromisoformat(cursor["t"]),
                UUID(cursor["i"]),
            )
        except (KeyError, ValueError, TypeError):
            raise Refusal("invalid-cursor", "The cursor is not one of ours.", status=422) from None
        query = query.where(tuple_(-c.priority, c.enqueued_at, c.application_id) > position)
    rows = await store.applications(call.uow, query)
    items, more = rows[: call.page.limit], len(rows) > call.page.limit
    cursor_for_next = None
    if more:
        last = items[-1]
        cursor_for_next = {"p": last.priority, "t": last.enqueued_at, "i": last.application_id}
    return page_of([_view(item, None) for item in items], cursor_for_next)


@api.command("POST", "/communities/{community_id}/applications", shows=show_application, status=201)
async def apply(call: Call, community_id: UUID, body: Apply) -> Done:
    """Apply. Whoever satisfies the requirements is admitted at once, or waits for a seat."""
    cause = await call.within(community_id)
    call.require(Role.APPLICANT, Role.MEMBER)
    decision = await store.begin(call.uow, community_id)
    application_id = call.new_id("application")
    person_id = call.principal.person_id
    earlier = await store.applications_of(call.uow, community_id, person_id)
    for known in earlier:
        if known.application_id == application_id:
            return Done(application_id, known.version, known.sequence)
    identity = await identity_of(call, community_id, person_id)
    member = await store.member_of(call.uow, community_id, person_id)
    live = next((a for a in earlier if a.status.live), None)
    declined = max((a.reapply_after for a in earlier if a.reapply_after), default=None)
    admission.may_apply(
        decision.community, live, declined, member, identity.banned_until, at=cause.at
    )
    invitation = await _invitation(call, community_id, body.invitation_token, cause)
    application = _application(application_id, decision.community, person_id, body, cause)
    application = _invited(application, invitation)
    tree = await store.tree(call.uow, community_id, application.requirements_version)
    admission.submit(
        decision,
        application,
        judge(tree, application.dossier, at=cause.at),
        member,
        invitation,
        member_id=identity.member_id,
        waitlist_empty=await _waitlist_is_empty(call, decision),
        at=cause.at,
    )
    _tell_contact(decision)
    await store.save(call.uow, decision, cause)
    saved = decision.applications[application_id]
    return Done(application_id, saved.version, saved.sequence)


@api.command("POST", "/applications/{application_id}/verdicts", shows=show_application)
async def give_verdicts(call: Call, application_id: UUID, body: GiveVerdicts) -> Done:
    """Record what staff found out; `waived` lets somebody in without it."""
    cause, decision, application = await _begin_as_staff(call, application_id)
    tree = await store.tree(call.uow, application.community_id, application.requirements_version)
    known = {leaf.requirement for leaf in judge(tree, application.dossier, at=cause.at).leaves}
    if unknown := sorted(set(body.verdicts) - known):
        raise Refusal(
            "unknown-requirement", f"There is no requirement {', '.join(unknown)}.", status=422
        )
    found = {
        path: StaffVerdict(verdict=verdict, evidence=body.evidence, found_at=cause.at)
        for path, verdict in body.verdicts.items()
    }
    dossier = application.dossier.model_copy(
        update={"verdicts": {**application.dossier.verdicts, **found}}
    )
    return await _settle(call, decision, application, dossier, cause)


@api.command("POST", "/applications/{application_id}/approve", shows=show_application)
async def approve(call: Call, application_id: UUID) -> Done:
    """Approve as one manager; counts once, however often."""
    cause, decision, application = await _begin_as_staff(call, application_id)
    me = str(call.principal.person_id)
    if me in application.dossier.approvals or not application.status.live:
        return Done(application_id, application.version, application.sequence)
    if application.person_id == call.principal.person_id:
        raise Refusal("own-application", "Somebody else has to approve your application.")
    approvals = (*application.dossier.approvals, me)
    dossier = application.dossier.model_copy(update={"approvals": approvals})
    return await _settle(call, decision, application, dossier, cause)


@api.command("POST", "/applications/{application_id}/decline", shows=show_application)
async def decline(call: Call, application_id: UUID, body: Decline) -> Done:
    """Decline with a reason that the applicant reads."""
    cause, decision, application = await _begin_as_staff(call, application_id)
    if application.status is ApplicationStatus.DECLINED:
        return Done(application_id, application.version, application.sequence)
    admission.decline(decision, application, body.reason, at=cause.at)
    await offer_to_waitlist(call, decision, cause)
    return await _save(call, decision, cause, application_id)


@api.command("POST", "/applications/{application_id}/priority", shows=show_application)
async def set_priority(call: Call, application_id: UUID, body: SetPriority) -> Done:
    """Move somebody on the waitlist; higher goes first."""
    cause, decision, application = await _begin_as_staff(call, application_id)
    if application.status is not ApplicationStatus.WAITLISTED:
        raise Refusal("not-waitlisted", "Only who waits for a seat has a place to move.")
    admission.prioritise(decision, application, body.priority)
    return await _save(call, decision, cause, application_id)


@api.command("POST", "/applications/{application_id}/withdraw", shows=show_application)
async def withdraw(call: Call, application_id: UUID) -> Done:
    """Take one's own application back."""
    cause, decision, application = await _begin_as_applicant(call, application_id)
    if application.status is ApplicationStatus.WITHDRAWN:
        return Done(application_id, application.version, application.sequence)
    admission.withdraw(decision, application)
    await offer_to_waitlist(call, decision, cause)
    return await _save(call, decision, cause, application_id)


@api.command("POST", "/applications/{application_id}/accept-seat", shows=show_application)
async def accept_seat(call: Call, application_id: UUID) -> Done:
    """Accept a seat offer before it ends."""
    cause, decision, application = await _begin_as_applicant(call, application_id)
    if application.status is ApplicationStatus.ADMITTED:
        return Done(application_id, application.version, application.sequence)
    person_id = application.person_id
    identity = await identity_of(call, application.community_id, person_id)
    member = await store.member_of(call.uow, application.community_id, person_id)
    invitation = None
    if application.invitation_id is not None:
        invitation = await store.invitation_by_id(call.uow, application.invitation_id)
    admission.accept_seat(
        decision,
        application,
        member,
        invitation,
        member_id=identity.member_id,
        at=cause.at,
    )
    _tell_contact(decision)
    return await _save(call, decision, cause, application_id)


class ErasureView(View):
    """What is left after an erasure: nothing but that it happened."""

    erased: bool = True


async def show_erasure(call: Call, erased_id: UUID) -> ErasureView:
    return ErasureView()


@api.command("POST", "/applications/{application_id}/erase", shows=show_erasure)
async def erase_applicant(call: Call, application_id: UUID) -> Done:
    """Forget an applicant; asked by themselves or carried out by a manager."""
    application = await store.application_by_id(call.uow, application_id)
    if application is None:
        return Done(application_id)
    await erase_person(call, application.community_id, application.person_id)
    return Done(application_id)


async def erase_person(call: Call, community_id: UUID, person_id: UUID) -> None:
    """Drop all that is held of a person in a community, with the seat's release."""
    cause = await call.within(community_id)
    if person_id != call.principal.person_id:
        call.staff(cause, Role.MANAGER)
    decision = await store.begin(call.uow, community_id)
    identity = await identity_of(call, community_id, person_id)
    member = await store.member_of(call.uow, community_id, person_id)
    for application in await store.applications_of(call.uow, community_id, person_id):
        if application.status.live:
            admission.withdraw(decision, application)
    decision.applications.clear()
    belonging.erase(decision, person_id, identity.member_id, member)
    await offer_to_waitlist(call, decision, cause)
    hashed = identity_hash(call, community_id, person_id)
    ban = member.reapply_after if member is not None else identity.banned_until
    await store.forget(
        call.uow,
        community_id,
        person_id,
        member_id=identity.member_id,
        identity_hash=hashed,
        reapply_after=ban,
    )
    await store.save(call.uow, decision, cause)


async def _begin_as_staff(call: Call, application_id: UUID) -> tuple[Cause, Decision, Application]:
    cause, decision, application = await _begin(call, application_id)
    call.staff(cause, Role.MANAGER)
    return cause, decision, application


async def _begin_as_applicant(
    call: Call, application_id: UUID
) -> tuple[Cause, Decision, Application]:
    cause, decision, application = await _begin(call, application_id)
    if application.person_id != call.principal.person_id:
        raise NotFound("application")
    return cause, decision, application


async def _begin(call: Call, application_id: UUID) -> tuple[Cause, Decision, Application]:
    """Find the community, lock it, and read the application under that lock."""
    found = await store.application_by_id(call.uow, application_id)
    if found is None:
        raise NotFound("application")
    cause = await call.within(found.community_id)
    decision = await store.begin(call.uow, found.community_id)
    locked = await store.application_by_id(call.uow, application_id)
    if locked is None:
        raise NotFound("application")
    call.expect(locked.version)
    return cause, decision, locked


async def _settle(
    call: Call, decision: Decision, application: Application, dossier: Dossier, cause: Cause
) -> Done:
    community_id, person_id = application.community_id, application.person_id
    tree = await store.tree(call.uow, community_id, application.requirements_version)
    identity = await identity_of(call, community_id, person_id)
    invitation = None
    if application.invitation_id is not None:
        invitation = await store.invitation_by_id(call.uow, application.invitation_id)
    admission.rejudge(
        decision,
        application,
        dossier,
        judge(tree, dossier, at=cause.at),
        member=await store.member_of(call.uow, community_id, person_id),
        invitation=invitation,
        member_id=identity.member_id,
        waitlist_empty=await _waitlist_is_empty(call, decision),
        at=cause.at,
    )
    _tell_contact(decision)
    return await _save(call, decision, cause, application.application_id)


async def _save(call: Call, decision: Decision, cause: Cause, application_id: UUID) -> Done:
    await store.save(call.uow, decision, cause)
    saved = decision.applications[application_id]
    return Done(application_id, saved.version, saved.sequence)


async def _waitlist_is_empty(call: Call, decision: Decision) -> bool:
    return not await store.waitlist(call.uow, decision.community.community_id, 1)


async def _invitation(
    call: Call, community_id: UUID, token: str | None, cause: Cause
) -> Invitation | None:
    if token is None:
        return None
    found = await store.invitation_by_token(call.uow, token_hash(token))
    if found is None or found.community_id != community_id:
        raise Refusal("unknown-invitation", "This invitation is not one of this community.")
    founding.check_not_over(found, cause.at)
    return found


def _invited(application: Application, invitation: Invitation | None) -> Application:
    if invitation is None:
        return application
    dossier = application.dossier.model_copy(update={"invited_by": invitation.issuer})
    return application.with_invitation(invitation.invitation_id, dossier)


def _application(
    application_id: UUID, community: Community, person_id: UUID, body: Apply, cause: Cause
) -> Application:
    zone = body.time_zone or community.time_zone
    checked_zone(zone)
    return Application(
        application_id=application_id,
        community_id=community.community_id,
        person_id=person_id,
        status=ApplicationStatus.SUBMITTED,
        requirements_version=community.requirements_version,
        dossier=Dossier(
            answers=body.answers,
            agreements={item.document: item.version for item in body.agreements},
        ),
        verdicts=(),
        submitted_at=cause.at,
        time_zone=zone,
        locale=body.locale,
        email=body.email,
    )


def _tell_contact(decision: Decision) -> None:
    """Whoever was just admitted and gave an address can be reached from now on."""
    for application in decision.applications.values():
        if application.status is ApplicationStatus.ADMITTED and application.email:
            member = next(
                m for m in decision.members.values() if m.person_id == application.person_id
            )
            belonging.contact(decision, member, application.email)


def _view(application: Application, member: Member | None) -> ApplicationView:
    return ApplicationView(
        application_id=application.application_id,
        community_id=application.community_id,
        person_id=application.person_id,
        member_id=member.member_id if member else None,
        member_position=f"{member.member_id};{member.sequence}" if member else None,
        status=application.status,
        submitted_at=application.submitted_at,
        admitted_at=member.admitted_at if member else None,
        priority=application.priority,
        enqueued_at=application.enqueued_at,
        offer_expires_at=application.offer_expires_at,
        reason=application.reason,
        reapply_after=application.reapply_after,
        verdicts=[_verdict(verdict) for verdict in application.verdicts],
        version=application.version,
    )


def _verdict(verdict: RequirementVerdict) -> VerdictView:
    return VerdictView(
        requirement=verdict.requirement,
        kind=verdict.kind,
        verdict=verdict.verdict,
        why=why(verdict),
    )
