"""The circle's branch of revisions, for services that keep the copy."""
