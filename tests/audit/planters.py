"""One planted violation per rule of the audit, on any clean log that has the facts for it.

Each planter breaks its own rule and no other, so that a test can ask for exactly that finding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Final
from uuid import UUID

from coterie_contracts.feedback import FeedbackAccepted, FeedbackSubmitted, LookAgainRequested
from coterie_contracts.member import MemberAdmitted
from coterie_contracts.model import EventBody, Ledgered, Seated, utc
from coterie_contracts.notification import NotificationClass, NotificationSent
from coterie_contracts.reward import RewardApproved, RewardProposed
from coterie_local.audit.facts import Fact, Log
from coterie_local.audit.histories import Histories, Policy, is_offer
from coterie_local.log import Record

from .forgery import (
    Planted,
    appended,
    changed,
    event_id_at,
    facts_of,
    fresh,
    last,
    lone_change,
    reissued,
    swapped,
)

Records = Sequence[Record]


def plant_partitions(records: Records) -> Planted:
    """The broker forgot a partition's first record."""
    fact = facts_of(records, FeedbackSubmitted)[0]
    place = (fact.record.topic, fact.record.partition)
    begins = min(
        (record for record in records if (record.topic, record.partition) == place),
        key=lambda record: record.offset,
    )
    shifted = [
        replace(record, offset=record.offset + 1)
        if (record.topic, record.partition) == place
        else record
        for record in records
    ]
    first = next(one for one in Log(records).facts if one.record == begins)
    return Planted(shifted, first.event.id)


def plant_readable(records: Records) -> Planted:
    """A service wrote data that fits no model."""
    fact = facts_of(records, FeedbackSubmitted)[-1]
    planted = reissued(records, fact, fresh("unreadable"))
    broken = replace(planted.records[-1], value=b'{"feedback_id": 7}')
    return Planted([*planted.records[:-1], broken], planted.event_id)


def plant_aggregate_sequence(records: Records) -> Planted:
    """An aggregate's last change counts one too far."""
    fact = lone_change(records, at_end=True)
    skipped = {"ce_sequence": str((fact.event.sequence or 0) + 1)}
    return Planted(swapped(records, fact.record, changed(fact.record, skipped)), fact.event.id)


def plant_seat_sequence(records: Records) -> Planted:
    """A community's last seat event counts one too far."""
    fact = _last_seated(records)
    number = fact.event.data.seat_sequence + 1
    return _edited(records, fact, seat_sequence=number)


def plant_ledger_sequence(records: Records) -> Planted:
    """A budget's last entry counts one too far."""
    fact = _last_entry(records)
    number = fact.event.data.ledger_sequence + 1
    return _edited(records, fact, ledger_sequence=number)


def plant_recipient_sequence(records: Records) -> Planted:
    """The last message to somebody counts one too far."""
    fact = last(facts_of(records, NotificationSent), lambda data: data.recipient_sequence or 0)
    number = (fact.event.data.recipient_sequence or 0) + 1
    return _edited(records, fact, recipient_sequence=number)


def plant_event_identity(records: Records) -> Planted:
    """One id is published a second time, as something that happened a second later."""
    fact = facts_of(records, FeedbackSubmitted)[0]
    moved = {"ce_time": utc(fact.event.time + timedelta(seconds=1))}
    return Planted(appended(records, changed(fact.record, moved)), fact.event.id)


def plant_causation(records: Records) -> Planted:
    """An event names as its cause an event that was never published."""
    fact = lone_change(records)
    unseen = {"ce_causationid": str(event_id_at(fact.event.recorded_time))}
    return Planted(swapped(records, fact.record, changed(fact.record, unseen)), fact.event.id)


def plant_personal_data(records: Records) -> Planted:
    """Staff wrote a member's address into a label."""
    fact = facts_of(records, FeedbackAccepted)[0]
    return _edited(records, fact, label="Call ana@example.org about it")


def plant_seat_capacity(records: Records) -> Planted:
    """Members are admitted until one takes a seat that is not there."""
    full = _last_seated(records).event
    newest = full.data
    template = next(
        fact
        for fact in facts_of(records, MemberAdmitted)
        if fact.event.community_id == full.community_id
    )
    planted = Planted(list(records), template.event.id)
    for taken in range(max(newest.capacity - newest.seats_held, 0) + 1):
        subject = fresh("member", taken)
        planted = reissued(
            planted.records,
            template,
            subject,
            member_id=subject,
            person_id=fresh("person", taken),
            application_id=fresh("application", taken),
            via="application",
            capacity=newest.capacity,
            seat_sequence=newest.seat_sequence + taken + 1,
            seats_held=newest.seats_held + taken + 1,
        )
    return planted


def plant_seats_held(records: Records) -> Planted:
    """A community's last seat event states a seat more than is held."""
    fact = _last_seated(records)
    stated = fact.event.data.seats_held + 1
    return _edited(records, fact, seats_held=stated)


def plant_look_again_once(records: Records) -> Planted:
    """A member is asked a second time about one implementation."""
    fact = facts_of(records, LookAgainRequested)[-1]
    subject = fresh("look-again")
    return reissued(records, fact, subject, look_again_id=subject)


def plant_reward_once(records: Records) -> Planted:
    """A second reward is proposed to a member for one cause under one policy."""
    fact = facts_of(records, RewardProposed)[-1]
    subject = fresh("reward")
    return reissued(records, fact, subject, reward_id=subject)


