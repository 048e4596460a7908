"""A budget's double-entry ledger: every entry takes an amount from one account to another.

An entry has one debit and one credit of the same amount, so it balances by its shape; nothing is
changed afterwards, a correction is a new entry. Reserved and spent together never exceed what was
funded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft, Refusal
from coterie_contracts.reward import BudgetExhausted, BudgetFunded

__all__ = ["Account", "Budget", "Entry", "Move", "is_low"]

_LOW_SHARE: Final = 5  # warn at 20 %


class Account(StrEnum):
    FUNDED = "funded"
    AVAILABLE = "available"
    RESERVED = "reserved"
    SPENT = "spent"


class Move(StrEnum):
    """What an entry does; `RETURN` is the correction of what was spent."""

    FUND = "fund"
    RESERVE = "reserve"
    SPEND = "spend"
    RELEASE = "release"
    RETURN = "return"

    @property
    def legs(self) -> tuple[Account, Account]:
        """The accounts that the amount leaves and reaches."""
        return _LEGS[self]


_LEGS: Final = {
    Move.FUND: (Account.FUNDED, Account.AVAILABLE),
    Move.RESERVE: (Account.AVAILABLE, Account.RESERVED),
    Move.SPEND: (Account.RESERVED, Account.SPENT),
    Move.RELEASE: (Account.RESERVED, Account.AVAILABLE),
    Move.RETURN: (Account.SPENT, Account.AVAILABLE),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger; balances are those after it, in minor units.

    `cause_id` is the decision or event that moved the amount.
    """

    budget_id: UUID
    ledger_sequence: int
    community_id: UUID
    move: Move
    amount_minor: int
    reward_id: UUID | None
    actor: str
    at: datetime
    funded_minor: int
    reserved_minor: int
    spent_minor: int
    cause_id: UUID


@dataclass(slots=True, kw_only=True)
class Budget:
    """A budget at hand while its row is locked; amounts are minor units of `currency`.

    `sequence` counts its published changes. `told_exhausted` until it is funded again.
    """

    budget_id: UUID
    community_id: UUID
    name: str
    currency: str
    funded: int = 0
    reserved: int = 0
    spent: int = 0
    ledger_sequence: int = 0
    sequence: int = 0
    version: int = 1
    told_exhausted: bool = False
    entries: list[Entry] = field(default_factory=list)
    changed_by: UUID | None = None

    @property
    def available(self) -> int:
        return self.funded - self.reserved - self.spent

    def move(self, move: Move, amount: int, reward_id: UUID | None, cause: Cause) -> Entry:
        """Enter `amount`; raises `Refusal` where an account would fall below nothing."""
        balances = {
            Account.AVAILABLE: self.available,
            Account.RESERVED: self.reserved,
            Account.SPENT: self.spent,
        }
        source, target = move.legs
        if amount <= 0:
            raise Refusal("amount-not-positive", "An entry moves a positive amount.", status=422)
        if source is not Account.FUNDED and balances[source] < amount:
            raise Refusal("budget-too-low", f"This budget has less than that {source.value}.")
        if source is Account.FUNDED:
            self.funded += amount
        self.reserved += amount * ((target is Account.RESERVED) - (source is Account.RESERVED))
        self.spent += amount * ((target is Account.SPENT) - (source is Account.SPENT))
        self.ledger_sequence += 1
        entry = Entry(
            self.budget_id,
            self.ledger_sequence,
            self.community_id,
            move,
            amount,
            reward_id,
            cause.actor,
            cause.at,
            self.funded,
            self.reserved,
            self.spent,
            cause.id,
        )
        self.entries.append(entry)
        return entry

    def fund(self, amount: int, cause: Cause) -> Draft:
        """Put money in; managers hear of the next shortage again."""
        entry = self.move(Move.FUND, amount, None, cause)
        self.told_exhausted = False
        body = BudgetFunded(
            budget_id=self.budget_id,
            community_id=self.community_id,
            ledger_sequence=entry.ledger_sequence,
            amount_minor=amount,
            currency=self.currency,
            funded_minor=entry.funded_minor,
            reserved_minor=entry.reserved_minor,
            spent_minor=entry.spent_minor,
        )
        return Draft(self.budget_id, body, self.numbered(cause))

    def tell_exhausted(self, cause: Cause) -> Draft | None:
        """The news that a reward has to wait for money, once until it is funded again."""
        if self.told_exhausted:
            return None
        self.told_exhausted = True
        body = BudgetExhausted(
            budget_id=self.budget_id,
            community_id=self.community_id,
            available_minor=self.available,
            currency=self.currency,
        )
        return Draft(self.budget_id, body, self.numbered(cause))

    def numbered(self, cause: Cause) -> int:
        """The number of the change that `cause` makes; events of one change share it."""
        if self.changed_by != cause.id:
            self.changed_by = cause.id
            self.sequence += 1
        return self.sequence


def is_low(funded: int, available: int) -> bool:
    """Whether managers are warned: a fifth or less of what was funded is left."""
    return funded > 0 and available * _LOW_SHARE <= funded
