"""An erased member is never copied again, whoever writes at the same time. Adds only.

An erasure takes a lock alone that every write of a copy shares. So a copy that is written beside an
erasure comes before it and is deleted, or after it and finds the id.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "circle_0002"
down_revision: str | None = "circle_0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

LOCK = 7_203_561


def upgrade() -> None:
    op.execute(
        f"""
        CREATE FUNCTION erase_alone() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock({LOCK});
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER erase_alone BEFORE INSERT ON erased_member "
        "FOR EACH STATEMENT EXECUTE FUNCTION erase_alone()"
    )
    op.execute(
        f"""
        CREATE FUNCTION keep_erased_away() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared({LOCK});
            IF EXISTS (SELECT FROM erased_member WHERE member_id = NEW.member_id) THEN
                RETURN NULL;
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER keep_erased_away BEFORE INSERT OR UPDATE ON member_copy "
        "FOR EACH ROW EXECUTE FUNCTION keep_erased_away()"
    )


def downgrade() -> None:
    raise NotImplementedError("a release is rolled back by rolling forward")
