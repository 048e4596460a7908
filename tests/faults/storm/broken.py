"""Ten ways to break a promise of the chassis, to prove that a storm would notice.

Each is applied inside a service process of a test, never in the product, and names the faults that
bring it to light.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from coterie_chassis import consumer, deadletter, relay
from coterie_chassis.consumer import LaneConsumer
from coterie_chassis.inbox import Inbox
from coterie_chassis.store import UnitOfWork
from coterie_chassis.subscriptions import LaneLoop, _next_after
from coterie_recognition.store import desks
from coterie_recognition.store import rows as recognised

__all__ = ["VARIANTS", "Variant"]

_LATE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Variant:
    """`faults` are the kinds of a directed storm that is expected to reveal it.

    `shows` are the checks that notice it: whatever else is found does not count as caught.
    """

    broken: str
    faults: tuple[str, ...]
    apply: Callable[[], None]
    shows: tuple[str, ...]

    def noticed(self, violations: Sequence[str]) -> list[str]:
        """Those of `violations` that this is known by."""
        return [one for one in violations if one.startswith(self.shows)]


def _commit_offsets_first() -> None:
    apply_all = LaneLoop._apply_all

    async def offsets_first(self: LaneLoop, records: Sequence[Any], commit: Any) -> Sequence[Any]:
        await commit(_next_after(records))
        return await apply_all(self, records, commit)

    LaneLoop._apply_all = offsets_first  # type: ignore[method-assign] # breaking it is the point


def _delete_by_bound() -> None:
    exact = relay._ARCHIVE
    bound = exact.replace(
        "id = ANY(CAST($1::text AS bigint[]))",
        "id <= (SELECT max(i) FROM unnest(CAST($1::text AS bigint[])) AS i)",
    )
    assert bound != exact
    vars(relay)["_ARCHIVE"] = bound
    flush = UnitOfWork.flush

    async def committed_late(self: UnitOfWork) -> bool:
        published = await flush(self)
        await asyncio.sleep(random.random() * _LATE_S if published else 0)
        return published

    UnitOfWork.flush = committed_late  # type: ignore[method-assign] # breaking it is the point


def _without_inbox() -> None:
    def everything_is_new(*_: object) -> set[UUID]:
        return set()

    Inbox.known_among = everything_is_new  # type: ignore[method-assign] # breaking it is the point


def _inbox_apart() -> None:
    async def drop_duplicates(
        self: LaneConsumer, work: Any, uow: UnitOfWork, recorded: Any
    ) -> None:
        del uow, recorded
        if work.items:
            async with self._database.begin() as other:
                ids = [item.event.id for item in work.items]
                known = await self._inbox.record(other, ids)
            work.items = [item for item in work.items if item.event.id not in known]

    LaneConsumer._opening = lambda *_: None  # type: ignore[method-assign] # breaking it is the point
    LaneConsumer._drop_duplicates = drop_duplicates  # type: ignore[method-assign] # breaking it is the point


def _two_leaders() -> None:
    vars(relay)["_TRY_LOCK"] = "SELECT $1::bigint IS NOT NULL"


def _without_parking() -> None:
    async def nothing_is_parked(*_: object) -> set[UUID]:
        return set()

    vars(deadletter)["parked"] = nothing_is_parked
    consumer._Work.waits = lambda *_: False  # type: ignore[method-assign] # breaking it is the point


def _skip_poison() -> None:
    async def store_nothing(*_: object) -> None: ...

    vars(deadletter)["store"] = store_nothing


def _without_backoff() -> None:
    async def at_once(self: LaneLoop, error: Exception) -> None:
        del error
        self.last_progress = time.monotonic()
        await asyncio.sleep(0)

    LaneLoop._wait_after = at_once  # type: ignore[method-assign] # breaking it is the point


def _drop_tombstones() -> None:
    pack = relay._pack

    async def without_tombstones(sender: Any, stored: Iterable[Sequence[Any]]) -> Any:
        return await pack(sender, (row for row in stored if row[-1] is not None))

    vars(relay)["_pack"] = without_tombstones


def _look_at_budgets_before_the_lock() -> None:
    open_desks, load_rules = desks.open_desks, desks._load_rules
    seen_before: ContextVar[Sequence[Any]] = ContextVar("seen_before", default=())
    unlocked = text(str(desks._BUDGETS).replace("FOR UPDATE", ""))

    async def opening(
        uow: UnitOfWork, community_ids: Collection[UUID], **more: Any
    ) -> dict[UUID, Any]:
        seen_before.set(await uow.rows(unlocked, {"ids": sorted(set(community_ids))}))
        return await open_desks(uow, community_ids, **more)

    async def loading(uow: UnitOfWork, opened: Mapping[UUID, Any]) -> None:
        await load_rules(uow, opened)
        for row in seen_before.get():
            if row.community_id in opened:
                opened[row.community_id].budgets[row.budget_id] = recognised.budget_from(row)

    vars(desks)["open_desks"] = opening
    vars(desks)["_load_rules"] = loading


_AS_UNDISTURBED: Final = "as undisturbed"
_SENT: Final = "what was written was sent"
_REFUSED: Final = "it settled: not so: Unreachable: recognition answers 500"
"""PostgreSQL refuses to overdraw a budget, which is then a defect of whoever tried."""
VARIANTS: Final[dict[str, Variant]] = {
    "offsets-first": Variant(
        "offsets are committed before the database",
        ("crash:commit", "crash:commit"),
        _commit_offsets_first,
        ("what was sent is kept", _AS_UNDISTURBED),
    ),
    "delete-by-bound": Variant(
        "sent rows are deleted by id <= max, and commits overtake", (), _delete_by_bound, (_SENT,)
    ),
    "no-inbox": Variant(
        "there is no inbox", ("rewind",), _without_inbox, ("each event is applied once",)
    ),
    "inbox-apart": Variant(
        "the inbox is written in a second transaction",
        ("crash:commit", "crash:commit"),
        _inbox_apart,
        ("what was received took effect", _AS_UNDISTURBED),
    ),
    "two-leaders": Variant("two relays lead", (), _two_leaders, ("nothing is sent twice",)),
    "no-parking": Variant(
        "parking is ignored", ("parked",), _without_parking, ("a parked key waits",)
    ),
    "skipped-poison": Variant("poison is skipped", ("poison",), _skip_poison, ("poison is kept",)),
    "no-backoff": Variant(
        "redelivery does not back off",
        ("postgres:kill",),
        _without_backoff,
        ("redelivery backs off",),
    ),
    "no-tombstones": Variant("tombstones are dropped", (), _drop_tombstones, (_SENT,)),
    "budget-before-lock": Variant(
        "the budget is looked at before the lock",
        (),
        _look_at_budgets_before_the_lock,
        ("the audit is clean", _REFUSED),
    ),
}
"""By name, in the order in which the selftest tries them."""