def plant_budget_cover(records: Records) -> Planted:
    """A reward is approved for one minor unit more than the budget has left."""
    newest = _last_entry(records).event.data
    assert newest.funded_minor is not None
    assert newest.reserved_minor is not None
    assert newest.spent_minor is not None
    assert newest.ledger_sequence is not None
    amount = newest.funded_minor - newest.reserved_minor - newest.spent_minor + 1
    subject = fresh("reward")
    return reissued(
        records,
        facts_of(records, RewardApproved)[-1],
        subject,
        reward_id=subject,
        cause_id=fresh("cause"),
        budget_id=newest.budget_id,
        currency=newest.currency,
        ledger_sequence=newest.ledger_sequence + 1,
        amount_minor=amount,
        funded_minor=newest.funded_minor,
        reserved_minor=newest.reserved_minor + amount,
        spent_minor=newest.spent_minor,
    )


def plant_budget_balances(records: Records) -> Planted:
    """A budget's last entry states a minor unit more reserved than is."""
    fact = _last_entry(records)
    stated = fact.event.data.reserved_minor + 1
    return _edited(records, fact, reserved_minor=stated)


def plant_offer_cap(records: Records) -> Planted:
    """Somebody who hears enough of value is sent one offer more than the cap."""
    template, policy = _offer(records)
    recipient = fresh("recipient")
    value = ceil((policy.cap + 1) / policy.ratio)
    planted = Planted(list(records), template.event.id)
    for number in range(value):
        planted = _told(planted.records, template, recipient, number, "personal")
    for before in range(policy.cap + 1):
        planted = _told(
            planted.records,
            template,
            recipient,
            value + before,
            "offer",
            count_before=before,
            offers_before=before,
            value_count=value,
        )
    return planted


def plant_offer_ratio(records: Records) -> Planted:
    """Somebody who never heard anything of value is sent an offer."""
    template, _ = _offer(records)
    figures = {"count_before": 0, "offers_before": 0, "value_count": 0}
    return _told(records, template, fresh("recipient"), 0, "offer", **figures)


def plant_guard_figures(records: Records) -> Planted:
    """An offer states more value messages than were sent."""
    template, _ = _offer(records)
    stated = (template.event.data.value_count or 0) + 1_000
    return _edited(records, template, value_count=stated)


def plant_notification_once(records: Records) -> Planted:
    """A member is told a second time of one thing."""
    fact = next(
        fact
        for fact in reversed(facts_of(records, NotificationSent))
        if fact.event.data.notification_class is NotificationClass.ACCOUNT
    )
    subject = fresh("notification")
    return reissued(records, fact, subject, notification_id=subject, count_before=None)


PLANTERS: Final[dict[str, Callable[[Records], Planted]]] = {
    "partitions": plant_partitions,
    "readable": plant_readable,
    "aggregate-sequence": plant_aggregate_sequence,
    "seat-sequence": plant_seat_sequence,
    "ledger-sequence": plant_ledger_sequence,
    "recipient-sequence": plant_recipient_sequence,
    "event-identity": plant_event_identity,
    "causation": plant_causation,
    "personal-data": plant_personal_data,
    "seat-capacity": plant_seat_capacity,
    "seats-held": plant_seats_held,
    "look-again-once": plant_look_again_once,
    "reward-once": plant_reward_once,
    "budget-cover": plant_budget_cover,
    "budget-balances": plant_budget_balances,
    "offer-cap": plant_offer_cap,
    "offer-ratio": plant_offer_ratio,
    "guard-figures": plant_guard_figures,
    "notification-once": plant_notification_once,
}


def _edited(records: Records, fact: Fact[EventBody], **data: object) -> Planted:
    return Planted(swapped(records, fact.record, changed(fact.record, **data)), fact.event.id)


def _last_seated(records: Records) -> Fact[Seated]:
    """The last seat event of the community that has the most of them."""
    facts = facts_of(records, Seated)
    return last(facts, lambda data: data.seat_sequence)


def _last_entry(records: Records) -> Fact[Ledgered]:
    facts = [fact for fact in facts_of(records, Ledgered) if fact.event.data.budget_id is not None]
    return last(facts, lambda data: data.ledger_sequence)


def _offer(records: Records) -> tuple[Fact[NotificationSent], Policy]:
    """The last offer sent, and the policy that it was sent under."""
    template = max(
        (fact for fact in facts_of(records, NotificationSent) if is_offer(fact.event)),
        key=lambda fact: fact.event.data.sent_at,
    )
    policy = Histories(Log(records)).policy(template.event)
    assert isinstance(policy, Policy), policy
    return template, policy


def _told(
    records: Records,
    template: Fact[NotificationSent],
    recipient: UUID,
    number: int,
    notification_class: str,
    **figures: int,
) -> Planted:
    """Append message `number` to `recipient`, that many microseconds after `template`."""
    at = template.event.data.sent_at + timedelta(microseconds=number + 1)
    subject = fresh("notification", recipient, number)
    none = dict.fromkeys(("count_before", "offers_before", "value_count"))
    return reissued(
        records,
        template,
        subject,
        at,
        **{
            "notification_id": subject,
            "recipient_id": recipient,
            "person_id": recipient,
            "notification_class": notification_class,
            "counted_as_offer": notification_class == "offer",
            "template": "planted",
            "cause_id": subject,
            "sent_at": utc(at),
            "recipient_sequence": number + 1,
            **none,
            **figures,
        },
    )
