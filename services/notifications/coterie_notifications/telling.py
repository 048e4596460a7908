"""From notices to decisions to rows and events: the one way by which anybody is told anything.

Batches, commands and deadlines all come through `tell`, so nothing skips the guard. The cost is
statements and not notices: facts and ledgers are loaded for all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from coterie_chassis.store import UnitOfWork
from coterie_contracts.notification import Channel, NotificationClass
from coterie_notifications.domain.decision import Decision
from coterie_notifications.domain.guard import decide
from coterie_notifications.domain.ledger import Ledger
from coterie_notifications.domain.notice import Notice, in_order
from coterie_notifications.domain.outcome import outcome
from coterie_notifications.domain.policy import GuardPolicy
from coterie_notifications.store import notices as kept
from coterie_notifications.store.erasure import give_way
from coterie_notifications.store.recipients import Known, load_known

__all__ = ["CHANNELS", "preview", "tell"]

CHANNELS: Final = (Channel.INBOX,)


@dataclass(slots=True)
class _Weighed:
    """Decisions with the ledger and the number in it that each has."""

    decisions: list[tuple[Decision, UUID | None, int | None]] = field(default_factory=list)
    ledgers: dict[UUID, Ledger] = field(default_factory=dict)
    waiting: list[tuple[UUID, Notice]] = field(default_factory=list)


async def tell(uow: UnitOfWork, notices: Iterable[Notice]) -> list[Decision]:
    """Put `notices` before the guard, send what passes, keep what is withheld.

    Who was told already is not asked about again. What refers to a member or community not seen
    yet is kept and decided when they are. Returns the new decisions.
    """
    await give_way(uow)
    weighed = await _weigh(uow, notices, lock=True)
    await kept.postpone(uow, weighed.waiting)
    new = await kept.save_decisions(uow, weighed.decisions, weighed.ledgers)
    taken = []
    for decision, _, number in weighed.decisions:
        if decision.notice.id in new:
            uow.publish(decision.notice.cause, *outcome(decision, number))
            taken.append(decision)
    return taken


async def preview(uow: UnitOfWork, notices: Iterable[Notice]) -> list[Decision]:
    """The decisions that `tell` would take now; nothing is locked, saved or sent."""
    return [decision for decision, _, _ in (await _weigh(uow, notices, lock=False)).decisions]


async def _weigh(uow: UnitOfWork, notices: Iterable[Notice], *, lock: bool) -> _Weighed:
    each = list({notice.id: notice for notice in reversed(list(notices))}.values())
    known = await load_known(uow, each)
    weighed, ready = _Weighed(), []
    for notice in reversed(each):
        if known.is_erased(notice):
            continue
        if (waits_for := known.waits_for(notice)) is not None:
            weighed.waiting.append((waits_for, notice))
        else:
            ready.append(replace(notice, person_id=known.person_of(notice)))
    ledger_of = {n.id: _ledger_id(n, known) for n in ready}
    horizon = max((known.policy(n).horizon for n in ready), default=GuardPolicy().horizon)
    if ready:
        since = min(n.at for n in ready) - horizon
        wanted = {id_ for id_ in ledger_of.values() if id_ is not None}
        weighed.ledgers = await kept.load_ledgers(uow, wanted, since, lock=lock)
    told = await kept.known_among(uow, [n.id for n in ready])
    _decide_all([n for n in ready if n.id not in told], ledger_of, known, weighed)
    return weighed


def _decide_all(
    notices: Sequence[Notice],
    ledger_of: dict[UUID, UUID | None],
    known: Known,
    weighed: _Weighed,
) -> None:
    for notice in in_order(notices):
        ledger_id = ledger_of[notice.id]
        ledger = weighed.ledgers[ledger_id] if ledger_id else Ledger(notice.recipient_id)
        decision = decide(
            notice, known.recipient(notice), ledger, known.policy(notice), channels=CHANNELS
        )
        number = None
        if ledger_id is not None and decision.sent:
            ledger = ledger.with_entry(decision.entry())
            weighed.ledgers[ledger_id], number = ledger, ledger.sequence
        weighed.decisions.append((decision, ledger_id, number))


def _ledger_id(notice: Notice, known: Known) -> UUID | None:
    if notice.notification_class is NotificationClass.ACCOUNT or notice.person_id is None:
        return None
    brand_id = known.communities[notice.community_id].brand_id
    return kept.ledger_id_of(brand_id, notice.community_id, notice.person_id)
