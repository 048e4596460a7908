"""Ratings are found by who gave them, however many there are. Adds only."""

from collections.abc import Sequence

from alembic import op

revision: str = "recognition_0005"
down_revision: str | None = "recognition_0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_index("rating_of_rater", "rating", ["rater_id"])


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
