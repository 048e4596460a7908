"""Communities, applications, members, invitations and what outlives an erasure."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "membership_0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = ("membership",)
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "application",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("requirements_version", sa.Integer(), nullable=False),
        sa.Column("dossier", postgresql.JSONB(), nullable=False),
        sa.Column("verdicts", postgresql.JSONB, nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("invitation_id", sa.Uuid(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("offer_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lapses", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reapply_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("application_id"),
    )
    op.create_index(
        "application_waitlist",
        "application",
        [
            "community_id",
            "status",
            sa.literal_column("priority DESC"),
            "enqueued_at",
            "application_id",
        ],
        unique=False,
    )
    op.create_index(
        "one_live_application",
        "application",
        ["community_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('submitted', 'waitlisted', 'offered')"),
    )
    op.create_table(
        "community",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("brand_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("member_promise", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("quiet_from", sa.Time(), nullable=False),
        sa.Column("quiet_until", sa.Time(), nullable=False),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("seat_limit", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("seat_sequence", sa.BigInteger(), nullable=False),
        sa.Column("requirements_version", sa.Integer(), nullable=False),
        sa.Column("objectives", postgresql.JSONB, nullable=False),
        sa.Column("founded", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("held <= seat_limit", name="seats_within_limit"),
        sa.CheckConstraint("held >= 0", name="seats_not_negative"),
        sa.PrimaryKeyConstraint("community_id"),
    )
    op.create_table(
        "erased",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("member_id"),
    )
    op.create_table(
        "incarnation",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column(
            "identity_hash", sa.Text(), nullable=False, comment="HMAC under membership's key"
        ),
        sa.Column("erasures", sa.Integer(), nullable=False),
        sa.Column("reapply_after", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("community_id", "identity_hash"),
    )
    op.create_table(
        "invitation",
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=False),
        sa.Column("reserves_seat", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("uses <= max_uses", name="uses_within_max"),
        sa.PrimaryKeyConstraint("invitation_id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("invitation_of_community", "invitation", ["community_id"], unique=False)
    op.create_table(
        "member",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("founding_number", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reapply_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("handle", sa.Text(), nullable=True),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member_id"),
    )
    op.create_index(
        "member_by_admission", "member", ["community_id", "admitted_at", "member_id"], unique=False
    )
    op.create_index("one_member_a_person", "member", ["community_id", "person_id"], unique=True)
    op.create_table(
        "requirements",
        sa.Column("community_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tree", postgresql.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("community_id", "version"),
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
