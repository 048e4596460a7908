"""Tables. Every row that a route reads has its community's id.

Members' words stand in `feedback_text` and `comment` and nowhere else; where they are missing the
author was erased. They stand apart from `feedback` so that forgetting locks no suggestion. The one
foreign key to `feedback` is that of a duplicate to its root, which has to be none itself: its rows
are never deleted, and a rating takes no lock on them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    Interval,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

__all__ = [
    "appreciation",
    "campaign",
    "comment",
    "feedback",
    "feedback_change",
    "feedback_text",
    "implementation",
    "look_again",
    "metadata",
    "rating",
    "submission_day",
    "support",
]

metadata = MetaData()
_moment = DateTime(timezone=True)

feedback: Final = Table(
    "feedback",
    metadata,
    Column("feedback_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("objective_id", Uuid),
    Column("campaign_id", Uuid),
    Column("status", Text, nullable=False),
    Column("label", Text),
    Column("reason", Text),
    Column("root_id", Uuid),
    Column("star_id", Uuid, Computed("coalesce(root_id, feedback_id)", persisted=True)),
    Column("is_root", Boolean, Computed("root_id IS NULL", persisted=True)),
    Column(
        "of_root",
        Boolean,
        Computed("CASE WHEN root_id IS NOT NULL THEN true END", persisted=True),
    ),
    Column("round", Integer, nullable=False),
    Column("implementation_id", Uuid),
    Column("submitted_at", _moment, nullable=False),
    Column("changed_at", _moment, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    CheckConstraint("(root_id IS NOT NULL) = (status = 'duplicate')", name="feedback_star"),
    CheckConstraint("root_id <> feedback_id", name="feedback_no_loop"),
    UniqueConstraint("feedback_id", "is_root", name="feedback_root"),
    ForeignKeyConstraint(
        ["root_id", "of_root"],
        ["feedback.feedback_id", "feedback.is_root"],
        name="feedback_depth_one",
    ),
    Index("feedback_of_community", "community_id", "submitted_at", "feedback_id"),
    Index("feedback_of_star", "star_id"),
    Index("feedback_of_author", "author_id"),
)

feedback_text: Final = Table(
    "feedback_text",
    metadata,
    Column("feedback_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("author_id", Uuid, nullable=False),
    Column("text", Text, nullable=False),
    Index("feedback_text_of_author", "author_id"),
)

feedback_change: Final = Table(
    "feedback_change",
    metadata,
    Column("feedback_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("deed", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", _moment, nullable=False),
    Column("cause_id", Uuid, nullable=False),
    Column("note", Text),
)

implementation: Final = Table(
    "implementation",
    metadata,
    Column("implementation_id", Uuid, primary_key=True),
    Column("feedback_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("round", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("what_changed", Text, nullable=False),
    Column("see_it_at", Text, nullable=False),
    Column("release", Text),
    Column("implemented_at", _moment, nullable=False),
    Column("duplicate_author_ids", ARRAY(Uuid), nullable=False),
    Column("outcome", Text),
    Column("outcome_by", Text),
    Column("settled_at", _moment),
    UniqueConstraint("feedback_id", "round", name="implementation_once_a_round"),
    Index("implementation_of_community", "community_id", "implemented_at", "implementation_id"),
)

look_again: Final = Table(
    "look_again",
    metadata,
    Column("look_again_id", Uuid, primary_key=True),
    Column("implementation_id", Uuid, nullable=False),
    Column("feedback_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("round", Integer, nullable=False),
    Column("asked_as", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requested_at", _moment, nullable=False),
    Column("starts_at", _moment, nullable=False),
    Column("due_at", _moment, nullable=False),
    Column("late_until", _moment, nullable=False),
    Column("answered_at", _moment),
    Column("sequence", Integer, nullable=False),
    Column("member_sequence", BigInteger, nullable=False, comment="known when they were asked"),
    UniqueConstraint("implementation_id", "member_id", name="look_again_once"),
    Index("look_again_of_member", "member_id", "state"),
    Index("look_again_of_feedback", "feedback_id"),
)

comment: Final = Table(
    "comment",
    metadata,
    Column("comment_id", Uuid, primary_key=True),
    Column("feedback_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("author_id", Uuid, comment="null: written by staff as team"),
    Column("text", Text),
    Column("posted_at", _moment, nullable=False),
    Index("comment_of_feedback", "feedback_id", "posted_at", "comment_id"),
    Index("comment_of_author", "author_id"),
)

support: Final = Table(
    "support",
    metadata,
    Column("support_id", Uuid, primary_key=True),
    Column("feedback_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("importance", SmallInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("since", _moment, nullable=False, comment="first given; ranks equal importance"),
    Column("changed_at", _moment, nullable=False),
    Column("sequence", Integer, nullable=False),
    CheckConstraint("importance BETWEEN 1 AND 3", name="support_importance"),
    UniqueConstraint("feedback_id", "member_id", name="support_once"),
    Index("support_of_member", "member_id"),
)

rating: Final = Table(
    "rating",
    metadata,
    Column("rating_id", Uuid, primary_key=True),
    Column("contribution_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("rater_id", Uuid, nullable=False),
    Column("value", Float(53), nullable=False),
    Column("rated_at", _moment, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    CheckConstraint("value BETWEEN 0 AND 1", name="rating_value"),
    UniqueConstraint("contribution_id", "rater_id", name="rating_once"),
    Index("rating_of_rater", "rater_id"),
)

appreciation: Final = Table(
    "appreciation",
    metadata,
    Column("contribution_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("appreciated", Boolean, nullable=False),
    Column("changed_at", _moment, nullable=False),
    Column("sequence", Integer, nullable=False),
)

submission_day: Final = Table(
    "submission_day",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("made", SmallInteger, nullable=False),
)

campaign: Final = Table(
    "campaign",
    metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("objective_id", Uuid, nullable=False),
    Column("title", Text, nullable=False),
    Column("member_benefit", Text, nullable=False),
    Column("lasts", Interval, nullable=False),
    Column("status", Text, nullable=False),
    Column("drafted_at", _moment, nullable=False),
    Column("launched_at", _moment),
    Column("closes_at", _moment),
    Column("closed_at", _moment),
    Column("audience", ARRAY(Uuid), nullable=False),
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Index(
        "campaign_one_at_a_time",
        "community_id",
        unique=True,
        postgresql_where=text("status = 'launched'"),
    ),
    Index("campaign_of_community", "community_id", "drafted_at", "campaign_id"),
)
