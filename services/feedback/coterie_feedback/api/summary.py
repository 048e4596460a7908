"""Where a community's suggestions stand, and how far they drift from what it is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from pydantic import Field

from coterie_chassis import circle
from coterie_chassis.http import Api, Call, View
from coterie_feedback.api.callers import check_staff
from coterie_feedback.domain.suggestion import Status
from coterie_feedback.store import reading as store

__all__ = ["api"]

api = Api(tags=["reading"])
_NOT_COUNTED: Final = frozenset({Status.WITHDRAWN, Status.DUPLICATE})


class ObjectiveView(View):
    objective_id: UUID
    title: str | None = Field(description="absent: of an objective that this service never knew")
    retired: bool
    suggestions: int


class SummaryView(View):
    """Withdrawn ones and duplicates count by status alone; `drift` is the share that is outside."""

    by_status: Mapping[Status, int]
    by_objective: list[ObjectiveView]
    outside: int = Field(description="suggestions that serve none of the objectives")
    drift: float | None = Field(description="0 to 1; absent as long as there are no suggestions")


@api.query("/communities/{community_id}/summary")
async def show_summary(call: Call, community_id: UUID) -> SummaryView:
    """For staff: suggestions by status and objective, and the share that serves none."""
    await check_staff(call, await call.within(community_id), "community")
    by_status: Counter[Status] = Counter()
    by_objective: Counter[UUID | None] = Counter()
    for row in await store.standing(call.uow, community_id):
        by_status[status := Status(row.status)] += row.suggestions
        if status not in _NOT_COUNTED:
            by_objective[row.objective_id] += row.suggestions
    outside, counted = by_objective.pop(None, 0), by_objective.total()
    community = await circle.community(call.uow, community_id)
    known = {one.objective_id: one for one in community.objectives} if community else {}
    objectives = [
        ObjectiveView(
            objective_id=id_,
            title=known[id_].title if id_ in known else None,
            retired=id_ not in known or known[id_].retired,
            suggestions=by_objective[id_],
        )
        for id_ in sorted(known.keys() | by_objective.keys(), key=str)
        if id_ is not None
    ]
    total = outside + counted
    return SummaryView(
        by_status=by_status,
        by_objective=objectives,
        outside=outside,
        drift=outside / total if total else None,
    )
