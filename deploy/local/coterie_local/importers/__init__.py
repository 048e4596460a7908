"""Importers of real histories: read a history into a plan, play the plan, account for each row.

Nothing here writes to a service's database: a history enters through the public HTTP interfaces
alone, so that it meets every rule that a member would meet.
"""
