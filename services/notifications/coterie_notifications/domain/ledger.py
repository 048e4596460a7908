"""What one person was sent under one brand, and how much of it falls into a window.

Windows are (t - window, t]. Messages may be entered later than others although they were sent
earlier, because events arrive in any order; so a limit is checked at every instant that the new
message touches and not only at its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from uuid import UUID

from coterie_contracts.notification import NotificationClass

__all__ = ["Entry", "Ledger"]

_VALUE = (NotificationClass.PERSONAL, NotificationClass.COMMUNITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message that was surely sent; `advert_at` is when its reader called it an advert."""

    notification_id: UUID
    recipient_id: UUID
    notification_class: NotificationClass
    sent_at: datetime
    local_day: date
    advert_at: datetime | None = None

    def is_offer(self, at: datetime) -> bool:
        """An offer, or what its reader had called an advert by `at`."""
        return self.notification_class is NotificationClass.OFFER or (
            self.advert_at is not None and self.advert_at <= at
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """Messages of every class to one person under one brand, of `account` called adverts alone.

    `sequence` counts the entries ever made, forgotten ones included.
    """

    id: UUID
    entries: tuple[Entry, ...] = ()
    sequence: int = 0

    def with_entry(self, entry: Entry) -> Ledger:
        return replace(self, entries=(*self.entries, entry), sequence=self.sequence + 1)

    def offers(self, at: datetime, window: timedelta, known_at: datetime) -> int:
        """Offers to the person in (at - window, at], in all communities of the brand."""
        return sum(1 for e in self.entries if _within(e, at, window) and e.is_offer(known_at))

    def of_class(
        self, kind: NotificationClass, recipient_id: UUID, at: datetime, window: timedelta
    ) -> int:
        """Messages of one class to one recipient in (at - window, at]."""
        return sum(
            1
            for e in self.entries
            if e.notification_class is kind
            and e.recipient_id == recipient_id
            and _within(e, at, window)
        )

    def value(self, recipient_id: UUID, at: datetime, window: timedelta, known_at: datetime) -> int:
        """Messages worth something: personal ones, and one community message a local day."""
        worth = [
            e
            for e in self.entries
            if e.notification_class in _VALUE
            and e.recipient_id == recipient_id
            and _within(e, at, window)
            and not e.is_offer(known_at)
        ]
        personal = sum(1 for e in worth if e.notification_class is NotificationClass.PERSONAL)
        days = {e.local_day for e in worth if e.notification_class is NotificationClass.COMMUNITY}
        return personal + len(days)

    def most_offers_around(self, at: datetime, window: timedelta) -> int:
        """The most offers in any window that a message at `at` would fall into."""
        touched = self._after(at, window)
        return max(self.offers(t, window, max(t, at)) for t in (at, *touched))

    def most_of_class_around(
        self, kind: NotificationClass, recipient_id: UUID, at: datetime, window: timedelta
    ) -> int:
        """The most messages of a class in any window that a message at `at` would fall into."""
        touched = self._after(at, window)
        return max(self.of_class(kind, recipient_id, t, window) for t in (at, *touched))

    def keeps_ratio(
        self, recipient_id: UUID, at: datetime, window: timedelta, ratio: float
    ) -> bool:
        """Whether one more offer at `at` stays within `ratio`, there and at each later offer."""
        limit = Fraction(str(ratio))
        sends = [(at, recipient_id)] + [
            (e.sent_at, e.recipient_id)
            for e in self.entries
            if e.notification_class is NotificationClass.OFFER and at < e.sent_at < at + window
        ]
        return all(
            self.offers(t, window, t) + 1 <= limit * self.value(recipient, t, window, t)
            for t, recipient in sends
        )

    def nearest_offer(self, at: datetime) -> timedelta | None:
        """How far the nearest offer, before or after, is from `at`."""
        return min((abs(e.sent_at - at) for e in self.entries if e.is_offer(at)), default=None)

    def _after(self, at: datetime, window: timedelta) -> list[datetime]:
        return [e.sent_at for e in self.entries if at < e.sent_at < at + window]


def _within(entry: Entry, at: datetime, window: timedelta) -> bool:
    return at - window < entry.sent_at <= at
