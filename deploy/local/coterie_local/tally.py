"""Where everything stands, counted from the Kafka log alone.

Each thing's state is that of its last change, by the sequence in the events. So the counts are the
log's own and can be held against what the services answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table

from coterie_contracts import feedback, member, notification, reward
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody, Ledgered, Seated, as_written
from coterie_contracts.topics import TOPICS
from coterie_local.audit.facts import Log
from coterie_local.log import Record
from coterie_notifications.domain.brief import why_withheld

__all__ = ["Tally", "tally"]

B = TypeVar("B", bound=EventBody)
Balances: TypeAlias = dict[str, int | str]

_RANKS: Final = {topic.name: rank for rank, topic in enumerate(TOPICS)}
_NARROW: Final = 39
_WIDE: Final = 79
_APPLICATIONS: Final = (member.ApplicationFacts, member.SeatOffered, member.SeatLapsed)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts by state or reason; `budgets` in minor units by budget and balance.

    `turns` counts what happened on the way and shows in no last state.
    """

    seats: dict[str, int]
    applications: dict[str, int]
    feedback: dict[str, int]
    look_agains: dict[str, int]
    rewards: dict[str, int]
    turns: dict[str, int]
    budgets: dict[str, Balances]
    sent: dict[str, int]
    withheld: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def render(self) -> RenderableType:
        """A small table for each kind of thing, side by side where there is room."""
        kinds: tuple[tuple[str, Mapping[str, int | str]], ...] = (
            ("Seats", self.seats),
            ("Applications", self.applications),
            ("Suggestions", self.feedback),
            ("Look-agains", self.look_agains),
            ("Rewards", self.rewards),
            ("On the way", self.turns),
            *((f"Budget{name}", _in_words(kept)) for name, kept in _named(self.budgets)),
            ("Notifications sent", self.sent),
        )
        withheld = {_withheld_in_words(name): count for name, count in self.withheld.items()}
        return Group(
            Columns([_table(title, counts) for title, counts in kinds if counts]),
            *(
                [_table("Notifications withheld, and why", withheld, width=_WIDE)]
                if withheld
                else []
            ),
        )


def tally(records: Iterable[Record]) -> Tally:
    """Count where everything in a log stands. Sorted by name within each kind."""
    log = Log(records)
    withheld = Counter(
        f"{event.data.notification_class.value}: {event.data.reason.value}"
        for event in log.of(notification.NotificationSuppressed)
    )
    return Tally(
        seats=_seats(log),
        applications=_applications(log),
        feedback=_counts(_state(one) for one in _last(log.of(feedback.FeedbackFacts))),
        look_agains=_counts(_state(one) for one in _last(log.of(feedback.LookAgainFacts))),
        rewards=_counts(_state(one) for one in _last(log.of(reward.RewardFacts))),
        turns=_turns(log),
        budgets=_budgets(log),
        sent=_counts(
            event.data.notification_class.value for event in log.of(notification.NotificationSent)
        ),
        withheld=dict(sorted(withheld.items())),
    )


def _seats(log: Log) -> dict[str, int]:
    newest: dict[UUID | None, Event[Seated]] = {}
    for event in log.of(Seated):
        known = newest.get(event.community_id)
        if known is None or known.data.seat_sequence < event.data.seat_sequence:
            newest[event.community_id] = event
    return {
        "capacity": sum(event.data.capacity for event in newest.values()),
        "held": sum(event.data.seats_held for event in newest.values()),
    }


def _applications(log: Log) -> dict[str, int]:
    admitted = {event.data.application_id for event in log.of(member.MemberAdmitted)}
    events = [e for e in log.of(EventBody) if isinstance(e.data, _APPLICATIONS)]
    return _counts(
        "admitted" if event.subject in admitted else _application_state(event.data)
        for event in _last(events)
    )


def _application_state(data: EventBody) -> str:
    if isinstance(data, member.SeatOffered):
        return "offered"
    if isinstance(data, member.SeatLapsed):
        return "lapsed" if data.final else "waitlisted"
    return data.topic.partition(".")[2]


def _turns(log: Log) -> dict[str, int]:
    via = Counter(event.data.via for event in log.of(member.MemberAdmitted))
    deciders = Counter(
        event.data.approved_by.partition(":")[0] for event in log.of(reward.RewardApproved)
    )
    held = Counter(event.data.reason for event in log.of(reward.RewardHeld))
    return {
        "seat offers accepted": via[member.Admission.SEAT_OFFER],
        "seat offers lapsed": len(log.of(member.SeatLapsed)),
        "rounds reopened": len(log.of(feedback.FeedbackReopened)),
        "rewards approved by hand": deciders["person"],
        "rewards approved by policy": deciders["policy"],
        "rewards held: no budget": held[reward.HeldFor.BUDGET],
    }


def _budgets(log: Log) -> dict[str, Balances]:
    newest: dict[UUID, Event[Ledgered]] = {}
    for event in log.of(Ledgered):
        if (budget := event.data.budget_id) is not None:
            known = newest.get(budget)
            if known is None or _entry(known) < _entry(event):
                newest[budget] = event
    return {
        str(budget): {
            "currency": event.data.currency,
            "funded": event.data.funded_minor or 0,
            "reserved": event.data.reserved_minor or 0,
            "spent": event.data.spent_minor or 0,
        }
        for budget, event in sorted(newest.items())
    }


def _entry(event: Event[Ledgered]) -> int:
    return event.data.ledger_sequence or 0


def _last(events: Iterable[Event[B]]) -> Iterator[Event[B]]:
    """Each aggregate's last event; of one change, the last in the table of topics."""
    newest: dict[UUID, Event[B]] = {}
    for event in sorted(events, key=lambda e: (e.sequence or 0, _RANKS[e.topic], e.id)):
        newest[event.subject] = event
    yield from newest.values()


def _state(event: Event[EventBody]) -> str:
    if isinstance(event.data, reward.RewardHeld):
        return f"held ({event.data.reason.value})"
    if isinstance(event.data, feedback.FeedbackImplemented):
        return "looking again"
    if isinstance(event.data, feedback.LookAgainAnswered):
        return "satisfied" if event.data.satisfied else "unsatisfied"
    return event.topic.partition(".")[2]


def _counts(states: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(states).items()))


def _named(budgets: Mapping[str, Balances]) -> Iterator[tuple[str, Balances]]:
    """Budgets by what tells them apart, which one alone does not need."""
    for budget_id, balances in budgets.items():
        yield (f" {budget_id[:6]}" if len(budgets) > 1 else ""), balances


def _in_words(balances: Balances) -> dict[str, str]:
    currency = str(balances["currency"])
    minor = {name: value for name, value in balances.items() if isinstance(value, int)}
    minor["left"] = minor["funded"] - minor["reserved"] - minor["spent"]
    return {name: f"{as_written(value, currency)} {currency}" for name, value in minor.items()}


def _withheld_in_words(name: str) -> str:
    notification_class, _, reason = name.partition(": ")
    return f"{notification_class}: {why_withheld(reason)}"


def _table(title: str, counts: Mapping[str, int | str], *, width: int = _NARROW) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, width=width)
    table.add_column("what", ratio=1)
    table.add_column("count", justify="right")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}" if isinstance(count, int) else count)
    return table
