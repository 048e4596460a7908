"""The limits of the guard, versioned for each community.

There is no switch by which an offer skips the guard: a policy holds numbers and nothing else, and
the constants below are not even that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from coterie_contracts.notification import GuardPolicyChanged

__all__ = [
    "BAD_NEWS_REST",
    "NOT_USEFUL_OFF_WITHIN",
    "NOT_USEFUL_PAUSE",
    "GuardPolicy",
    "in_force",
]

BAD_NEWS_REST: Final = timedelta(hours=24)
NOT_USEFUL_PAUSE: Final = timedelta(days=30)
NOT_USEFUL_OFF_WITHIN: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """Limits per recipient; windows are rolling, in days. `version` 1 is the default.

    `offer_ratio`: offers may not exceed this share of the messages that were worth something.
    """

    version: int = 1
    offer_cap: int = 2
    offer_window_days: int = 28
    offer_ratio: float = 0.25
    offer_ratio_window_days: int = 28
    offer_gap_days: int = 10
    offer_after_days: int = 14
    community_cap: int = 3
    community_window_days: int = 7
    personal_cap_per_day: int = 4

    @property
    def horizon(self) -> timedelta:
        """How far back, and around late arrivals how far ahead, the guard looks."""
        longest = max(
            self.offer_window_days,
            self.offer_ratio_window_days,
            self.offer_gap_days,
            self.community_window_days,
            1,
        )
        return timedelta(days=longest)

    def limits(self) -> dict[str, Any]:
        """Everything but the version."""
        return {name: value for name, value in asdict(self).items() if name != "version"}

    def changed(self, community_id: UUID) -> GuardPolicyChanged:
        """The event that publishes this version."""
        return GuardPolicyChanged(
            community_id=community_id, policy_version=self.version, **self.limits()
        )


def in_force(versions: list[tuple[datetime, GuardPolicy]], at: datetime) -> GuardPolicy:
    """The policy that applies at `at`: the highest version in effect by then, else the default."""
    due = [policy for since, policy in versions if since <= at]
    return max(due, key=lambda policy: policy.version, default=GuardPolicy())
