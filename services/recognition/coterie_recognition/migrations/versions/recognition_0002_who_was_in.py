"""Seasons remember who was in, and not only how many. Adds only.

Of seasons that are there already, everybody who stands in them counts, as it was until now.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "recognition_0002"
down_revision: str | None = "recognition_0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "merit_season",
        sa.Column(
            "member_ids",
            postgresql.ARRAY(sa.Uuid),
            nullable=False,
            server_default="{}",
            comment="the same, without the erased",
        ),
    )
    op.execute(
        "UPDATE merit_season AS q SET member_ids = ARRAY(SELECT s.member_id FROM merit_standing "
        "AS s WHERE s.community_id = q.community_id AND s.season = q.season ORDER BY s.member_id)"
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
