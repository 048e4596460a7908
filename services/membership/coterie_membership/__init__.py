"""The membership service of Coterie."""
