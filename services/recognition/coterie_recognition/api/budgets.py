"""Budgets with their ledger, and the pools of gift codes. No answer ever holds a code."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field, SecretStr
from sqlalchemy import select, text

from coterie_chassis.auth import Role
from coterie_chassis.decisions import Cause, NotFound, Refusal, derived_id
from coterie_chassis.http import Api, Call, CommandBody, Done, Page, View, page_of
from coterie_chassis.store import bulk_insert
from coterie_contracts.model import Currency
from coterie_recognition.domain.desk import Desk
from coterie_recognition.domain.ledger import Budget, is_low
from coterie_recognition.settings import RecognitionSettings
from coterie_recognition.store import catalogue, desks, rows, tables
from coterie_recognition.vault import Vault

api = Api(tags=["budgets and codes"])

Code = Annotated[SecretStr, Field(min_length=4, max_length=200)]


class OpenBudget(CommandBody):
    community_id: UUID
    name: Annotated[str, Field(min_length=1, max_length=80)]
    currency: Currency


class Fund(CommandBody):
    amount_minor: Annotated[int, Field(gt=0, le=1_000_000_000)]


class AddCodes(CommandBody):
    codes: Annotated[list[Code], Field(min_length=1, max_length=500)]


class BudgetView(View):
    """Minor units of `currency`; `low`: a fifth or less of what was funded is left."""

    budget_id: UUID
    community_id: UUID
    name: str
    currency: str
    funded_minor: int
    reserved_minor: int
    spent_minor: int
    available_minor: int
    low: bool
    ledger_sequence: int
    version: int


class EntryView(View):
    ledger_sequence: int
    move: str
    credited: str
    debited: str
    amount_minor: int
    reward_id: UUID | None
    actor: str
    at: datetime
    funded_minor: int
    reserved_minor: int
    spent_minor: int


class PoolView(View):
    """`low`: managers are warned, five codes or fewer are left."""

    pool_id: UUID
    community_id: UUID
    name: str
    free: int
    total: int
    low: bool


@api.query("/communities/{community_id}/budgets")
async def list_budgets(call: Call, community_id: UUID) -> list[BudgetView]:
    """A community's budgets; for staff."""
    call.staff(await call.within(community_id))
    table = tables.budget
    statement = select(table).where(table.c.community_id == community_id).order_by(table.c.name)
    return [budget_view(rows.budget_from(row)) for row in await call.uow.rows(statement)]


@api.query("/budgets/{budget_id}")
async def show_budget(call: Call, budget_id: UUID) -> BudgetView:
    return budget_view(await _budget(call, budget_id))


@api.query("/budgets/{budget_id}/ledger", paged=True)
async def show_ledger(call: Call, budget_id: UUID) -> Page[EntryView]:
    """A budget's entries, newest first."""
    await _budget(call, budget_id)
    table = tables.ledger_entry
    statement = select(table).where(table.c.budget_id == budget_id)
    if (after := call.page.after(before=int)) is not None:
        statement = statement.where(table.c.ledger_sequence < after[0])
    statement = statement.order_by(table.c.ledger_sequence.desc()).limit(call.page.limit + 1)
    found = [EntryView.model_validate(row) for row in await call.uow.rows(statement)]
    shown = found[: call.page.limit]
    more = len(found) > call.page.limit
    return page_of(shown, {"before": shown[-1].ledger_sequence} if more else None)


@api.command("POST", "/budgets", shows=show_budget, status=201)
async def open_budget(call: Call, body: OpenBudget) -> Done:
    """Open an empty budget; the first one pays for the templates that wait for money."""
    cause, desk = await _managers_desk(call, body.community_id)
    budget_id = call.new_id("budget")
    if (known := desk.budgets.get(budget_id)) is not None:
        return Done(budget_id, known.version)
    budget = Budget(
        budget_id=budget_id,
        community_id=body.community_id,
        name=body.name,
        currency=body.currency,
    )
    first = not desk.budgets
    await bulk_insert(call.uow, tables.budget, [rows.row_of(tables.budget, budget)])
    if first:
        desk.adopt(budget, cause)
    await desks.save_desks(call.uow, {desk.community_id: desk})
    return Done(budget.budget_id, budget.version)


@api.command("POST", "/budgets/{budget_id}/fund", shows=show_budget)
async def fund_budget(call: Call, budget_id: UUID, body: Fund) -> Done:
    """Put money in; rewards that waited for it are paid in their order."""
    known = await _budget(call, budget_id)
    cause, desk = await _managers_desk(call, known.community_id)
    budget = desk.budgets[budget_id]
    told = {"budget": budget_id, "cause": cause.id}
    if await call.uow.one_or_none(_FUNDED, told) is not None:
        return Done(budget_id, budget.version, budget.sequence)
    call.expect(budget.version)
    desk.drafts.append((cause, budget.fund(body.amount_minor, cause)))
    desk.turn_on_funded(cause)
    desk.move_up(cause)
    await desks.save_desks(call.uow, {desk.community_id: desk})
    return Done(budget_id, budget.version, budget.sequence)


