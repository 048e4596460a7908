"""Alembic's environment for every service, and the chassis's own branch of revisions."""
