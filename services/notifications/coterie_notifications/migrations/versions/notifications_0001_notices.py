"""What was told, what counts, and the facts that a brief is made of."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "notifications_0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = ("notifications",)
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_notifications()
    _create_wishes_and_limits()
    _create_what_waits()
    _create_facts()


def _create_notifications() -> None:
    op.create_table(
        "notification",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column(
            "recipient_id",
            sa.Uuid,
            nullable=False,
            comment="member, person, or community for staff",
        ),
        sa.Column("person_id", sa.Uuid, comment="null: the community's staff"),
        sa.Column("ledger_id", sa.Uuid, comment="null: class account, which is not counted"),
        sa.Column("notification_class", sa.Text, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("cause_id", sa.Uuid, nullable=False),
        sa.Column("about", sa.Uuid),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False, comment="sent, suppressed"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, comment="null: suppressed"),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("params", postgresql.JSONB, nullable=False),
        sa.Column(
            "answers", postgresql.JSONB, nullable=False, comment="each guard step with what it said"
        ),
        sa.Column("policy_version", sa.Integer, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("local_day", sa.Date, nullable=False),
        sa.Column("recipient_sequence", sa.BigInteger),
        sa.Column("sequence", sa.Integer, nullable=False, comment="published changes"),
        sa.Column("advert_at", MOMENT),
        sa.Column("not_useful_at", MOMENT),
        sa.Column("read_at", MOMENT),
        sa.UniqueConstraint("recipient_id", "template", "cause_id", name="notification_once"),
    )
    op.create_index(
        "notification_inbox",
        "notification",
        ["community_id", "person_id", "decided_at", "id"],
        postgresql_where=sa.text("state = 'sent'"),
    )
    op.create_index(
        "notification_ledger",
        "notification",
        ["ledger_id", "decided_at"],
        postgresql_where=sa.text("state = 'sent' AND ledger_id IS NOT NULL"),
    )
    op.create_index("notification_decided", "notification", ["community_id", "decided_at"])
    op.create_index("notification_of_cause", "notification", ["cause_id"])
    op.create_table(
        "ledger",
        sa.Column("id", sa.Uuid, primary_key=True, comment="derived from brand and person"),
        sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0"),
    )


def _create_wishes_and_limits() -> None:
    op.create_table(
        "preference",
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column(
            "unsubscribed", postgresql.ARRAY(sa.Text), nullable=False, comment="class/channel"
        ),
        sa.Column("resumed_at", MOMENT, comment="when offers were turned on again"),
        sa.Column("sequence", sa.Integer, nullable=False),
    )
    op.create_table(
        "contact",
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "unsubscribe_key",
        sa.Column("id", sa.SmallInteger, primary_key=True),
        sa.Column("secret", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "guard_policy",
        sa.Column("community_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("limits", postgresql.JSONB, nullable=False),
    )
    # Two random UUIDs hold 244 random bits; no extension is needed for them.
    op.execute(
        "INSERT INTO unsubscribe_key (id, secret) VALUES "
        "(1, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))"
    )


def _create_what_waits() -> None:
    op.create_table(
        "broadcast",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False, comment="offer, news, campaign"),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("member_benefit", sa.Text),
        sa.Column("expires_at", MOMENT),
        sa.Column("audience_size", sa.Integer, nullable=False),
        sa.Column(
            "notice", postgresql.JSONB, comment="of a campaign, for members who become known later"
        ),
    )
    op.create_index("broadcast_of_community", "broadcast", ["community_id", "kind", "at"])
    op.create_table(
        "pending",
        sa.Column("id", sa.Uuid, primary_key=True, comment="of the notification"),
        sa.Column(
            "waits_for", sa.Uuid, nullable=False, comment="a member or a community not seen yet"
        ),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("notice", postgresql.JSONB, nullable=False),
    )
    op.create_index("pending_waits_for", "pending", ["waits_for"])
    op.create_table(
        "look_again",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("member_id", sa.Uuid, nullable=False),
        sa.Column("requested_at", MOMENT),
        sa.Column("closed_at", MOMENT),
        sa.Column("due_at", MOMENT),
        sa.Column("params", postgresql.JSONB),
    )
    op.create_index("look_again_of_member", "look_again", ["member_id"])


def _create_facts() -> None:
    op.create_table(
        "standing",
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
    )
    op.create_index("standing_of_community", "standing", ["community_id", "member_id"])
    op.create_table(
        "member_fact",
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("active_at", MOMENT),
        sa.Column("bad_news_at", MOMENT),
    )
    op.create_index("member_fact_of_community", "member_fact", ["community_id"])
    op.create_table(
        "seat_count",
        sa.Column("community_id", sa.Uuid, primary_key=True),
        sa.Column("seat_sequence", sa.BigInteger, primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("held", sa.Integer, nullable=False),
    )
    op.create_table(
        "application",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid),
        sa.Column("waitlisted_at", MOMENT),
        sa.Column("offered_at", MOMENT),
        sa.Column("offer_expires_at", MOMENT),
        sa.Column("lapsed_at", MOMENT),
        sa.Column("ended_at", MOMENT),
    )
    op.create_index("application_of_community", "application", ["community_id"])
    op.create_table(
        "suggestion",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("submitted_at", MOMENT),
        sa.Column("answered_at", MOMENT),
        sa.Column("verified_at", MOMENT),
        sa.Column("verified_by", sa.Text),
    )
    op.create_index("suggestion_of_community", "suggestion", ["community_id"])
    op.create_table(
        "reward_case",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("item_name", sa.Text, nullable=False),
        sa.Column("needs_approval", sa.Boolean),
        sa.Column("proposed_at", MOMENT),
        sa.Column("held_at", MOMENT),
        sa.Column("settled_at", MOMENT),
    )
    op.create_index("reward_case_of_community", "reward_case", ["community_id"])


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
