"""Outbox and its archive, inbox, dead letters, idempotency, clocks, deadlines, positions."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "chassis_0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = ("chassis",)
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        *_record(),
    )
    op.create_table(
        "outbox_archive",
        sa.Column("id", sa.BigInteger, nullable=False),
        *_record(),
        sa.Column("sent_at", MOMENT, nullable=False, server_default=sa.func.now()),
        postgresql_partition_by="RANGE (sent_at)",
    )
    op.create_index("outbox_archive_by_id", "outbox_archive", ["id"])
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        postgresql_partition_by="RANGE (event_id)",
    )
    _create_dead_letter()
    op.create_table(
        "idempotency",
        sa.Column("id", sa.Uuid, primary_key=True, comment="issuer, subject, method, path and key"),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="of the request's body"),
        sa.Column("status", sa.SmallInteger),
        sa.Column("aggregate_id", sa.Uuid),
        sa.Column("version", sa.BigInteger),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("stored_at", MOMENT, nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "community_clock",
        sa.Column("community_id", sa.Uuid, primary_key=True),
        sa.Column("brand_id", sa.Uuid),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("now", MOMENT, nullable=False, comment="of a driven clock; moves forward only"),
    )
    op.create_table(
        "deadline",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("aggregate_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
    )
    op.create_index("deadline_due", "deadline", ["due_at"])
    op.create_index("deadline_of_community", "deadline", ["community_id", "due_at"])
    op.create_table(
        "applied_position",
        sa.Column("subject", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "republish_request",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("since", MOMENT, comment="null: the whole archive"),
        sa.Column("asked_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("served_at", MOMENT),
        sa.Column("sent", sa.BigInteger),
    )


def _record() -> list[sa.Column[object]]:
    return [
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("headers", postgresql.JSONB, nullable=False),
        sa.Column("value", sa.LargeBinary),
    ]


def _create_dead_letter() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("subject", sa.Uuid, comment="parks this key; null parks nothing"),
        sa.Column("event_id", sa.Uuid),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column(
            "headers", postgresql.JSONB, nullable=False, comment="list of [name, base64 or null]"
        ),
        sa.Column("value", sa.LargeBinary),
        sa.Column("digest", sa.LargeBinary, nullable=False, comment="of headers and value"),
        sa.Column(
            "kind", sa.Text, nullable=False, comment="unreadable, version, refused, bug, parked"
        ),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="open"),
        sa.Column("stored_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("settled_at", MOMENT),
        sa.Column("author", sa.Text),
        sa.Column("reason", sa.Text),
    )
    op.create_index(
        "dead_letter_parked",
        "dead_letter",
        ["lane", "subject", "id"],
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "dead_letter_position",
        "dead_letter",
        ["lane", "topic", "partition", "offset", "digest"],
        unique=True,
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
