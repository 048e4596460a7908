"""Commands and queries of recognition, by what they are about."""
