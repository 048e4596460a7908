"""HTTP in: what members read and wish, and what staff publish, limit and look into."""

from coterie_notifications.api.inbox import api as inbox_api
from coterie_notifications.api.offers import api as offers_api
from coterie_notifications.api.staff import api as staff_api
from coterie_notifications.api.wishes import api as wishes_api

__all__ = ["apis"]

apis = (inbox_api, wishes_api, offers_api, staff_api)
