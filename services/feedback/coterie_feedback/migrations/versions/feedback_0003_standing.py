"""Which change of a member's standing was known when they were asked to look again. Adds only."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "feedback_0003"
down_revision: str | None = "feedback_0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "look_again",
        sa.Column(
            "member_sequence",
            sa.BigInteger,
            nullable=False,
            server_default="0",
            comment="known when they were asked",
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
