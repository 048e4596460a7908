"""Builders for notices, recipients and ledgers; each says only what its test is about."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID, uuid4

from coterie_chassis.decisions import Cause
from coterie_contracts.notification import Channel, NotificationClass
from coterie_notifications.domain.decision import Decision
from coterie_notifications.domain.guard import decide
from coterie_notifications.domain.ledger import Ledger
from coterie_notifications.domain.notice import (
    Notice,
    OfferFacts,
    Recipient,
    Relation,
)
from coterie_notifications.domain.policy import GuardPolicy
from coterie_notifications.domain.quiet_hours import QuietHours, zone_of

COMMUNITY_ID = UUID("11111111-1111-4111-8111-111111111111")
MEMBER_ID = UUID("22222222-2222-4222-8222-222222222222")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NIGHT = QuietHours(time(21), time(8))
ALL_CHANNELS = (Channel.INBOX, Channel.EMAIL, Channel.WEBHOOK)

OFFER = NotificationClass.OFFER
PERSONAL = NotificationClass.PERSONAL
COMMUNITY = NotificationClass.COMMUNITY
ACCOUNT = NotificationClass.ACCOUNT


def notice(kind: NotificationClass, at: datetime, **fields: Any) -> Notice:
    cause_id = fields.pop("cause_id", None) or uuid4()
    extra = {key: fields.pop(key) for key in ("clock", "replayed") if key in fields}
    return Notice(
        cause=Cause(
            id=cause_id,
            actor="system",
            at=at,
            recorded_at=at,
            correlation_id=cause_id,
            community_id=COMMUNITY_ID,
            **extra,
        ),
        cause_id=cause_id,
        community_id=COMMUNITY_ID,
        recipient_id=fields.pop("recipient_id", MEMBER_ID),
        person_id=None,
        notification_class=kind,
        template=fields.pop("template", str(kind)),
        **fields,
    )


def recipient(relation: Relation = Relation.ACTIVE, **fields: Any) -> Recipient:
    zone = zone_of(fields.pop("time_zone", "Europe/Berlin"), "Europe/Berlin")
    offers = OfferFacts(**{"member_since": LONG_AGO, **fields.pop("offers", {})})
    quiet = fields.pop("quiet", NIGHT)
    return Recipient(relation=relation, zone=zone, quiet=quiet, offers=offers, **fields)


def put(
    ledger: Ledger,
    wanted: Notice,
    who: Recipient | None = None,
    policy: GuardPolicy | None = None,
    *,
    channels: tuple[Channel, ...] = ALL_CHANNELS,
) -> tuple[Ledger, Decision]:
    """The decision, and the ledger after it."""
    decision = decide(
        wanted, who or recipient(), ledger, policy or GuardPolicy(), channels=channels
    )
    if decision.sent and wanted.notification_class is not ACCOUNT:
        ledger = ledger.with_entry(decision.entry())
    return ledger, decision


def ledger_of(*wanted: Notice, policy: GuardPolicy | None = None) -> Ledger:
    """A ledger in which all of `wanted` were sent."""
    ledger = Ledger(MEMBER_ID)
    for one in wanted:
        ledger, decision = put(ledger, one, policy=policy)
        assert decision.sent, decision.answers
    return ledger
