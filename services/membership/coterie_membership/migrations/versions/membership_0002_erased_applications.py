"""Erased ids of applications too, and the last clock that was told. Adds only."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "membership_0002"
down_revision: str | None = "membership_0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "community",
        sa.Column(
            "clock_told_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="the last `now` of a clock.advanced",
        ),
    )
    op.create_table(
        "erased_application",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("application_id"),
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
