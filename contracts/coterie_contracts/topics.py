"""Every topic, one row each: who owns it, who listens and in which lane, how it is kept.

A test holds the declared consumers to the real ones. The partition count is fixed when a topic
is created, because the key of an aggregate must stay on its partition.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from coterie_contracts import community, feedback, member, notification, reward
from coterie_contracts.model import EventBody

__all__ = ["BODIES", "TOPICS", "Lane", "Topic", "consumed_by", "topic_of"]

PARTITIONS: Final = 12

MEMBERSHIP: Final = "membership"
FEEDBACK: Final = "feedback"
RECOGNITION: Final = "recognition"
NOTIFICATIONS: Final = "notifications"


class Lane(StrEnum):
    """A consumer group of its own per service, so that a firehose never delays the rest."""

    PROMPT = "prompt"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Topic:
    """`retention_ms` of -1 keeps records for ever. A compacted topic keeps the last of each key.

    `earlier` are older versions of the event, published beside `body` until their sunset.
    """

    body: type[EventBody]
    owner: str
    consumers: tuple[str, ...]
    lane: Lane = Lane.PROMPT
    partitions: int = PARTITIONS
    retention_ms: int = -1
    compacted: bool = False
    earlier: tuple[type[EventBody], ...] = ()

    @property
    def name(self) -> str:
        return self.body.topic

    @property
    def key(self) -> str:
        """The field of the data that is the partition key, or how to derive it from the data."""
        return self.body.key

    @property
    def bodies(self) -> tuple[type[EventBody], ...]:
        """Every version that is published, the current one first."""
        return (self.body, *self.earlier)

    @property
    def config(self) -> dict[str, str]:
        """How the topic is kept, in Kafka's own words."""
        return {
            "retention.ms": str(self.retention_ms),
            "cleanup.policy": "compact" if self.compacted else "delete",
        }


def _membership(body: type[EventBody], *consumers: str, compacted: bool = False) -> Topic:
    return Topic(body, MEMBERSHIP, consumers, compacted=compacted)


def _feedback(body: type[EventBody], *consumers: str, lane: Lane = Lane.PROMPT) -> Topic:
    return Topic(body, FEEDBACK, consumers, lane)


def _recognition(body: type[EventBody], *consumers: str) -> Topic:
    return Topic(body, RECOGNITION, consumers)


def _notifications(body: type[EventBody], *consumers: str) -> Topic:
    return Topic(body, NOTIFICATIONS, consumers)


_COPIES: Final = (FEEDBACK, RECOGNITION, NOTIFICATIONS)

