"""Copies of members and communities, and the ids of erased members."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "circle_0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = ("circle",)
depends_on: Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "member_copy",
        sa.Column("member_id", sa.Uuid, primary_key=True),
        sa.Column("community_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("admitted_at", MOMENT, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.create_index("member_copy_of_person", "member_copy", ["community_id", "person_id"])
    op.create_table("erased_member", sa.Column("member_id", sa.Uuid, primary_key=True))
    op.create_table(
        "community_copy",
        sa.Column("community_id", sa.Uuid, primary_key=True),
        sa.Column("brand_id", sa.Uuid),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("quiet_from", sa.Time, nullable=False),
        sa.Column("quiet_until", sa.Time, nullable=False),
        sa.Column("clock", sa.Text, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("objectives", postgresql.JSONB, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
