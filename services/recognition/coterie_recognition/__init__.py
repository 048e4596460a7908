"""The recognition service of Coterie."""
