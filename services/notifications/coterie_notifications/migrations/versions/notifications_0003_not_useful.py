"""What was called not useful is found without reading all that its member was told. Adds only."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "notifications_0003"
down_revision: str | None = "notifications_0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "notification_not_useful",
        "notification",
        ["recipient_id"],
        postgresql_where=sa.text("not_useful_at IS NOT NULL"),
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
