"""The catalogue and the policies: what can be given, and when to whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy import select

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, NotFound, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done, View
from coterie_chassis.texts import Impersonal
from coterie_contracts.reward import ItemKind
from coterie_recognition.api.access import insider
from coterie_recognition.domain.at_hand import Pool
from coterie_recognition.domain.catalogue import (
    AUTO_APPROVE_MINOR,
    CAP_MINOR,
    CAP_REWARDS,
    COOLDOWN_DAYS,
    Beneficiary,
    GiftCode,
    Item,
    ItemSpec,
    Policy,
    Session,
    When,
    check,
)
from coterie_recognition.domain.desk import Desk
from coterie_recognition.providers import PROVIDERS
from coterie_recognition.store import catalogue, desks, rows, tables

api = Api(tags=["catalogue and policies"])

Minor = Annotated[int, Field(ge=0, le=1_000_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class AddItem(CommandBody):
    """A new thing to give. A gift code without `pool_id` gets a pool of its own."""

    community_id: UUID
    name: Annotated[Name, Impersonal]
    item: ItemSpec


class ChangeItem(CommandBody):
    name: Annotated[Name, Impersonal]
    item: ItemSpec


class ItemView(View):
    item_id: UUID
    community_id: UUID
    name: str
    item: ItemSpec
    version: int


class PerMemberCap(CommandBody):
    """What a member may be given in a season, under all policies together."""

    rewards: Annotated[int, Field(ge=1, le=100)] = CAP_REWARDS
    amount_minor: Minor = CAP_MINOR


class PolicyTerms(CommandBody):
    """When an item is given to whom; `auto_approve_up_to` of null: a manager always decides."""

    name: Name
    when: When
    beneficiary: Beneficiary
    item_id: UUID
    budget_id: UUID | None = None
    objective_id: UUID | None = None
    also_unconfirmed: bool = True
    per_member_cap: PerMemberCap = PerMemberCap()
    cooldown_days: Annotated[int, Field(ge=0, le=366)] = COOLDOWN_DAYS
    auto_approve_up_to: Minor | None = AUTO_APPROVE_MINOR
    active: bool = True


class SetPolicy(PolicyTerms):
    community_id: UUID


class PolicyView(View):
    policy_id: UUID
    community_id: UUID
    version: int
    name: str
    when: When
    beneficiary: Beneficiary
    item_id: UUID
    item_kind: ItemKind
    budget_id: UUID | None
    objective_id: UUID | None
    also_unconfirmed: bool
    per_member_cap: PerMemberCap
    cooldown_days: int
    auto_approve_up_to: int | None
    active: bool
    awaits_funding: bool


@api.query("/communities/{community_id}/catalogue")
async def list_items(call: Call, community_id: UUID) -> list[ItemView]:
    """What can be given here; for staff and members."""
    staff = call.is_staff(await insider(call, community_id))
    return [_item_view(item, staff=staff) for item in await catalogue.items(call.uow, community_id)]


@api.query("/catalogue/{item_id}")
async def show_item(call: Call, item_id: UUID) -> ItemView:
    item = await _item(call, item_id)
    staff = call.is_staff(await insider(call, item.community_id))
    return _item_view(item, staff=staff)


@api.command("POST", "/catalogue", shows=show_item, status=201)
async def add_item(call: Call, body: AddItem) -> Done:
    """Add something that can be given."""
    cause = await call.within(body.community_id)
    call.staff(cause, Role.MANAGER)
    item_id = call.new_id("item")
    if (known := await catalogue.find_item(call.uow, item_id)) is not None:
        return Done(item_id, known.version)
    spec = body.item
    if isinstance(spec, GiftCode):
        spec = await _with_pool(call, body.community_id, body.name, spec)
    item = Item(item_id, body.community_id, body.name, spec)
    await catalogue.add_item(call.uow, item)
    return Done(item_id, item.version)


@api.command("PUT", "/catalogue/{item_id}", shows=show_item)
async def change_item(call: Call, item_id: UUID, body: ChangeItem) -> Done:
    """Change an item; rewards that were already proposed keep their amount and name."""
    item = await _item(call, item_id)
    call.staff(await call.within(item.community_id), Role.MANAGER)
    await desks.lock_desks(call.uow, [item.community_id])
    item = await _item(call, item_id)
    call.expect(item.version)
    if body.item.kind is not item.spec.kind or body.item.pool not in {None, item.spec.pool}:
        raise Refusal("item-keeps-its-kind", "Another kind or pool is another item; add that one.")
    spec = body.item
    if isinstance(spec, GiftCode):
        spec = spec.model_copy(update={"pool_id": item.spec.pool})
    changed = replace(item, name=body.name, spec=spec)
    for policy in await catalogue.policies(call.uow, item.community_id):
        if policy.item_id == item_id:
            check(policy, changed)
    saved = await catalogue.save_item(call.uow, changed)
    return Done(item_id, saved.version)


@api.query("/communities/{community_id}/policies")
async def list_policies(call: Call, community_id: UUID) -> list[PolicyView]:
    """The policies in force; for staff and members, so that nobody wonders what pays."""
    await insider(call, community_id)
    kinds = {i.item_id: i.spec.kind for i in await catalogue.items(call.uow, community_id)}
    found = await catalogue.policies(call.uow, community_id)
    return [_policy_view(policy, kinds[policy.item_id]) for policy in found]


@api.query("/policies/{policy_id}")
async def show_policy(call: Call, policy_id: UUID) -> PolicyView:
    policy = await _policy(call, policy_id)
    await insider(call, policy.community_id)
    item = await _item(call, policy.item_id)
    return _policy_view(policy, item.spec.kind)


@api.command("POST", "/policies", shows=show_policy, status=201)
async def set_policy(call: Call, body: SetPolicy) -> Done:
    """Set a policy; it follows what happens from now on."""
    cause, desk = await _managers_desk(call, body.community_id)
    policy_id = call.new_id("policy")
    if (known := desk.policy_in_force(policy_id)) is not None:
        return Done(policy_id, known.version, known.version)
    terms = PolicyTerms.model_validate(body.model_dump(exclude={"community_id"}))
    policy = _policy_of(policy_id, body.community_id, 1, terms)
    return await _put_in_force(call, desk, policy, cause)


@api.command("PUT", "/policies/{policy_id}", shows=show_policy)
async def change_policy(call: Call, policy_id: UUID, body: PolicyTerms) -> Done:
    """Put a new version of a policy in force, or switch it on or off."""
    known = await _policy(call, policy_id)
    cause, desk = await _managers_desk(call, known.community_id)
    current = desk.policy_in_force(policy_id) or known
    call.expect(current.version)
    policy = _policy_of(policy_id, known.community_id, current.version + 1, body)
    if replace(policy, version=current.version) == current:
        return Done(policy_id, current.version, current.version)
    return await _put_in_force(call, desk, policy, cause)


async def _put_in_force(call: Call, desk: Desk, policy: Policy, cause: Cause) -> Done:
    if policy.item_id not in desk.items:
        raise NotFound("item")
    if policy.budget_id is not None and policy.budget_id not in desk.budgets:
        raise NotFound("budget")
    item = desk.items[policy.item_id]
    if policy.active and (provider := item.spec.provided_by) not in {None, *PROVIDERS}:
        raise Refusal("provider-not-there", f"Nobody here delivers through {provider!r}.")
    desk.set_policy(policy, cause)
    await desks.save_desks(call.uow, {desk.community_id: desk})
    return Done(policy.policy_id, policy.version, policy.version)


async def _managers_desk(call: Call, community_id: UUID) -> tuple[Cause, Desk]:
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    opened = await desks.open_desks(call.uow, [community_id])
    if community_id not in opened:
        raise NotFound("community")
    return cause, opened[community_id]


async def _with_pool(call: Call, community_id: UUID, name: str, spec: GiftCode) -> GiftCode:
    if spec.pool_id is None:
        pool_id = call.new_id("pool")
        await catalogue.add_pool(call.uow, Pool(pool_id, community_id, name))
        return spec.model_copy(update={"pool_id": pool_id})
    known = {pool.pool_id for pool in await catalogue.pools(call.uow, community_id)}
    if spec.pool_id not in known:
        raise NotFound("pool")
    return spec


async def _item(call: Call, item_id: UUID) -> Item:
    item = await catalogue.find_item(call.uow, item_id)
    if item is None:
        raise NotFound("item")
    return item


async def _policy(call: Call, policy_id: UUID) -> Policy:
    table = tables.reward_policy
    statement = (
        select(table)
        .where(table.c.policy_id == policy_id)
        .order_by(table.c.version.desc())
        .limit(1)
    )
    row = await call.uow.one_or_none(statement)
    if row is None:
        raise NotFound("policy")
    return rows.policy_from(row)


def _policy_of(policy_id: UUID, community_id: UUID, version: int, terms: PolicyTerms) -> Policy:
    return Policy(
        policy_id=policy_id,
        community_id=community_id,
        version=version,
        name=terms.name,
        when=terms.when,
        beneficiary=terms.beneficiary,
        item_id=terms.item_id,
        budget_id=terms.budget_id,
        objective_id=terms.objective_id,
        also_unconfirmed=terms.also_unconfirmed,
        cap_rewards=terms.per_member_cap.rewards,
        cap_minor=terms.per_member_cap.amount_minor,
        cooldown_days=terms.cooldown_days,
        auto_approve_up_to=terms.auto_approve_up_to,
        active=terms.active,
    )


def _item_view(item: Item, *, staff: bool) -> ItemView:
    """Where a session is booked is for staff and for whom it was given to."""
    spec = item.spec
    if isinstance(spec, Session) and not staff:
        spec = spec.model_copy(update={"booking_url": None})
    return ItemView(
        item_id=item.item_id,
        community_id=item.community_id,
        name=item.name,
        item=spec,
        version=item.version,
    )


def _policy_view(policy: Policy, kind: ItemKind) -> PolicyView:
    cap = PerMemberCap(rewards=policy.cap_rewards, amount_minor=policy.cap_minor)
    own = {name: getattr(policy, name) for name in PolicyView.model_fields if hasattr(policy, name)}
    return PolicyView(**own, item_kind=kind, per_member_cap=cap)
