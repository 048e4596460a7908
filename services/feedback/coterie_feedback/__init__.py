"""The feedback service of Coterie."""
