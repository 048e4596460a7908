"""Schema of the feedback service, by Alembic."""
