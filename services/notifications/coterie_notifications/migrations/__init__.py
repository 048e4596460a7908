"""Schema of the notifications service, by Alembic."""
