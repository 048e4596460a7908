"""The tables of this service; every one that a route reads has its community in it.

What was sent is the ledger: there is no second count that could disagree with it. The tables of
facts keep when each thing began and ended, so that any past instant can be asked about.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()
_moment = DateTime(timezone=True)

notification: Final = Table(
    "notification",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("recipient_id", Uuid, nullable=False, comment="member, person, or community for staff"),
    Column("person_id", Uuid, comment="null: the community's staff"),
    Column("ledger_id", Uuid, comment="null: class account, which is not counted"),
    Column("notification_class", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("cause_id", Uuid, nullable=False),
    Column("about", Uuid),
    Column("priority", SmallInteger, nullable=False),
    Column("state", Text, nullable=False, comment="sent, suppressed"),
    Column("reason", Text, nullable=False),
    Column("channel", Text, comment="null: suppressed"),
    Column("decided_at", _moment, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("answers", JSONB, nullable=False, comment="each guard step with what it said"),
    Column("policy_version", Integer, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("local_day", Date, nullable=False),
    Column("recipient_sequence", BigInteger),
    Column("sequence", Integer, nullable=False, comment="published changes"),
    Column("advert_at", _moment),
    Column("not_useful_at", _moment),
    Column("read_at", _moment),
    UniqueConstraint("recipient_id", "template", "cause_id", name="notification_once"),
    Index(
        "notification_inbox",
        "community_id",
        "person_id",
        "decided_at",
        "id",
        postgresql_where=text("state = 'sent'"),
    ),
    Index(
        "notification_ledger",
        "ledger_id",
        "decided_at",
        postgresql_where=text("state = 'sent' AND ledger_id IS NOT NULL"),
    ),
    Index("notification_decided", "community_id", "decided_at"),
    Index("notification_of_cause", "cause_id"),
    Index(
        "notification_not_useful",
        "recipient_id",
        postgresql_where=text("not_useful_at IS NOT NULL"),
    ),
)

ledger: Final = Table(
    "ledger",
    metadata,
    Column("id", Uuid, primary_key=True, comment="derived from brand and person"),
    Column("sequence", BigInteger, nullable=False, server_default="0"),
)

preference: Final = Table(
    "preference",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("unsubscribed", ARRAY(Text), nullable=False, comment="class/channel"),
    Column("resumed_at", _moment, comment="when offers were turned on again"),
    Column("sequence", Integer, nullable=False),
)

contact: Final = Table(
    "contact",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("email", Text),
    Column("sequence", BigInteger, nullable=False),
)

unsubscribe_key: Final = Table(
    "unsubscribe_key",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
)

guard_policy: Final = Table(
    "guard_policy",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("since", _moment, nullable=False),
    Column("author", Text, nullable=False),
    Column("limits", JSONB, nullable=False),
)

broadcast: Final = Table(
    "broadcast",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False, comment="offer, news, campaign"),
    Column("at", _moment, nullable=False),
    Column("author", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("member_benefit", Text),
    Column("expires_at", _moment),
    Column("audience_size", Integer, nullable=False),
    Column("notice", JSONB, comment="of a campaign, for members who become known later"),
    Index("broadcast_of_community", "community_id", "kind", "at"),
)

pending: Final = Table(
    "pending",
    metadata,
    Column("id", Uuid, primary_key=True, comment="of the notification"),
    Column("waits_for", Uuid, nullable=False, comment="a member or a community not seen yet"),
    Column("community_id", Uuid, nullable=False),
    Column("position", BigInteger, Identity(always=True), nullable=False),
    Column("notice", JSONB, nullable=False),
    Index("pending_waits_for", "waits_for"),
)

standing: Final = Table(
    "standing",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("since", _moment, nullable=False),
    Column("status", Text, nullable=False),
    Index("standing_of_community", "community_id", "member_id"),
)

member_fact: Final = Table(
    "member_fact",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("active_at", _moment),
    Column("bad_news_at", _moment),
    Index("member_fact_of_community", "community_id"),
)

look_again: Final = Table(
    "look_again",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("requested_at", _moment),
    Column("closed_at", _moment),
    Column("due_at", _moment),
    Column("params", JSONB),
    Index("look_again_of_member", "member_id"),
)

seat_count: Final = Table(
    "seat_count",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("seat_sequence", BigInteger, primary_key=True),
    Column("at", _moment, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("held", Integer, nullable=False),
)

application: Final = Table(
    "application",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("person_id", Uuid),
    Column("waitlisted_at", _moment),
    Column("offered_at", _moment),
    Column("offer_expires_at", _moment),
    Column("lapsed_at", _moment),
    Column("ended_at", _moment),
    Index("application_of_community", "community_id"),
)

invitation: Final = Table(
    "invitation",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("issued_at", _moment),
    Column("expires_at", _moment),
    Column("settled_at", _moment, comment="first used, expired or revoked"),
    Index("invitation_of_community", "community_id"),
)

suggestion: Final = Table(
    "suggestion",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("label", Text),
    Column("submitted_at", _moment),
    Column("answered_at", _moment),
    Column("verified_at", _moment),
    Column("verified_by", Text),
    Index("suggestion_of_community", "community_id"),
)

reward_case: Final = Table(
    "reward_case",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("item_name", Text, nullable=False),
    Column("needs_approval", Boolean),
    Column("proposed_at", _moment),
    Column("held_at", _moment),
    Column("settled_at", _moment),
    Index("reward_case_of_community", "community_id"),
)
