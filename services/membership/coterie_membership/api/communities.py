"""Commands and queries on communities."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, time
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator
from sqlalchemy import func, select

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, NotFound, Refusal, derived_id
from coterie_chassis.http import Api, Call, CommandBody, Done, View
from coterie_chassis.store import bulk_insert
from coterie_chassis.tables import community_clock
from coterie_chassis.texts import Impersonal, Moment
from coterie_contracts.community import ClockMode, CommunityStatus
from coterie_membership import store
from coterie_membership.domain import founding
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.explaining import shown
from coterie_membership.domain.people import ApplicationStatus, Community, Goal
from coterie_membership.domain.requirements import Requirement, default_requirements, faults
from coterie_membership.domain.seats import Seats
from coterie_membership.domain.timing import Policy, checked_zone

api = Api(tags=["communities"])

Text280 = Annotated[str, Field(min_length=1, max_length=280), Impersonal]
Capacity = Annotated[int, Field(ge=1, le=10_000)]


def _local(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("quiet hours are local times, in each member's own zone")
    return value


TimeOfDay = Annotated[time, AfterValidator(_local)]


class ObjectiveBody(CommandBody):
    """What the community is for; `measure`, `baseline`, `target` and `by` say when it is met."""

    objective_id: UUID | None = None
    title: Text280
    measure: str | None = Field(default=None, max_length=280)
    baseline: str | None = Field(default=None, max_length=80)
    target: str | None = Field(default=None, max_length=80)
    by: Moment | None = None


class CreateCommunity(CommandBody):
    """A name, a time zone and one objective are enough; the rest has defaults."""

    name: Annotated[str, Field(min_length=1, max_length=80), Impersonal]
    time_zone: str = Field(min_length=1, max_length=64)
    objective: Text280 | None = None
    objectives: list[ObjectiveBody] = Field(default_factory=list, max_length=2)
    purpose: str = Field(default="", max_length=1_000)
    audience: str = Field(default="", max_length=1_000)
    member_promise: str = Field(default="", max_length=1_000)
    capacity: Capacity = Policy.CAPACITY
    quiet_from: TimeOfDay = time(21)
    quiet_until: TimeOfDay = time(8)
    clock: ClockMode = ClockMode.WALL
    requirements: Requirement = Field(default_factory=default_requirements)

    @model_validator(mode="after")
    def _one_or_two_objectives(self) -> CreateCommunity:
        if not self.objective and not self.objectives:
            raise ValueError("name an objective: a community exists for one or two")
        if self.objective and self.objectives:
            raise ValueError("name objectives in one of the two fields, not in both")
        return self


class SetObjectives(CommandBody):
    objectives: list[ObjectiveBody] = Field(min_length=1, max_length=4)


class SetCapacity(CommandBody):
    capacity: Capacity


class SetRequirements(CommandBody):
    requirements: Requirement


class SeatsView(View):
    capacity: int
    held: int
    free: int
    waitlisted: int


class CommunityView(View):
    community_id: UUID
    name: str
    purpose: str
    audience: str
    member_promise: str
    status: CommunityStatus
    full: bool
    time_zone: str
    quiet_from: time
    quiet_until: time
    clock: ClockMode
    now: datetime
    objectives: list[Goal]
    requirements_version: int
    requirements: dict[str, Any]
    seats: SeatsView
    version: int


@api.query("/communities/{community_id}")
async def show_community(call: Call, community_id: UUID) -> CommunityView:
    """What anybody with a token may know of a community before applying."""
    cause = await call.within(community_id)
    found = await store.community_by_id(call.uow, community_id)
    if found is None:
        raise NotFound("community")
    tree = await store.tree(call.uow, community_id, found.requirements_version)
    waiting = await _count(call, community_id, ApplicationStatus.WAITLISTED)
    return CommunityView(
        community_id=community_id,
        name=found.name,
        purpose=found.purpose,
        audience=found.audience,
        member_promise=found.member_promise,
        status=found.status,
        full=not found.seats.free,
        time_zone=found.time_zone,
        quiet_from=found.quiet_from,
        quiet_until=found.quiet_until,
        clock=found.clock,
        now=cause.at,
        objectives=list(found.objectives),
        requirements_version=found.requirements_version,
        requirements=shown(tree, to_staff=call.is_staff(cause)),
        seats=SeatsView(
            capacity=found.seats.capacity,
            held=found.seats.held,
            free=found.seats.free,
            waitlisted=waiting,
        ),
        version=found.version,
    )


@api.command("POST", "/communities", shows=show_community, status=201)
async def create_community(call: Call, body: CreateCommunity) -> Done:
    """Found a community as a draft; `open` lets people apply."""
    call.require(Role.MANAGER)
    if call.principal.brand_id is None:
        raise Refusal("no-brand", "Your token names no brand to found a community for.")
    if body.clock is ClockMode.DRIVEN:
        call.require(Role.IMPORTER)
    checked_zone(body.time_zone)
    if found := faults(body.requirements):
        raise Refusal("unusable-requirements", "; ".join(found) + ".", status=422)
    community_id = call.new_id("community")
    if (known := await store.community_by_id(call.uow, community_id)) is not None:
        return Done(community_id, known.version, known.sequence or None)
    told = call.told_time()
    if told is not None and body.clock is not ClockMode.DRIVEN:
        raise Refusal("clock-not-driven", "On the wall clock, leave the time away.")
    at = told or call.uow.now
    community = _founded(call, community_id, body)
    founding.check_objectives(community.objectives)
    cause = call.cause(at, community_id=community_id, brand_id=community.brand_id, clock=body.clock)
    clock = {
        "community_id": community_id,
        "brand_id": community.brand_id,
        "mode": body.clock.value,
        "now": at,
    }
    await bulk_insert(call.uow, community_clock, [clock])
    await store.add_tree(call.uow, community_id, 1, body.requirements)
    await store.save(call.uow, Decision(community), cause)
    return Done(community_id, community.version, None)


@api.command("POST", "/communities/{community_id}/open", shows=show_community)
async def open_for_applications(call: Call, community_id: UUID) -> Done:
    """Open a draft, or continue after a pause; what is free is offered to the waitlist."""
    cause, decision = await _begin(call, community_id)
    founding.open_community(decision)
    await store.move_up(call.uow, decision, at=cause.at)
    return await save(call, decision, cause)


@api.command("POST", "/communities/{community_id}/pause", shows=show_community)
async def pause_community(call: Call, community_id: UUID) -> Done:
    """Take no applications for a while."""
    cause, decision = await _begin(call, community_id)
    founding.pause(decision)
    return await save(call, decision, cause)


@api.command("POST", "/communities/{community_id}/close", shows=show_community)
async def close_community(call: Call, community_id: UUID) -> Done:
    """End the community."""
    cause, decision = await _begin(call, community_id)
    founding.close(decision)
    return await save(call, decision, cause)


@api.command("PUT", "/communities/{community_id}/objectives", shows=show_community)
async def set_objectives(call: Call, community_id: UUID, body: SetObjectives) -> Done:
    """Set the one or two objectives; those not named any more are retired."""
    cause, decision = await _begin(call, community_id)
    known = {one.objective_id for one in decision.community.objectives}
    objectives = _objectives(community_id, body.objectives, known)
    founding.change_objectives(decision, objectives)
    return await save(call, decision, cause)


@api.command("PUT", "/communities/{community_id}/capacity", shows=show_community)
async def set_capacity(call: Call, community_id: UUID, body: SetCapacity) -> Done:
    """Change the number of seats. A lower one evicts nobody; new seats go to the waitlist."""
    cause, decision = await _begin(call, community_id)
    founding.resize(decision, body.capacity)
    await store.move_up(call.uow, decision, at=cause.at)
    return await save(call, decision, cause)


@api.command("PUT", "/communities/{community_id}/requirements", shows=show_community)
async def set_requirements(call: Call, community_id: UUID, body: SetRequirements) -> Done:
    """A new version of the entry requirements; open applications keep the one they began with."""
    cause, decision = await _begin(call, community_id)
    version = decision.community.requirements_version
    if await store.tree(call.uow, community_id, version) != body.requirements:
        version = founding.change_requirements(decision, body.requirements)
        await store.add_tree(call.uow, community_id, version, body.requirements)
    return await save(call, decision, cause)


@api.command("POST", "/communities/{community_id}/offer-seat", shows=show_community)
async def offer_seat(call: Call, community_id: UUID) -> Done:
    """Offer every free seat to the waitlist now."""
    cause, decision = await _begin(call, community_id)
    founding.check_open(decision.community)
    await store.move_up(call.uow, decision, at=cause.at)
    return await save(call, decision, cause)


async def _begin(call: Call, community_id: UUID) -> tuple[Cause, Decision]:
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    decision = await store.begin(call.uow, community_id)
    call.expect(decision.community.version)
    return cause, decision


async def save(call: Call, decision: Decision, cause: Cause) -> Done:
    await store.save(call.uow, decision, cause)
    community = decision.community
    return Done(community.community_id, community.version, community.sequence or None)


def _founded(call: Call, community_id: UUID, body: CreateCommunity) -> Community:
    assert call.principal.brand_id is not None  # noqa: S101 - checked by the caller
    named = body.objectives or [ObjectiveBody(title=body.objective or "")]
    return Community(
        community_id=community_id,
        brand_id=call.principal.brand_id,
        name=body.name,
        purpose=body.purpose,
        audience=body.audience,
        member_promise=body.member_promise,
        status=CommunityStatus.DRAFT,
        time_zone=body.time_zone,
        quiet_from=body.quiet_from,
        quiet_until=body.quiet_until,
        clock=body.clock,
        seats=Seats(body.capacity, body.capacity, 0, 0),
        requirements_version=1,
        objectives=tuple(_objectives(community_id, named, frozenset())),
    )


def _objectives(
    community_id: UUID, bodies: list[ObjectiveBody], known: Collection[UUID]
) -> list[Goal]:
    """An objective without an id is known by its title, so that naming it again keeps its id."""
    if any(one.objective_id not in known for one in bodies if one.objective_id is not None):
        raise Refusal("unknown-objective", "This community has no such objective.", status=422)
    return [
        Goal(
            objective_id=body.objective_id or derived_id(community_id, "objective", body.title),
            **body.model_dump(exclude={"objective_id"}),
        )
        for body in bodies
    ]


async def _count(call: Call, community_id: UUID, status: ApplicationStatus) -> int:
    c = store.application.c
    query = (
        select(func.count())
        .select_from(store.application)
        .where(c.community_id == community_id, c.status == status)
    )
    return int((await call.uow.execute(query)).scalar_one())
