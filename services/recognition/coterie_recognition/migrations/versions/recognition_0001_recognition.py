"""Merit, badges, catalogue, policies, budgets with their ledger, gift codes, rewards."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "recognition_0001"
down_revision = None
branch_labels = ("recognition",)
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_merit()
    _create_catalogue()
    _create_money()
    _create_rewards()
    _forbid_rewriting()


def _create_merit() -> None:
    op.create_table(
        "rating",
        sa.Column("contribution_id", sa.Uuid, primary_key=True),
        sa.Column("rater_id", sa.Uuid, primary_key=True),
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("rated_at", MOMENT, nullable=False),
        sa.Column("contributed_at", MOMENT, nullable=False),
    )
    op.create_index("rating_of_season", "rating", ["community_id", "contributed_at"])
    op.create_table(
        "appreciation",
        sa.Column("contribution_id", sa.Uuid, primary_key=True),
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("appreciated", sa.Boolean, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("contributed_at", MOMENT, nullable=False),
    )
    op.create_index("appreciation_of_season", "appreciation", ["community_id", "contributed_at"])
    op.create_table(
        "outcome",
        sa.Column("implementation_id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("feedback_id", sa.Uuid, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column(
            "members",
            postgresql.ARRAY(sa.Uuid),
            nullable=False,
            comment="author and authors of duplicates",
        ),
        sa.Column("label", sa.Text, comment="staff's name for it; of implementations"),
    )
    op.create_index("outcome_of_community", "outcome", ["community_id", "at"])
    op.create_index("outcome_of_feedback", "outcome", ["feedback_id"])
    op.create_table(
        "merit_dirty",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("at", MOMENT, nullable=False, comment="an instant of the season to read again"),
    )
    op.create_index("merit_dirty_of_community", "merit_dirty", ["community_id"])
    op.create_table(
        "merit_season",
        sa.Column("community_id", sa.Uuid, primary_key=True),
        sa.Column("season", sa.Text, primary_key=True),
        sa.Column("members", sa.Integer, nullable=False, comment="frozen when the season closed"),
        sa.Column("closed", sa.Boolean, nullable=False),
    )
    op.create_table(
        "merit_standing",
        sa.Column("community_id", sa.Uuid, primary_key=True),
        sa.Column("season", sa.Text, primary_key=True),
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("hundredths", sa.Integer, nullable=False),
        sa.Column("band", sa.Text),
        sa.Column("provisional", sa.Boolean, nullable=False),
        sa.Column("outcomes", sa.Integer, nullable=False),
        sa.Column("raters", sa.Integer, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.CheckConstraint("hundredths BETWEEN 0 AND 100", name="merit_is_a_share"),
    )
    op.create_table(
        "badge",
        sa.Column("badge_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("member_id", sa.Uuid, nullable=False),
        sa.Column("badge", sa.Text, nullable=False),
        sa.Column("season", sa.Text),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_index("badge_of_member", "badge", ["member_id"])
    op.create_table(
        "badge_evidence",
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("badge", sa.Text, primary_key=True),
        sa.Column("source_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("stands", sa.Boolean, nullable=False),
    )


def _create_catalogue() -> None:
    op.create_table(
        "catalogue_item",
        sa.Column("item_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("spec", postgresql.JSONB, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("catalogue_item_of_community", "catalogue_item", ["community_id"])
    op.create_table(
        "reward_policy",
        sa.Column("policy_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("when", sa.Text, nullable=False),
        sa.Column("beneficiary", sa.Text, nullable=False),
        sa.Column("item_id", sa.Uuid, nullable=False),
        sa.Column("budget_id", sa.Uuid),
        sa.Column("objective_id", sa.Uuid),
        sa.Column("also_unconfirmed", sa.Boolean, nullable=False),
        sa.Column("cap_rewards", sa.Integer, nullable=False),
        sa.Column("cap_minor", sa.BigInteger, nullable=False),
        sa.Column("cooldown_days", sa.Integer, nullable=False),
        sa.Column("auto_approve_up_to", sa.BigInteger),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("awaits_funding", sa.Boolean, nullable=False),
    )
    op.create_index("reward_policy_of_community", "reward_policy", ["community_id"])


def _create_money() -> None:
    op.create_table(
        "reward_desk",
        sa.Column("community_id", sa.Uuid, primary_key=True),
    )
    op.create_table(
        "budget",
        sa.Column("budget_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("funded", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.Column("ledger_sequence", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("told_exhausted", sa.Boolean, nullable=False),
        sa.CheckConstraint("reserved >= 0 AND spent >= 0", name="budget_accounts_are_not_negative"),
        sa.CheckConstraint("reserved + spent <= funded", name="budget_is_never_overdrawn"),
    )
    op.create_index("budget_of_community", "budget", ["community_id"])
    op.create_table(
        "ledger_entry",
        sa.Column("budget_id", sa.Uuid, primary_key=True),
        sa.Column("ledger_sequence", sa.BigInteger, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("move", sa.Text, nullable=False),
        sa.Column(
            "credited", sa.Text, nullable=False, comment="the account that the amount leaves"
        ),
        sa.Column("debited", sa.Text, nullable=False, comment="the account that it reaches"),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("reward_id", sa.Uuid),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("funded_minor", sa.BigInteger, nullable=False),
        sa.Column("reserved_minor", sa.BigInteger, nullable=False),
        sa.Column("spent_minor", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "credited <> debited AND amount_minor > 0", name="ledger_entry_balances"
        ),
        sa.CheckConstraint(
            "reserved_minor >= 0 AND spent_minor >= 0 "
            "AND reserved_minor + spent_minor <= funded_minor",
            name="ledger_is_never_overdrawn",
        ),
    )
    op.create_table(
        "code_pool",
        sa.Column("pool_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("free", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.CheckConstraint("free >= 0 AND free <= total", name="code_pool_is_never_overdrawn"),
    )
    op.create_index("code_pool_of_community", "code_pool", ["community_id"])
    op.create_table(
        "gift_code",
        sa.Column("code_id", sa.Uuid, primary_key=True),
        sa.Column("pool_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, comment="nonce and AES-GCM ciphertext; null: wiped"),
        sa.Column(
            "fingerprint", sa.LargeBinary, nullable=False, comment="keyed hash: no code twice"
        ),
        sa.Column("reward_id", sa.Uuid, comment="for ever"),
        sa.UniqueConstraint("reward_id", name="gift_code_of_one_reward"),
        sa.UniqueConstraint("community_id", "fingerprint", name="gift_code_is_there_once"),
    )
    op.create_index(
        "gift_code_free",
        "gift_code",
        ["pool_id", "code_id"],
        postgresql_where=sa.text("reward_id IS NULL"),
    )


def _create_rewards() -> None:
    op.create_table(
        "reward",
        sa.Column("reward_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("member_id", sa.Uuid, nullable=False),
        sa.Column("feedback_id", sa.Uuid),
        sa.Column("cause_id", sa.Uuid, nullable=False),
        sa.Column("policy_id", sa.Uuid, nullable=False),
        sa.Column("policy_version", sa.Integer, nullable=False),
        sa.Column("item_id", sa.Uuid, nullable=False),
        sa.Column("item_kind", sa.Text, nullable=False),
        sa.Column("item_name", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("budget_id", sa.Uuid),
        sa.Column("pool_id", sa.Uuid),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("needs_approval", sa.Boolean, nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("held_for", sa.Text),
        sa.Column("held_since", MOMENT),
        sa.Column("retry_at", MOMENT),
        sa.Column("queued_at", MOMENT),
        sa.Column("overdue", sa.Boolean, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("approved_at", MOMENT),
        sa.Column("issued_at", MOMENT),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column(
            "uncertain", sa.Boolean, nullable=False, comment="sent, and the answer is not known"
        ),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("policy_id", "member_id", "cause_id", name="reward_once_per_cause"),
    )
    op.create_index("reward_of_member", "reward", ["member_id", "proposed_at", "reward_id"])
    op.create_index("reward_of_cause", "reward", ["cause_id"])
    op.create_index("reward_by_status", "reward", ["community_id", "status"])
    op.create_table(
        "reveal",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("reward_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("reveal_of_reward", "reveal", ["reward_id"])
    op.create_table(
        "waiting_trigger",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column(
            "waits_for", sa.Uuid, primary_key=True, comment="a member or community not yet heard of"
        ),
        sa.Column("trigger", postgresql.JSONB, nullable=False),
    )
    op.create_index("waiting_trigger_for", "waiting_trigger", ["waits_for"])


def _forbid_rewriting() -> None:
    """A ledger is only appended to, and a gift code never changes its reward."""
    op.execute(
        """
        CREATE FUNCTION forbid_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% on % is never rewritten', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE ON ledger_entry "
        "FOR EACH ROW EXECUTE FUNCTION forbid_rewriting()"
    )
    op.execute(
        "CREATE TRIGGER gift_code_stays BEFORE UPDATE OF reward_id ON gift_code FOR EACH ROW "
        "WHEN (OLD.reward_id IS NOT NULL AND NEW.reward_id IS DISTINCT FROM OLD.reward_id) "
        "EXECUTE FUNCTION forbid_rewriting()"
    )
