"""A duplicate's root is no duplicate: the star has depth one in the database too. Adds only."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "feedback_0002"
down_revision: str | None = "feedback_0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "feedback",
        sa.Column("is_root", sa.Boolean, sa.Computed("root_id IS NULL", persisted=True)),
    )
    op.add_column(
        "feedback",
        sa.Column(
            "of_root",
            sa.Boolean,
            sa.Computed("CASE WHEN root_id IS NOT NULL THEN true END", persisted=True),
        ),
    )
    op.create_unique_constraint("feedback_root", "feedback", ["feedback_id", "is_root"])
    op.create_foreign_key(
        "feedback_depth_one",
        "feedback",
        "feedback",
        ["root_id", "of_root"],
        ["feedback_id", "is_root"],
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
