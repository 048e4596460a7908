"""When a community left its driven clock: what was open has its whole time from then. Adds only."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "recognition_0003"
down_revision: str | None = "recognition_0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "reward_desk",
        sa.Column(
            "live_since",
            sa.DateTime(timezone=True),
            comment="when the driven clock ended: what was open began anew",
        ),
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
