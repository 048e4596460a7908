"""Desks: the locked state of communities in which rewards are decided, loaded and saved whole.

Locks come in the order of this package's docstring. The number of statements does not depend on
how many communities, members or rewards are at hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis import circle
from coterie_chassis.store import UnitOfWork, bulk_insert, bulk_upsert
from coterie_recognition.domain.catalogue import FREE
from coterie_recognition.domain.desk import Desk
from coterie_recognition.domain.rewards import GIVEN, Reward, next_due
from coterie_recognition.store import facts, rows, tables

__all__ = ["DUE", "free_desks", "lock_desks", "open_desks", "plan", "restart", "save_desks"]

DUE: Final = "reward.due"
"""The kind of a reward's one deadline: the next moment at which it needs a look."""


async def lock_desks(uow: UnitOfWork, community_ids: Iterable[UUID]) -> dict[UUID, datetime | None]:
    """Take the desks of these communities, in order; since when each is live. One statement."""
    rows_ = await uow.rows(_LOCK_DESKS, {"ids": sorted(set(community_ids))})
    return {row.community_id: row.live_since for row in rows_}


async def free_desks(uow: UnitOfWork, community_ids: Iterable[UUID]) -> set[UUID]:
    """Take those of these desks that nobody holds, without waiting; one statement."""
    rows_ = await uow.rows(_LOCK_FREE, {"ids": sorted(set(community_ids))})
    return {row.community_id for row in rows_}


async def open_desks(
    uow: UnitOfWork,
    community_ids: Collection[UUID],
    *,
    members: Collection[UUID] = (),
    causes: Collection[UUID] = (),
    rewards: Collection[UUID] = (),
) -> dict[UUID, Desk]:
    """The desks of the communities that are known here, by community.

    At hand are all that wait, the rewards of `members` that are open, those of `causes`, and
    `rewards` by id; and of everybody concerned what they were given.
    """
    ids = sorted(set(community_ids))
    live_since = await lock_desks(uow, ids)
    known = await circle.communities(uow, ids)
    desks = {id_: Desk(community_id=id_, zone=known[id_].time_zone) for id_ in ids if id_ in known}
    await _load_rules(uow, desks)
    await _load_rewards(uow, desks, members, causes, rewards)
    for desk in desks.values():
        for reward in desk.rewards.values():
            reward.live_since = live_since[desk.community_id]
    concerned = {r.member_id for d in desks.values() for r in d.rewards.values()} | set(members)
    await _load_members(uow, desks, sorted(concerned))
    return desks


async def restart(uow: UnitOfWork, live: Mapping[UUID, datetime]) -> None:
    """Give what is open in communities that went live its whole time from then on."""
    await lock_desks(uow, live)
    values = {"ids": sorted(live), "since": [live[id_] for id_ in sorted(live)]}
    await uow.execute(_GO_LIVE, values)
    waiting = await uow.rows(_WAITING, {"ids": sorted(live), "kind": DUE})
    ids = {row.aggregate_id for row in waiting}
    desks = await open_desks(uow, live, rewards=ids)
    plan(uow, (desk.rewards[id_] for desk in desks.values() for id_ in ids & desk.rewards.keys()))


async def save_desks(uow: UnitOfWork, desks: Mapping[UUID, Desk]) -> None:
    """Write what was decided and publish it, in bulk statements."""
    ordered = [desks[id_] for id_ in sorted(desks)]
    changed = [r for d in ordered for _, r in sorted(d.changed.items())]
    await bulk_upsert(
        uow, tables.reward, [rows.row_of(tables.reward, r) for r in changed], keys=("reward_id",)
    )
    touched = [
        b for d in ordered for _, b in sorted(d.budgets.items()) if b.changed_by or b.entries
    ]
    for budget in touched:
        budget.version += 1
    await bulk_upsert(
        uow, tables.budget, [rows.row_of(tables.budget, b) for b in touched], keys=("budget_id",)
    )
    policies = [rows.row_of(tables.reward_policy, p) for d in ordered for p in d.new_policies]
    await bulk_insert(uow, tables.reward_policy, policies)
    entries = [rows.entry_row(entry) for budget in touched for entry in budget.entries]
    await bulk_insert(uow, tables.ledger_entry, entries)
    await _give_codes(uow, ordered)
    plan(uow, changed)
    for desk in ordered:
        for cause, draft in desk.drafts:
            uow.publish(cause, draft)


def plan(uow: UnitOfWork, rewards: Iterable[Reward]) -> None:
    """Store each reward's next deadline, or drop the one that it no longer has."""
    for reward in rewards:
        due = next_due(reward)
        if due is None:
            uow.cancel(DUE, reward.reward_id)
        else:
            uow.schedule(DUE, reward.reward_id, reward.community_id, due)


async def _load_rules(uow: UnitOfWork, desks: Mapping[UUID, Desk]) -> None:
    ids = {"ids": sorted(desks)}
    for row in await uow.rows(_POLICIES, ids):
        policy = rows.policy_from(row)
        desks[row.community_id].policies[policy.policy_id, policy.version] = policy
    for row in await uow.rows(_ITEMS, ids):
        desks[row.community_id].items[row.item_id] = rows.item_from(row)
    for row in await uow.rows(_BUDGETS, ids):
        desks[row.community_id].budgets[row.budget_id] = rows.budget_from(row)
    for row in await uow.rows(_POOLS, ids):
        desks[row.community_id].pools[row.pool_id] = rows.pool_from(row)