TOPICS: Final[tuple[Topic, ...]] = (
    _membership(community.CommunityOpened, *_COPIES),
    _membership(community.CommunityChanged, *_COPIES),
    _membership(community.CapacityChanged, NOTIFICATIONS),
    _membership(community.ClockAdvanced, *_COPIES),
    _membership(community.AdmissionPolicyChanged),
    _membership(member.ApplicationSubmitted, NOTIFICATIONS),
    _membership(member.ApplicationJudged),
    _membership(member.ApplicationDeclined, NOTIFICATIONS),
    _membership(member.ApplicationWaitlisted, NOTIFICATIONS),
    _membership(member.ApplicationWithdrawn, NOTIFICATIONS),
    _membership(member.SeatOffered, NOTIFICATIONS),
    _membership(member.SeatLapsed, NOTIFICATIONS),
    _membership(member.MemberAdmitted, *_COPIES),
    _membership(member.MemberSuspended, *_COPIES),
    _membership(member.MemberReinstated, *_COPIES),
    _membership(member.MemberLeft, *_COPIES),
    _membership(member.MemberReleased, *_COPIES),
    _membership(member.MemberRemoved, *_COPIES),
    _membership(member.MemberErased, *_COPIES),
    _membership(member.MemberContact, NOTIFICATIONS, compacted=True),
    _membership(member.InvitationIssued, NOTIFICATIONS),
    _membership(member.InvitationRedeemed, NOTIFICATIONS),
    _membership(member.InvitationExpired, NOTIFICATIONS),
    _membership(member.InvitationRevoked, NOTIFICATIONS),
    _feedback(feedback.FeedbackSubmitted, RECOGNITION, NOTIFICATIONS),
    _feedback(feedback.FeedbackAccepted, NOTIFICATIONS),
    _feedback(feedback.FeedbackPlanned, NOTIFICATIONS),
    _feedback(feedback.FeedbackDeclined, NOTIFICATIONS),
    _feedback(feedback.FeedbackWithdrawn, RECOGNITION, NOTIFICATIONS),
    _feedback(feedback.FeedbackMerged, NOTIFICATIONS),
    _feedback(feedback.FeedbackUnmerged),
    _feedback(feedback.FeedbackSupported, NOTIFICATIONS, lane=Lane.BULK),
    _feedback(feedback.FeedbackUnsupported, lane=Lane.BULK),
    _feedback(feedback.FeedbackImplemented, RECOGNITION),
    _feedback(feedback.FeedbackVerified, RECOGNITION, NOTIFICATIONS),
    _feedback(feedback.FeedbackReopened, RECOGNITION),
    _feedback(feedback.FeedbackUnconfirmed, RECOGNITION),
    _feedback(feedback.CommentPosted, NOTIFICATIONS, lane=Lane.BULK),
    _feedback(feedback.ContributionRated, RECOGNITION, NOTIFICATIONS, lane=Lane.BULK),
    _feedback(feedback.ContributionAppreciated, RECOGNITION, lane=Lane.BULK),
    _feedback(feedback.LookAgainRequested, NOTIFICATIONS),
    _feedback(feedback.LookAgainAnswered, RECOGNITION, NOTIFICATIONS),
    _feedback(feedback.LookAgainLapsed, NOTIFICATIONS),
    _feedback(feedback.CampaignLaunched, NOTIFICATIONS),
    _feedback(feedback.CampaignClosed),
    _recognition(reward.MeritChanged),
    _recognition(reward.BadgeAwarded, NOTIFICATIONS),
    _recognition(reward.BadgeRevoked),
    _recognition(reward.RewardProposed, NOTIFICATIONS),
    _recognition(reward.RewardHeld, NOTIFICATIONS),
    _recognition(reward.RewardApproved, NOTIFICATIONS),
    _recognition(reward.RewardRejected, NOTIFICATIONS),
    _recognition(reward.RewardIssued, NOTIFICATIONS),
    _recognition(reward.RewardDelivered),
    _recognition(reward.RewardFailed),
    _recognition(reward.RewardAbandoned),
    _recognition(reward.RewardReversed),
    _recognition(reward.RewardIrreversible),
    _recognition(reward.RewardExpired, NOTIFICATIONS),
    _recognition(reward.BudgetFunded),
    _recognition(reward.BudgetExhausted, NOTIFICATIONS),
    _recognition(reward.RewardPolicyChanged),
    _notifications(notification.NotificationSent),
    _notifications(notification.NotificationDeferred),
    _notifications(notification.NotificationSuppressed),
    _notifications(notification.NotificationDigested),
    _notifications(notification.NotificationFailed),
    _notifications(notification.NotificationMarked),
    _notifications(notification.OfferPublished),
    _notifications(notification.PreferenceChanged),
    _notifications(notification.GuardPolicyChanged),
)

BODIES: Final[dict[str, type[EventBody]]] = {
    body.event_type(): body for topic in TOPICS for body in topic.bodies
}


def topic_of(body: type[EventBody]) -> Topic:
    """The row of an event's topic; `KeyError` where the event is not declared."""
    return _BY_NAME[body.topic]


def consumed_by(service: str) -> tuple[Topic, ...]:
    """The topics that `service` listens to, in the order of this table."""
    return tuple(topic for topic in TOPICS if service in topic.consumers)


_BY_NAME: Final = {topic.name: topic for topic in TOPICS}
