"""The table of rules: what the platform promises, each with the function that re-derives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from coterie_local.audit.facts import Log
from coterie_local.audit.report import Fault
from coterie_local.audit.rules import causes, completeness, money, offers, once, privacy, seats

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`check` yields once per fact that it examined: None where the promise holds.

    `completeness`: where it does not hold, the log cannot be judged.
    """

    name: str
    promise: str
    check: Callable[[Log], Iterator[Fault | None]]
    completeness: bool = False


RULES: Final = (
    Rule("partitions", "begin at their first event", completeness.partitions_are_whole, True),
    Rule("readable", "every record of ours is an event", completeness.records_are_readable),
    Rule(
        "aggregate-sequence",
        "each aggregate's changes are all there",
        completeness.aggregate_sequences_are_gapless,
        True,
    ),
    Rule(
        "seat-sequence",
        "each community's seat events are all there",
        completeness.seat_sequences_are_gapless,
        True,
    ),
    Rule(
        "ledger-sequence",
        "each budget's entries are all there",
        completeness.ledger_sequences_are_gapless,
        True,
    ),
    Rule(
        "recipient-sequence",
        "all that a person was told is there",
        completeness.recipient_sequences_are_gapless,
        True,
    ),
    Rule("event-identity", "one id is one event", once.an_id_is_one_event),
    Rule("causation", "every cause was published or is a command", causes.causes_were_seen),
    Rule("personal-data", "only member.contact has any", privacy.events_hold_no_personal_data),
    Rule("seat-capacity", "no seat is taken when full", seats.no_seat_is_taken_when_full),
    Rule("seats-held", "stated seats are the held ones", seats.stated_seats_are_the_held_ones),
    Rule("look-again-once", "one per implementation and member", once.a_member_looks_again_once),
    Rule("reward-once", "one per policy, member and cause", once.a_cause_pays_once),
    Rule(
        "budget-cover",
        "reserved and spent within what was funded",
        money.budgets_cover_what_is_promised,
    ),
    Rule(
        "budget-balances",
        "stated balances are the derived ones",
        money.stated_balances_are_the_derived_ones,
    ),
    Rule("offer-cap", "offers in any window are within the cap", offers.offers_keep_the_cap),
    Rule("offer-ratio", "offers are within the ratio to value", offers.offers_keep_the_ratio),
    Rule(
        "guard-figures", "stated counts are the derived ones", offers.figures_are_the_derived_ones
    ),
    Rule("notification-once", "one per recipient, template and cause", once.a_cause_is_told_once),
)