@api.query("/communities/{community_id}/pools")
async def list_pools(call: Call, community_id: UUID) -> list[PoolView]:
    """How many codes each pool has left; for staff."""
    call.staff(await call.within(community_id))
    return [PoolView.model_validate(p) for p in await catalogue.pools(call.uow, community_id)]


@api.query("/pools/{pool_id}")
async def show_pool(call: Call, pool_id: UUID) -> PoolView:
    table = tables.code_pool
    row = await call.uow.one_or_none(select(table).where(table.c.pool_id == pool_id))
    if row is None:
        raise NotFound("pool")
    await _staff_of(call, row.community_id, "pool")
    return PoolView.model_validate(rows.pool_from(row))


@api.command("POST", "/pools/{pool_id}/codes", shows=show_pool)
async def add_codes(call: Call, pool_id: UUID, body: AddCodes) -> Done:
    """Put codes into a pool; rewards that waited for one get theirs in their order."""
    known = await show_pool(call, pool_id)
    cause, desk = await _managers_desk(call, known.community_id)
    pool = desk.pools[pool_id]
    added = await _seal(call, pool_id, known.community_id, body)
    pool.free += added
    pool.total += added
    await call.uow.execute(_GROWN, {"pool": pool_id, "free": pool.free, "total": pool.total})
    desk.turn_on_funded(cause)
    desk.move_up(cause)
    await desks.save_desks(call.uow, {desk.community_id: desk})
    return Done(pool_id)


async def _seal(call: Call, pool_id: UUID, community_id: UUID, body: AddCodes) -> int:
    """Store the codes sealed; raises `Refusal` where one is there already, without naming it."""
    vault = Vault(call.settings(RecognitionSettings).raw_keys())
    codes = [code.get_secret_value() for code in body.codes]
    marks = [vault.fingerprints(code) for code in codes]
    every = [mark for of_code in marks for mark in of_code]
    known = await call.uow.rows(_KNOWN, {"community": community_id, "marks": every})
    if known or len(set(codes)) < len(codes):
        raise Refusal("code-already-there", "At least one of these codes was brought before.")
    sealed: list[dict[str, Any]] = []
    for code, of_code in zip(codes, marks, strict=True):
        code_id = derived_id(pool_id, of_code[0].hex())
        key_id, secret = vault.seal(code_id, code)
        row = {
            "code_id": code_id,
            "pool_id": pool_id,
            "community_id": community_id,
            "key_id": key_id,
            "sealed": secret,
            "fingerprint": of_code[0],
        }
        sealed.append(row)
    await bulk_insert(call.uow, tables.gift_code, sealed)
    return len(sealed)


async def _managers_desk(call: Call, community_id: UUID) -> tuple[Cause, Desk]:
    cause = await call.within(community_id)
    call.staff(cause, Role.MANAGER)
    opened = await desks.open_desks(call.uow, [community_id])
    if community_id not in opened:
        raise NotFound("community")
    return cause, opened[community_id]


async def _budget(call: Call, budget_id: UUID) -> Budget:
    table = tables.budget
    row = await call.uow.one_or_none(select(table).where(table.c.budget_id == budget_id))
    if row is None:
        raise NotFound("budget")
    await _staff_of(call, row.community_id, "budget")
    return rows.budget_from(row)


async def _staff_of(call: Call, community_id: UUID, what: str) -> None:
    if not call.is_staff(await call.within(community_id)):
        raise NotFound(what)


def budget_view(budget: Budget) -> BudgetView:
    return BudgetView(
        budget_id=budget.budget_id,
        community_id=budget.community_id,
        name=budget.name,
        currency=budget.currency,
        funded_minor=budget.funded,
        reserved_minor=budget.reserved,
        spent_minor=budget.spent,
        available_minor=budget.available,
        low=is_low(budget.funded, budget.available),
        ledger_sequence=budget.ledger_sequence,
        version=budget.version,
    )


_FUNDED: Final = text(
    "SELECT 1 FROM ledger_entry WHERE budget_id = :budget AND cause_id = :cause AND move = 'fund'"
)
_KNOWN: Final = text(
    "SELECT 1 FROM gift_code "
    "WHERE community_id = :community AND fingerprint = ANY(CAST(:marks AS bytea[])) LIMIT 1"
)
_GROWN: Final = text("UPDATE code_pool SET free = :free, total = :total WHERE pool_id = :pool")