async def _load_rewards(
    uow: UnitOfWork,
    desks: Mapping[UUID, Desk],
    members: Collection[UUID],
    causes: Collection[UUID],
    rewards: Collection[UUID],
) -> None:
    values = {
        "ids": sorted(desks),
        "members": sorted(members),
        "causes": sorted(causes),
        "rewards": sorted(rewards),
    }
    for row in await uow.rows(_REWARDS, values):
        desks[row.community_id].rewards[row.reward_id] = rows.reward_from(row)


async def _load_members(
    uow: UnitOfWork, desks: Mapping[UUID, Desk], members: Collection[UUID]
) -> None:
    statuses = {m.member_id: m for m in (await circle.members(uow, members)).values()}
    erased = await facts.erased_among(uow, members)
    for desk in desks.values():
        desk.erased = erased
        desk.members = {
            m.member_id: m.status for m in statuses.values() if m.community_id == desk.community_id
        }
    given = {
        "ids": sorted(desks),
        "members": list(members),
        "given": sorted(status.value for status in GIVEN),
        "free": sorted(kind.value for kind in FREE),
    }
    for row in await uow.rows(_GIVEN, given):
        of_member = desks[row.community_id].given.setdefault(row.member_id, {})
        of_member[row.reward_id] = (row.approved_at, row.amount_minor)


async def _give_codes(uow: UnitOfWork, desks: Iterable[Desk]) -> None:
    taken = [pair for desk in desks for pair in desk.taken]
    if not taken:
        return
    ids = sorted({pool_id for pool_id, _ in taken})
    pools = [rows.row_of(tables.code_pool, d.pools[i]) for d in desks for i in ids if i in d.pools]
    await bulk_upsert(uow, tables.code_pool, pools, keys=("pool_id",))
    values: dict[str, Any] = {
        "pools": [pool_id for pool_id, _ in taken],
        "rewards": [reward_id for _, reward_id in taken],
    }
    given = (await uow.execute(_GIVE, values)).rowcount
    if given != len(taken):
        raise RuntimeError(f"{len(taken)} codes were to be given and {given} were free")


_IN: Final = "= ANY(CAST(:ids AS uuid[]))"
_LOCK_DESKS: Final = text(
    "INSERT INTO reward_desk (community_id) SELECT * FROM unnest(CAST(:ids AS uuid[])) "
    "ON CONFLICT (community_id) DO UPDATE SET community_id = excluded.community_id "
    "RETURNING community_id, live_since"
)
_GO_LIVE: Final = text(
    "UPDATE reward_desk SET live_since = live.since "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:since AS timestamptz[])) AS live(id, since) "
    "WHERE reward_desk.community_id = live.id"
)
_WAITING: Final = text(
    "SELECT aggregate_id FROM deadline "
    "WHERE kind = :kind AND community_id = ANY(CAST(:ids AS uuid[]))"
)
_LOCK_FREE: Final = text(
    f"""
    SELECT community_id FROM reward_desk WHERE community_id {_IN}
    ORDER BY community_id FOR UPDATE SKIP LOCKED
    """  # noqa: S608 - a constant
)
_POLICIES: Final = text(f"SELECT * FROM reward_policy WHERE community_id {_IN}")  # noqa: S608 - a constant
_ITEMS: Final = text(f"SELECT * FROM catalogue_item WHERE community_id {_IN}")  # noqa: S608 - a constant
_BUDGETS: Final = text(
    f"SELECT * FROM budget WHERE community_id {_IN} ORDER BY budget_id FOR UPDATE"  # noqa: S608 - a constant
)
_POOLS: Final = text(
    f"SELECT * FROM code_pool WHERE community_id {_IN} ORDER BY pool_id FOR UPDATE"  # noqa: S608 - a constant
)
_REWARDS: Final = text(
    f"""
    SELECT * FROM reward WHERE community_id {_IN} AND (
        status = 'held'
        OR cause_id = ANY(CAST(:causes AS uuid[]))
        OR reward_id = ANY(CAST(:rewards AS uuid[]))
        OR (member_id = ANY(CAST(:members AS uuid[]))
            AND status IN ('proposed', 'approved', 'failed'))
    )
    ORDER BY reward_id FOR UPDATE
    """  # noqa: S608 - a constant
)
_GIVEN: Final = text(
    f"""
    SELECT community_id, member_id, reward_id, approved_at, amount_minor FROM reward
    WHERE community_id {_IN} AND member_id = ANY(CAST(:members AS uuid[]))
        AND status = ANY(CAST(:given AS text[])) AND item_kind <> ALL(CAST(:free AS text[]))
    """  # noqa: S608 - a constant
)
_GIVE: Final = text(
    """
    WITH want AS (
        SELECT pool_id, reward_id, row_number() OVER (PARTITION BY pool_id ORDER BY place) AS n
        FROM unnest(CAST(:pools AS uuid[]), CAST(:rewards AS uuid[]))
            WITH ORDINALITY AS t(pool_id, reward_id, place)
    ), free AS (
        SELECT code_id, pool_id, row_number() OVER (PARTITION BY pool_id ORDER BY code_id) AS n
        FROM gift_code
        WHERE pool_id = ANY(CAST(:pools AS uuid[])) AND reward_id IS NULL
    )
    UPDATE gift_code SET reward_id = want.reward_id
    FROM want JOIN free USING (pool_id, n)
    WHERE gift_code.code_id = free.code_id
    """
)
