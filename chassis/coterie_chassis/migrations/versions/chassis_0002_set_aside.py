"""Deadlines that were set aside; what retention and start-up look for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "chassis_0002"
down_revision: str | None = "chassis_0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "failed_deadline",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="open"),
        sa.Column("stored_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("settled_at", MOMENT),
        sa.Column("author", sa.Text),
        sa.Column("reason", sa.Text),
    )
    op.create_index(
        "failed_deadline_settled",
        "failed_deadline",
        ["settled_at"],
        postgresql_where=sa.text("state <> 'open'"),
    )
    op.create_index(
        "dead_letter_settled",
        "dead_letter",
        ["settled_at"],
        postgresql_where=sa.text("state <> 'open'"),
    )
    op.create_index("idempotency_stored", "idempotency", ["stored_at"])


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
