"""Approved rewards that somebody outside delivers.

The provider is called before any row is locked, with the reward's id as its idempotency key. A
call that timed out is asked about and never made anew. Nothing of a driven community leaves the
platform, so there its gifts count as delivered.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text

from coterie_chassis.decisions import SYSTEM, Cause, derived_id
from coterie_chassis.store import UnitOfWork
from coterie_contracts.community import ClockMode
from coterie_recognition.domain.catalogue import PROVIDED, Donation, ProviderGift
from coterie_recognition.domain.desk import Desk
from coterie_recognition.domain.rewards import Reward, Status
from coterie_recognition.providers import PROVIDERS, Answer
from coterie_recognition.store import desks, rows

__all__ = ["issue_through_providers"]

_log = logging.getLogger(__name__)
_AT_ONCE: Final = 8
_TIMEOUT_S: Final = 5.0


async def issue_through_providers(uow: UnitOfWork) -> None:
    """Deliver what is approved and due, a few at once."""
    kinds = sorted(kind.value for kind in PROVIDED)
    due = await uow.rows(_DUE, {"kinds": kinds, "limit": _AT_ONCE})
    if not due:
        return
    answers = await asyncio.gather(*(_answer(row) for row in due))
    opened = await desks.open_desks(
        uow, {row.community_id for row in due}, rewards={row.reward_id for row in due}
    )
    for row, answer in zip(due, answers, strict=True):
        desk = opened[row.community_id]
        reward = desk.rewards[row.reward_id]
        if reward.status in {Status.APPROVED, Status.FAILED}:
            _settle(desk, reward, answer, _cause(row, reward, uow))
    await desks.save_desks(uow, opened)


def _settle(desk: Desk, reward: Reward, answer: Answer | None, cause: Cause) -> None:
    if answer is None:
        desk.doubt(reward)
    elif answer is Answer.DONE:
        desk.issue(reward, cause)
    else:
        desk.fail(reward, cause)


async def _answer(row: Row[Any]) -> Answer | None:
    """What the provider says; None where it did not say anything in time."""
    if row.mode == ClockMode.DRIVEN.value:
        return Answer.DONE
    spec = rows.item_from(row).spec
    provider = PROVIDERS.get(spec.provided_by or "")
    if provider is None or not isinstance(spec, ProviderGift | Donation):
        return Answer.REFUSED
    product = spec.product if isinstance(spec, ProviderGift) else spec.charity
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            if row.uncertain:
                return await provider.ask(row.reward_id)
            return await provider.issue(row.reward_id, product, row.amount_minor, row.currency)
    except TimeoutError:
        return None
    except Exception as error:  # noqa: BLE001 - a provider may fail in any way
        _log.warning("provider %s failed: %s", spec.provided_by, type(error).__name__)
        return None if row.uncertain else Answer.REFUSED


def _cause(row: Row[Any], reward: Reward, uow: UnitOfWork) -> Cause:
    id_ = derived_id("issue", reward.reward_id, reward.attempts)
    now: datetime = row.now
    return Cause(
        id=id_,
        actor=SYSTEM,
        at=now,
        recorded_at=uow.now,
        correlation_id=id_,
        brand_id=row.brand_id,
        community_id=row.community_id,
        clock=ClockMode(row.mode),
    )


_DUE: Final = text(
    """
    SELECT r.reward_id, r.community_id, r.amount_minor, r.currency, r.uncertain,
        i.item_id, i.name, i.spec, i.version, c.mode, c.brand_id,
        CASE c.mode WHEN 'driven' THEN c.now ELSE now() END AS now
    FROM reward AS r
    JOIN catalogue_item AS i USING (item_id)
    JOIN community_clock AS c ON c.community_id = r.community_id
    WHERE r.status IN ('approved', 'failed') AND r.item_kind = ANY(CAST(:kinds AS text[]))
        AND (r.retry_at IS NULL OR r.uncertain
            OR r.retry_at <= CASE c.mode WHEN 'driven' THEN c.now ELSE now() END)
    ORDER BY r.approved_at, r.reward_id LIMIT :limit
    """
)
