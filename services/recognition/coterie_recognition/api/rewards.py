"""Rewards: what waits, what was decided, and the member's own, with the code for them alone."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import Select, select, text, tuple_

from coterie_chassis import circle
from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, NotFound, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done, Page, View, page_of
from coterie_contracts.member import MemberStatus
from coterie_contracts.reward import HeldFor, ItemKind
from coterie_recognition.api.access import beneficiary, caller_in, self_or_staff
from coterie_recognition.domain.catalogue import Session
from coterie_recognition.domain.desk import Desk
from coterie_recognition.domain.rewards import Reward, Status, reward_id_of
from coterie_recognition.settings import RecognitionSettings
from coterie_recognition.store import desks, rows, tables
from coterie_recognition.vault import Vault

api = Api(tags=["rewards"])


class NothingMore(CommandBody):
    """A command that says it all by its path."""


class Award(CommandBody):
    member_id: UUID


class RewardView(View):
    """A reward; `amount_minor` is in minor units of `currency`."""

    reward_id: UUID
    community_id: UUID
    member_id: UUID
    feedback_id: UUID | None
    policy_id: UUID
    policy_version: int
    item_kind: ItemKind
    item_name: str
    amount_minor: int
    currency: str
    status: Status
    held_for: HeldFor | None
    needs_approval: bool
    overdue: bool = Field(description="held for 30 days: a manager decides")
    proposed_at: datetime
    approved_at: datetime | None
    issued_at: datetime | None
    version: int


class RevealedView(View):
    """What the member takes: a gift code, or where the session is booked."""

    reward_id: UUID
    item_name: str
    code: str | None = None
    booking_url: str | None = None
    host: str | None = None
    minutes: int | None = None


@api.query("/rewards/{reward_id}")
async def show_reward(call: Call, reward_id: UUID) -> RewardView:
    """One reward, for its member and for staff; never with its code."""
    reward = await _reward(call, reward_id)
    cause = await call.within(reward.community_id)
    if not call.is_staff(cause) and caller_in(call, reward.community_id) != reward.member_id:
        raise NotFound("reward")
    return RewardView.model_validate(reward)


@api.query("/members/{member_id}/rewards", paged=True)
async def list_own_rewards(call: Call, member_id: UUID) -> Page[RewardView]:
    """A member's rewards, newest first; for the member and for staff."""
    community_id, _ = await self_or_staff(call, member_id, staff=True)
    table = tables.reward
    return await _page(
        call,
        select(table).where(table.c.member_id == member_id, table.c.community_id == community_id),
    )


@api.query("/communities/{community_id}/rewards", paged=True)
async def list_rewards(
    call: Call, community_id: UUID, status: Status | None = None
) -> Page[RewardView]:
    """A community's rewards, newest first; for staff."""
    call.staff(await call.within(community_id))
    table = tables.reward
    statement = select(table).where(table.c.community_id == community_id)
    if status is not None:
        statement = statement.where(table.c.status == status.value)
    return await _page(call, statement)


@api.command("POST", "/policies/{policy_id}/award", shows=show_reward, status=201)
async def award(call: Call, policy_id: UUID, body: Award) -> Done:
    """Give a member what a policy by judgement gives; this decision is the approval."""
    community_id = await _community_of_policy(call, policy_id)
    cause = await call.within(community_id)
    if not call.is_staff(cause):
        raise NotFound("policy")
    call.staff(cause, Role.MANAGER)
    reward_id = reward_id_of(policy_id, body.member_id, cause.id)
    opened = await desks.open_desks(
        call.uow, [community_id], members=[body.member_id], rewards=[reward_id]
    )
    if community_id not in opened:
        raise NotFound("community")
    desk = opened[community_id]
    policy = desk.policy_in_force(policy_id)
    if policy is None:
        raise NotFound("policy")
    me = caller_in(call, community_id)
    reward = desk.award(policy, body.member_id, _manager(call), me, cause)
    return await _decided(call, desk, reward)


@api.command("POST", "/rewards/{reward_id}/approve", shows=show_reward)
async def approve(call: Call, reward_id: UUID, body: NothingMore | None = None) -> Done:
    """Approve a proposed or held reward; it is paid at once if nothing stands in the way."""
    del body
    cause, desk, reward = await _at_desk(call, reward_id)
    desk.approve(reward, _manager(call), caller_in(call, reward.community_id), cause)
    return await _decided(call, desk, reward)


@api.command("POST", "/rewards/{reward_id}/reject", shows=show_reward)
async def reject(call: Call, reward_id: UUID, body: NothingMore | None = None) -> Done:
    """Decide against a proposed or held reward."""
    del body
    cause, desk, reward = await _at_desk(call, reward_id)
    desk.reject(reward, cause)
    return await _decided(call, desk, reward)


@api.command("POST", "/rewards/{reward_id}/retry", shows=show_reward)
async def retry(call: Call, reward_id: UUID, body: NothingMore | None = None) -> Done:
    """Try a held or failed reward again now; an overdue one is thereby approved."""
    del body
    cause, desk, reward = await _at_desk(call, reward_id)
    desk.retry(reward, _manager(call), caller_in(call, reward.community_id), cause)
    return await _decided(call, desk, reward)


