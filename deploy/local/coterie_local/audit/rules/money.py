"""Money, counted anew from the amounts: what was promised and paid is never more than was funded.

A reward's own amount moves from reserved to spent, or back to available; corrections are new
entries, so the balances follow from the entries alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from coterie_contracts.envelope import Event
from coterie_contracts.model import Ledgered
from coterie_contracts.reward import (
    BudgetFunded,
    RewardAbandoned,
    RewardApproved,
    RewardExpired,
    RewardIssued,
    RewardReversed,
)
from coterie_local.audit.facts import Log
from coterie_local.audit.report import Fault

__all__ = ["budgets_cover_what_is_promised", "stated_balances_are_the_derived_ones"]

RewardEntry: TypeAlias = (
    RewardApproved | RewardIssued | RewardAbandoned | RewardReversed | RewardExpired
)


@dataclass(slots=True)
class Ledger:
    """One budget's balances in minor units, and what each reward reserved and spent of it."""

    currency: str
    funded: int = 0
    reserved: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))
    spent: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))

    def apply(self, body: Ledgered) -> str | None:
        """Enter `body`; what is wrong with its amount or currency, if anything."""
        if body.currency != self.currency:
            return f"is in {body.currency}, the budget in {self.currency}"
        if isinstance(body, BudgetFunded):
            self.funded += body.amount_minor
            return None
        if not isinstance(body, RewardEntry):
            return "is no entry that a ledger knows"
        return self._enter(body)

    def _enter(self, body: RewardEntry) -> str | None:
        reward, amount = body.reward_id, body.amount_minor
        if isinstance(body, RewardApproved):
            self.reserved[reward] += amount
            return None
        held = self.reserved if self.reserved[reward] else self.spent
        wrong = (
            f"moves {amount}, the reward holds {held[reward]}" if amount != held[reward] else None
        )
        held[reward] -= amount
        if isinstance(body, RewardIssued):
            self.spent[reward] += amount
        return wrong

    @property
    def balances(self) -> tuple[int, int, int]:
        """Funded, reserved, spent."""
        return self.funded, sum(self.reserved.values()), sum(self.spent.values())


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger event and the balances after it as derived."""

    event: Event[Ledgered]
    wrong: str | None
    funded: int
    reserved: int
    spent: int


def budgets_cover_what_is_promised(log: Log) -> Iterator[Fault | None]:
    """A fact is a ledger entry: reserved and spent together are within what was funded."""
    for entry in _entries(log):
        promised = entry.reserved + entry.spent
        yield (
            Fault(
                entry.event.id,
                f"{entry.event.topic} brings reserved and spent to {promised} "
                f"of {entry.funded} funded",
            )
            if promised > entry.funded
            else None
        )


def stated_balances_are_the_derived_ones(log: Log) -> Iterator[Fault | None]:
    """A fact is an event with an amount: its balances follow from all amounts up to it."""
    for event in log.of(Ledgered):
        if event.data.budget_id is None and event.data.amount_minor > 0:
            yield Fault(event.id, f"{event.topic} moves money of no budget")
    for entry in _entries(log):
        data = entry.event.data
        stated = (data.funded_minor, data.reserved_minor, data.spent_minor)
        derived = (entry.funded, entry.reserved, entry.spent)
        if entry.wrong is not None:
            yield Fault(entry.event.id, f"{entry.event.topic} {entry.wrong}")
        elif stated != derived:
            yield Fault(
                entry.event.id,
                f"{entry.event.topic} states funded, reserved, spent as {stated}, "
                f"derived are {derived}",
            )
        else:
            yield None


def _entries(log: Log) -> Iterator[Entry]:
    """Per budget its entries by `ledger_sequence`."""
    budgets: dict[UUID, list[Event[Ledgered]]] = defaultdict(list)
    for event in log.of(Ledgered):
        if event.data.budget_id is not None:
            budgets[event.data.budget_id].append(event)
    for events in budgets.values():
        events.sort(key=lambda e: (e.data.ledger_sequence or 0, e.recorded_time, e.id))
        ledger = Ledger(events[0].data.currency)
        for event in events:
            wrong = ledger.apply(event.data)
            yield Entry(event, wrong, *ledger.balances)
