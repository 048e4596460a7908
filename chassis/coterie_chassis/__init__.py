"""The runtime that every Coterie service stands on.

A service hands it decisions; the chassis alone commits, sends, consumes and keeps the promises
about order, duplicates and failures that `docs/` states.
"""
