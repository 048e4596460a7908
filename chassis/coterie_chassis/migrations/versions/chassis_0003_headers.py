"""Headers of outbox and archive as bytes: the relay parses no JSON for each row that it sends.

Rewrites both tables under their locks, so it runs while the release before it is stopped: that one
could not write a row any more.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "chassis_0003"
down_revision: str | None = "chassis_0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION headers_as_bytes(headers jsonb) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
            SELECT convert_to(string_agg(header ->> 0, ' ' ORDER BY place), 'UTF8') || '\\x00'
                || string_agg(convert_to(header ->> 1, 'UTF8'), '\\x00' ORDER BY place)
            FROM jsonb_array_elements(headers) WITH ORDINALITY AS each (header, place)
        $$
        """
    )
    for table in ("outbox", "outbox_archive"):
        op.execute(
            f"ALTER TABLE {table} ALTER COLUMN headers TYPE bytea USING headers_as_bytes(headers)"
        )
    op.execute("DROP FUNCTION headers_as_bytes")


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
