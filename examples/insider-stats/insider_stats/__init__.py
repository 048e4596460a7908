"""Counts implemented and verified suggestions by community, from Coterie's events alone.

Delivery is at least once and nothing is ordered across topics. So facts are kept by their event's
id and counted when somebody asks: a fact that comes twice, late or first changes nothing else.
"""
