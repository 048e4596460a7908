"""The platform at a glance, read from what its services answer an operator and nothing else.

No database and no broker is asked here, so it works wherever the services' addresses and a token
with the role `operator` are to be had.
"""

from coterie_local.status.watching import show, source_of

__all__ = ["show", "source_of"]
