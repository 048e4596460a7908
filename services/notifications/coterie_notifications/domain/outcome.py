"""A decision as the event that publishes it, with every figure that an auditor needs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from coterie_chassis.decisions import Draft
from coterie_contracts.notification import (
    Channel,
    NotificationClass,
    NotificationDeferred,
    NotificationSent,
    NotificationSuppressed,
)
from coterie_notifications.domain.decision import Decision, Delivery

__all__ = ["outcome"]


def outcome(decision: Decision, recipient_sequence: int | None) -> list[Draft]:
    """What is published of a decision; all drafts are one change of the notification.

    `recipient_sequence` is that of the ledger's entry; absent for `account`.
    """
    notice = decision.notice
    facts: dict[str, Any] = {
        "notification_id": notice.id,
        "community_id": notice.community_id,
        "recipient_id": notice.recipient_id,
        "person_id": notice.person_id,
        "notification_class": notice.notification_class,
        "template": notice.template,
        "cause_id": notice.cause_id,
        "policy_version": decision.policy_version,
    }
    if not decision.sent:
        return [Draft(notice.id, NotificationSuppressed(reason=decision.reason, **facts), 1)]
    return [
        _delivered(decision, delivery, recipient_sequence, facts)
        for delivery in decision.deliveries
    ]


def _delivered(
    decision: Decision, delivery: Delivery, recipient_sequence: int | None, facts: dict[str, Any]
) -> Draft:
    notice, channel = decision.notice, delivery.channel
    if delivery.not_before is not None:
        waits = NotificationDeferred(channel=channel, not_before=delivery.not_before, **facts)
        return Draft(notice.id, waits, 1, channel.value)
    sent = NotificationSent(
        channel=channel,
        sent_at=notice.at,
        reason=decision.reason,
        time_zone=decision.zone.name,
        counted_as_offer=notice.notification_class is NotificationClass.OFFER,
        recipient_sequence=recipient_sequence,
        **asdict(decision.figures),
        **facts,
    )
    return Draft(notice.id, sent, 1, "" if channel is Channel.INBOX else channel.value)
