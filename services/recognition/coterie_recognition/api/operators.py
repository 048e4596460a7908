"""What an operator sees of the money: what each budget has left, and nobody's reward."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from coterie_chassis.auth import Role
from coterie_chassis.http import Api, Call, Page, page_of
from coterie_recognition.api.budgets import BudgetView, budget_view
from coterie_recognition.store import rows, tables

api = Api(tags=["operator"])


@api.query("/operator/budgets", paged=True)
async def list_all_budgets(call: Call) -> Page[BudgetView]:
    """The budgets of every community, by id; for operators."""
    call.require(Role.OPERATOR)
    table = tables.budget
    statement = select(table).order_by(table.c.budget_id).limit(call.page.limit + 1)
    if (after := call.page.after(after=UUID)) is not None:
        statement = statement.where(table.c.budget_id > after[0])
    found = [budget_view(rows.budget_from(row)) for row in await call.uow.rows(statement)]
    shown = found[: call.page.limit]
    more = len(found) > call.page.limit
    return page_of(shown, {"after": shown[-1].budget_id} if more else None)
