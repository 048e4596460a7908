"""What an open community, a seat limit, a place in the line and a reserved seat mean. Adds only."""

from collections.abc import Sequence

from alembic import op

revision: str = "membership_0003"
down_revision: str | None = "membership_0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_check_constraint(
        "open_with_objectives",
        "community",
        "status <> 'open' OR jsonb_array_length(jsonb_path_query_array("
        "objectives, '$[*] ? (@.retired == false)')) BETWEEN 1 AND 2",
    )
    op.create_check_constraint("limit_not_below_capacity", "community", "seat_limit >= capacity")
    op.create_check_constraint(
        "offer_has_an_end", "application", "(status = 'offered') = (offer_expires_at IS NOT NULL)"
    )
    op.create_check_constraint(
        "line_has_an_order",
        "application",
        "status NOT IN ('waitlisted', 'offered') OR enqueued_at IS NOT NULL",
    )
    op.create_check_constraint(
        "one_seat_for_one", "invitation", "max_uses = 1 OR NOT reserves_seat"
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