@api.command("POST", "/rewards/{reward_id}/reverse", shows=show_reward)
async def reverse(call: Call, reward_id: UUID, body: NothingMore | None = None) -> Done:
    """Take an issued reward back; what has left our hands becomes irreversible."""
    del body
    cause, desk, reward = await _at_desk(call, reward_id)
    desk.reverse(reward, cause)
    return await _decided(call, desk, reward)


async def show_revealed(call: Call, reward_id: UUID) -> RevealedView:
    """Open the seal for the beneficiary and record that it was opened."""
    reward = await _reward(call, reward_id)
    cause = await beneficiary(call, reward.community_id, reward.member_id)
    if reward.status not in {Status.DELIVERED, Status.IRREVERSIBLE}:
        raise Refusal("reward-not-in-that-state", f"This reward is {reward.status.value}.")
    values = {
        "reward": reward_id,
        "community": reward.community_id,
        "actor": call.principal.actor,
        "at": cause.at,
    }
    await call.uow.execute(_RECORD_REVEAL, values)
    shown = RevealedView(reward_id=reward_id, item_name=reward.item_name)
    if reward.pool_id is not None:
        return shown.model_copy(update={"code": await _open_code(call, reward_id)})
    table = tables.catalogue_item
    item = rows.item_from(
        (await call.uow.execute(select(table).where(table.c.item_id == reward.item_id))).one()
    )
    if isinstance(item.spec, Session):
        return shown.model_copy(update=item.spec.model_dump(exclude={"kind"}))
    return shown


@api.command("POST", "/rewards/{reward_id}/reveal", shows=show_revealed)
async def reveal(call: Call, reward_id: UUID, body: NothingMore | None = None) -> Done:
    """Take what was given; for its member alone, and each time is recorded."""
    del body
    known = await _reward(call, reward_id)
    cause = await beneficiary(call, known.community_id, known.member_id)
    me = (await circle.members(call.uow, [known.member_id])).get(known.member_id)
    if me is not None and me.status is MemberStatus.SUSPENDED:
        raise Refusal("member-suspended", "This waits until the suspension ends.")
    desk, reward = await _open(call, known.community_id, reward_id)
    desk.deliver(reward, cause)
    return await _decided(call, desk, reward)


async def _at_desk(call: Call, reward_id: UUID) -> tuple[Cause, Desk, Reward]:
    """A manager's command: its cause, the desk, and the reward on it."""
    known = await _reward(call, reward_id)
    cause = await call.within(known.community_id)
    if not call.is_staff(cause):
        raise NotFound("reward")
    call.staff(cause, Role.MANAGER)
    desk, reward = await _open(call, known.community_id, reward_id)
    call.expect(reward.version)
    return cause, desk, reward


async def _open(call: Call, community_id: UUID, reward_id: UUID) -> tuple[Desk, Reward]:
    opened = await desks.open_desks(call.uow, [community_id], rewards=[reward_id])
    if community_id not in opened:
        raise NotFound("community")
    return opened[community_id], opened[community_id].rewards[reward_id]


def _manager(call: Call) -> str:
    return f"person:{call.principal.person_id}"


async def _community_of_policy(call: Call, policy_id: UUID) -> UUID:
    c = tables.reward_policy.c
    statement = select(c.community_id).where(c.policy_id == policy_id).limit(1)
    row = await call.uow.one_or_none(statement)
    if row is None:
        raise NotFound("policy")
    community_id: UUID = row.community_id
    return community_id


async def _decided(call: Call, desk: Desk, reward: Reward) -> Done:
    await desks.save_desks(call.uow, {desk.community_id: desk})
    return Done(reward.reward_id, reward.version, reward.sequence)


async def _reward(call: Call, reward_id: UUID) -> Reward:
    table = tables.reward
    row = await call.uow.one_or_none(select(table).where(table.c.reward_id == reward_id))
    if row is None:
        raise NotFound("reward")
    return rows.reward_from(row)


async def _open_code(call: Call, reward_id: UUID) -> str:
    table = tables.gift_code
    row = await call.uow.one_or_none(select(table).where(table.c.reward_id == reward_id))
    if row is None or row.sealed is None:
        raise NotFound("code")
    vault = Vault(call.settings(RecognitionSettings).raw_keys())
    return vault.open(row.code_id, row.key_id, row.sealed)


async def _page(call: Call, statement: Select[tuple[object, ...]]) -> Page[RewardView]:
    c = tables.reward.c
    place = tuple_(c.proposed_at, c.reward_id)
    if (after := call.page.after(at=datetime, id=UUID)) is not None:
        statement = statement.where(place < tuple_(*after))
    statement = statement.order_by(c.proposed_at.desc(), c.reward_id.desc())
    found = await call.uow.rows(statement.limit(call.page.limit + 1))
    shown = [RewardView.model_validate(row) for row in found[: call.page.limit]]
    more = len(found) > call.page.limit
    if not more:
        return page_of(shown, None)
    last = shown[-1]
    return page_of(shown, {"at": last.proposed_at.isoformat(), "id": str(last.reward_id)})


_RECORD_REVEAL: Final = text(
    "INSERT INTO reveal (reward_id, community_id, actor, at) "
    "VALUES (:reward, :community, :actor, :at)"
)
