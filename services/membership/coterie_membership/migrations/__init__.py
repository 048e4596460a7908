"""The branch of revisions of membership."""
