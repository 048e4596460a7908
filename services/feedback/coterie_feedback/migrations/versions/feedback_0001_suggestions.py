"""Suggestions with their history, rounds, voices and campaigns."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "feedback_0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = ("feedback",)
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)

UNITED_SUPPORT = """
CREATE VIEW united_support AS
SELECT root.feedback_id, s.member_id, max(s.importance) AS importance, min(s.since) AS since
FROM support AS s
JOIN feedback AS f ON f.feedback_id = s.feedback_id
JOIN feedback AS root ON root.feedback_id = f.star_id
WHERE s.active AND s.member_id <> root.author_id
GROUP BY root.feedback_id, s.member_id
"""


def upgrade() -> None:
    _create_suggestions()
    _create_rounds()
    _create_voices()
    _create_campaigns()
    op.execute(UNITED_SUPPORT)


def _create_suggestions() -> None:
    op.create_table(
        "feedback",
        sa.Column("feedback_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("objective_id", sa.Uuid),
        sa.Column("campaign_id", sa.Uuid),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("root_id", sa.Uuid),
        sa.Column(
            "star_id", sa.Uuid, sa.Computed("coalesce(root_id, feedback_id)", persisted=True)
        ),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("implementation_id", sa.Uuid),
        sa.Column("submitted_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.CheckConstraint("(root_id IS NOT NULL) = (status = 'duplicate')", name="feedback_star"),
        sa.CheckConstraint("root_id <> feedback_id", name="feedback_no_loop"),
    )
    op.create_index(
        "feedback_of_community", "feedback", ["community_id", "submitted_at", "feedback_id"]
    )
    op.create_index("feedback_of_star", "feedback", ["star_id"])
    op.create_index("feedback_of_author", "feedback", ["author_id"])
    op.create_table(
        "feedback_text",
        sa.Column("feedback_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("author_id", sa.Uuid, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("feedback_text_of_author", "feedback_text", ["author_id"])
    op.create_table(
        "feedback_change",
        sa.Column("feedback_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("deed", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("cause_id", sa.Uuid, nullable=False),
        sa.Column("note", sa.Text),
    )
    op.create_table(
        "comment",
        sa.Column("comment_id", sa.Uuid, primary_key=True),
        sa.Column("feedback_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("author_id", sa.Uuid, comment="null: written by staff as team"),
        sa.Column("text", sa.Text),
        sa.Column("posted_at", MOMENT, nullable=False),
    )
    op.create_index("comment_of_feedback", "comment", ["feedback_id", "posted_at", "comment_id"])
    op.create_index("comment_of_author", "comment", ["author_id"])
    op.create_table(
        "submission_day",
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("made", sa.SmallInteger, nullable=False),
    )


def _create_rounds() -> None:
    op.create_table(
        "implementation",
        sa.Column("implementation_id", sa.Uuid, primary_key=True),
        sa.Column("feedback_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("what_changed", sa.Text, nullable=False),
        sa.Column("see_it_at", sa.Text, nullable=False),
        sa.Column("release", sa.Text),
        sa.Column("implemented_at", MOMENT, nullable=False),
        sa.Column("duplicate_author_ids", postgresql.ARRAY(sa.Uuid), nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("outcome_by", sa.Text),
        sa.Column("settled_at", MOMENT),
        sa.UniqueConstraint("feedback_id", "round", name="implementation_once_a_round"),
    )
    op.create_index(
        "implementation_of_community",
        "implementation",
        ["community_id", "implemented_at", "implementation_id"],
    )
    op.create_table(
        "look_again",
        sa.Column("look_again_id", sa.Uuid, primary_key=True),
        sa.Column("implementation_id", sa.Uuid, nullable=False),
        sa.Column("feedback_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("member_id", sa.Uuid, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("asked_as", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("late_until", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.UniqueConstraint("implementation_id", "member_id", name="look_again_once"),
    )
    op.create_index("look_again_of_member", "look_again", ["member_id", "state"])
    op.create_index("look_again_of_feedback", "look_again", ["feedback_id"])


def _create_voices() -> None:
    op.create_table(
        "support",
        sa.Column("support_id", sa.Uuid, primary_key=True),
        sa.Column("feedback_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("member_id", sa.Uuid, nullable=False),
        sa.Column("importance", sa.SmallInteger, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("since", MOMENT, nullable=False, comment="first given; ranks equal importance"),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.CheckConstraint("importance BETWEEN 1 AND 3", name="support_importance"),
        sa.UniqueConstraint("feedback_id", "member_id", name="support_once"),
    )
    op.create_index("support_of_member", "support", ["member_id"])
    op.create_table(
        "rating",
        sa.Column("rating_id", sa.Uuid, primary_key=True),
        sa.Column("contribution_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("rater_id", sa.Uuid, nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("rated_at", MOMENT, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.CheckConstraint("value BETWEEN 0 AND 1", name="rating_value"),
        sa.UniqueConstraint("contribution_id", "rater_id", name="rating_once"),
    )
    op.create_index("rating_of_rater", "rating", ["rater_id"])
    op.create_table(
        "appreciation",
        sa.Column("contribution_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("appreciated", sa.Boolean, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
    )


def _create_campaigns() -> None:
    op.create_table(
        "campaign",
        sa.Column("campaign_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("objective_id", sa.Uuid, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("member_benefit", sa.Text, nullable=False),
        sa.Column("lasts", sa.Interval, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("drafted_at", MOMENT, nullable=False),
        sa.Column("launched_at", MOMENT),
        sa.Column("closes_at", MOMENT),
        sa.Column("closed_at", MOMENT),
        sa.Column("audience", postgresql.ARRAY(sa.Uuid), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
    )
    op.create_index(
        "campaign_one_at_a_time",
        "campaign",
        ["community_id"],
        unique=True,
        postgresql_where=sa.text("status = 'launched'"),
    )
    op.create_index(
        "campaign_of_community", "campaign", ["community_id", "drafted_at", "campaign_id"]
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
