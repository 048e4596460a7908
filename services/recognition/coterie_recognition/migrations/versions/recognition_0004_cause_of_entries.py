"""The ledger says what moved an amount, so that a decision to fund counts once. Adds only."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "recognition_0004"
down_revision: str | None = "recognition_0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "ledger_entry",
        sa.Column("cause_id", sa.Uuid, comment="what moved it; null: entered before that was kept"),
    )
    op.create_index(
        "ledger_is_funded_once_by_a_decision",
        "ledger_entry",
        ["budget_id", "cause_id"],
        unique=True,
        postgresql_where=sa.text("move = 'fund'"),
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
