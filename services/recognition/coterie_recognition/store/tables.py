"""The tables of recognition. Facts are rows by their own identity, so any order ends alike.

The database holds what must never be broken: a budget is never overdrawn, a ledger entry never
changes and always balances, a gift code never moves from one reward to another.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata: Final = MetaData()
_moment = DateTime(timezone=True)

rating: Final = Table(
    "rating",
    metadata,
    Column("contribution_id", Uuid, primary_key=True),
    Column("rater_id", Uuid, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("value", Double, nullable=False),
    Column("rated_at", _moment, nullable=False),
    Column("contributed_at", _moment, nullable=False),
    Index("rating_of_season", "community_id", "contributed_at"),
    Index("rating_of_rater", "rater_id"),
)

appreciation: Final = Table(
    "appreciation",
    metadata,
    Column("contribution_id", Uuid, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("appreciated", Boolean, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", _moment, nullable=False),
    Column("contributed_at", _moment, nullable=False),
    Index("appreciation_of_season", "community_id", "contributed_at"),
)

outcome: Final = Table(
    "outcome",
    metadata,
    Column("implementation_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("feedback_id", Uuid, nullable=False),
    Column("round", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", _moment, nullable=False),
    Column("members", ARRAY(Uuid), nullable=False, comment="author and authors of duplicates"),
    Column("label", Text, comment="staff's name for it; of implementations"),
    Index("outcome_of_community", "community_id", "at"),
    Index("outcome_of_feedback", "feedback_id"),
)

merit_dirty: Final = Table(
    "merit_dirty",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("at", _moment, nullable=False, comment="an instant of the season to read again"),
    Index("merit_dirty_of_community", "community_id"),
)

merit_season: Final = Table(
    "merit_season",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("season", Text, primary_key=True),
    Column("members", Integer, nullable=False, comment="frozen when the season closed"),
    Column(
        "member_ids",
        ARRAY(Uuid),
        nullable=False,
        server_default="{}",
        comment="the same, without the erased",
    ),
    Column("closed", Boolean, nullable=False),
)

merit_standing: Final = Table(
    "merit_standing",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("season", Text, primary_key=True),
    Column("member_id", Uuid, primary_key=True),
    Column("hundredths", Integer, nullable=False),
    Column("band", Text),
    Column("provisional", Boolean, nullable=False),
    Column("outcomes", Integer, nullable=False),
    Column("raters", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint("hundredths BETWEEN 0 AND 100", name="merit_is_a_share"),
)

badge: Final = Table(
    "badge",
    metadata,
    Column("badge_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("badge", Text, nullable=False),
    Column("season", Text),
    Column("held", Boolean, nullable=False),
    Column("changed_at", _moment, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Index("badge_of_member", "member_id"),
)

badge_evidence: Final = Table(
    "badge_evidence",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("badge", Text, primary_key=True),
    Column("source_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("stands", Boolean, nullable=False),
)

catalogue_item: Final = Table(
    "catalogue_item",
    metadata,
    Column("item_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("spec", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("catalogue_item_of_community", "community_id"),
)

reward_policy: Final = Table(
    "reward_policy",
    metadata,
    Column("policy_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("when", Text, nullable=False),
    Column("beneficiary", Text, nullable=False),
    Column("item_id", Uuid, nullable=False),
    Column("budget_id", Uuid),
    Column("objective_id", Uuid),
    Column("also_unconfirmed", Boolean, nullable=False),
    Column("cap_rewards", Integer, nullable=False),
    Column("cap_minor", BigInteger, nullable=False),
    Column("cooldown_days", Integer, nullable=False),
    Column("auto_approve_up_to", BigInteger),
    Column("active", Boolean, nullable=False),
    Column("awaits_funding", Boolean, nullable=False),
    Index("reward_policy_of_community", "community_id"),
)

reward_desk: Final = Table(
    "reward_desk",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("live_since", _moment, comment="when the driven clock ended: what was open began anew"),
)

budget: Final = Table(
    "budget",
    metadata,
    Column("budget_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("funded", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("ledger_sequence", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("told_exhausted", Boolean, nullable=False),
    Index("budget_of_community", "community_id"),
    CheckConstraint("reserved >= 0 AND spent >= 0", name="budget_accounts_are_not_negative"),
    CheckConstraint("reserved + spent <= funded", name="budget_is_never_overdrawn"),
)

ledger_entry: Final = Table(
    "ledger_entry",
    metadata,
    Column("budget_id", Uuid, primary_key=True),
    Column("ledger_sequence", BigInteger, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("move", Text, nullable=False),
    Column("credited", Text, nullable=False, comment="the account that the amount leaves"),
    Column("debited", Text, nullable=False, comment="the account that it reaches"),
    Column("amount_minor", BigInteger, nullable=False),
    Column("reward_id", Uuid),
    Column("actor", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("funded_minor", BigInteger, nullable=False),
    Column("reserved_minor", BigInteger, nullable=False),
    Column("spent_minor", BigInteger, nullable=False),
    Column("cause_id", Uuid, comment="what moved it; null: entered before that was kept"),
    Index(
        "ledger_is_funded_once_by_a_decision",
        "budget_id",
        "cause_id",
        unique=True,
        postgresql_where=text("move = 'fund'"),
    ),
    CheckConstraint("credited <> debited AND amount_minor > 0", name="ledger_entry_balances"),
    CheckConstraint(
        "reserved_minor >= 0 AND spent_minor >= 0 AND reserved_minor + spent_minor <= funded_minor",
        name="ledger_is_never_overdrawn",
    ),
)

code_pool: Final = Table(
    "code_pool",
    metadata,
    Column("pool_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("free", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Index("code_pool_of_community", "community_id"),
    CheckConstraint("free >= 0 AND free <= total", name="code_pool_is_never_overdrawn"),
)

gift_code: Final = Table(
    "gift_code",
    metadata,
    Column("code_id", Uuid, primary_key=True),
    Column("pool_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, comment="nonce and AES-GCM ciphertext; null: wiped"),
    Column("fingerprint", LargeBinary, nullable=False, comment="keyed hash: no code twice"),
    Column("reward_id", Uuid, comment="for ever"),
    UniqueConstraint("reward_id", name="gift_code_of_one_reward"),
    UniqueConstraint("community_id", "fingerprint", name="gift_code_is_there_once"),
    Index(
        "gift_code_free",
        "pool_id",
        "code_id",
        postgresql_where=text("reward_id IS NULL"),
    ),
)

reward: Final = Table(
    "reward",
    metadata,
    Column("reward_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("feedback_id", Uuid),
    Column("cause_id", Uuid, nullable=False),
    Column("policy_id", Uuid, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("item_id", Uuid, nullable=False),
    Column("item_kind", Text, nullable=False),
    Column("item_name", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("budget_id", Uuid),
    Column("pool_id", Uuid),
    Column("status", Text, nullable=False),
    Column("needs_approval", Boolean, nullable=False),
    Column("proposed_at", _moment, nullable=False),
    Column("held_for", Text),
    Column("held_since", _moment),
    Column("retry_at", _moment),
    Column("queued_at", _moment),
    Column("overdue", Boolean, nullable=False),
    Column("decided_by", Text),
    Column("approved_at", _moment),
    Column("issued_at", _moment),
    Column("attempts", Integer, nullable=False),
    Column("uncertain", Boolean, nullable=False, comment="sent, and the answer is not known"),
    Column("sequence", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("policy_id", "member_id", "cause_id", name="reward_once_per_cause"),
    Index("reward_of_member", "member_id", "proposed_at", "reward_id"),
    Index("reward_of_cause", "cause_id"),
    Index("reward_by_status", "community_id", "status"),
)

reveal: Final = Table(
    "reveal",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("reward_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Index("reveal_of_reward", "reward_id"),
)

waiting_trigger: Final = Table(
    "waiting_trigger",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("waits_for", Uuid, primary_key=True, comment="a member or community not yet heard of"),
    Column("trigger", JSONB, nullable=False),
    Index("waiting_trigger_for", "waits_for"),
)
