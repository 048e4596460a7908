"""The notifications service of Coterie."""
