"""The guard's promise about offers, derived anew from `notification.*` alone.

Offers sent in (t - window, t] are within the cap at every t, and an offer is within the ratio of
value messages at the instant that it was sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from coterie_contracts.notification import NotificationClass
from coterie_local.audit.facts import Log
from coterie_local.audit.histories import Histories, Sent, is_offer
from coterie_local.audit.report import Fault

__all__ = ["figures_are_the_derived_ones", "offers_keep_the_cap", "offers_keep_the_ratio"]

_ROUNDING: Final = 1e-9


def offers_keep_the_cap(log: Log) -> Iterator[Fault | None]:
    """A fact is an offer sent: with it, offers in its window are within the cap in force."""
    histories = Histories(log)
    for sent in histories.offers:
        policy = histories.policy(sent)
        if isinstance(policy, str):
            yield Fault(sent.id, policy)
            continue
        count = histories.offers_in(sent, policy.window)
        yield (
            Fault(sent.id, f"offer {count} in {policy.window.days} days, the cap is {policy.cap}")
            if count > policy.cap
            else None
        )


def offers_keep_the_ratio(log: Log) -> Iterator[Fault | None]:
    """A fact is an offer sent: it was within the ratio of value messages at that instant."""
    histories = Histories(log)
    for sent in histories.offers:
        policy = histories.policy(sent)
        if isinstance(policy, str):
            continue
        before = histories.offers_before(sent, policy.ratio_window)
        offers = 1 + before.settle(sent.data.offers_before, before.least)
        received = histories.value_before(sent, policy.ratio_window)
        value = received.settle(sent.data.value_count, received.most)
        yield (
            Fault(
                sent.id, f"{offers} offers to {value} value messages, the ratio is {policy.ratio}"
            )
            if offers > policy.ratio * value + _ROUNDING
            else None
        )


def figures_are_the_derived_ones(log: Log) -> Iterator[Fault | None]:
    """A fact is a message with figures: they are what the log alone gives at that instant."""
    histories = Histories(log)
    for sent in histories.all:
        faults = list(_wrong_figures(histories, sent))
        if faults:
            yield Fault(sent.id, "; ".join(faults))
        elif sent.data.count_before is not None:
            yield None


def _wrong_figures(histories: Histories, sent: Sent) -> Iterator[str]:
    data = sent.data
    if data.count_before is not None and data.window_days is not None:
        window = timedelta(days=data.window_days)
        derived = (
            histories.offers_before(sent, window)
            if is_offer(sent)
            else histories.in_class_before(sent, window)
        )
        if data.count_before not in derived:
            yield f"states {data.count_before} before it in its window, derived are {derived}"
    if data.notification_class is not NotificationClass.OFFER:
        return
    policy = histories.policy(sent)
    if isinstance(policy, str):
        return
    offers = histories.offers_before(sent, policy.ratio_window)
    value = histories.value_before(sent, policy.ratio_window)
    if data.offers_before not in offers:
        yield f"states {data.offers_before} offers in the ratio window, derived are {offers}"
    if data.value_count not in value:
        yield f"states {data.value_count} value messages, derived are {value}"
    stated = (data.cap, data.window_days, data.ratio_limit, data.ratio_window_days)
    in_force = (policy.cap, policy.window.days, policy.ratio, policy.ratio_window.days)
    if stated != in_force:
        yield f"states limits {stated}, in force are {in_force}"
