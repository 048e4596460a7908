"""What this service keeps, and how it is loaded and saved; constant statements for any batch.

Lock order, the same for batches, commands and deadlines: facts (each handler's own table, by id),
then `ledger` rows by id, then `preference`, then `notification` rows.
"""

from coterie_notifications.store.tables import metadata

__all__ = ["metadata"]
