"""Invitations that nobody has used. Adds only."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "notifications_0002"
down_revision: str | None = "notifications_0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("issued_at", MOMENT),
        sa.Column("expires_at", MOMENT),
        sa.Column("settled_at", MOMENT, comment="first used, expired or revoked"),
    )
    op.create_index("invitation_of_community", "invitation", ["community_id"])


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
