"""Six requests that walk the loop, with real ids, for somebody in front of a running platform.

Each can be sent again: its key gives the first outcome.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx2

from coterie_chassis.auth import Role
from coterie_local.demo.play import Loaded
from coterie_local.importers.client import FEEDBACK, MEMBERSHIP, NOTIFICATIONS, RECOGNITION
from coterie_local.platform import Platform
from coterie_local.welcome import LOCAL_BRAND, Request, curl

__all__ = ["commands", "first_steps", "requests"]

_KEY: Final = "tour"
_SEASON: Final = "2026-Q1"
_TELLING: Final = "ratio"  # a reason that most of the guard's steps come before


def first_steps(platform: Platform) -> list[Request]:
    """What to try on an empty platform."""
    founded = {
        "name": "My circle",
        "time_zone": "Europe/Berlin",
        "objective": "A serum that people finish",
    }
    line = curl(
        platform,
        MEMBERSHIP,
        "POST",
        "/communities",
        role=Role.MANAGER,
        body=json.dumps(founded),
        key=_KEY,
    )
    return [Request("A manager founds a circle", line)]


def requests(platform: Platform, loaded: Loaded) -> list[Request]:
    """`curl` lines to try, in order, from applying to being told."""
    home = f"/communities/{loaded.community_id}"
    look = _Look(platform, home)

    def send(service: str, path: str, role: Role, **body: Any) -> str:
        return curl(platform, service, "POST", path, role=role, body=json.dumps(body), key=_KEY)

    def read(service: str, path: str, role: Role) -> str:
        return curl(platform, service, "GET", path, role=role)

    agreed = [{"document": "house-rules", "version": "1"}]
    wish = {"community_id": str(loaded.community_id), "text": "A brush to clean the pump with."}
    undecided, waiting = look.waits(FEEDBACK, "/accept"), look.waits(RECOGNITION, "/approve")
    return [
        Request(
            "Zoe applies for a seat",
            send(MEMBERSHIP, f"{home}/applications", Role.APPLICANT, agreements=agreed),
        ),
        Request("Ada says what she wants", send(FEEDBACK, "/feedback", Role.MEMBER, **wish)),
        Request(
            "The team takes up what has waited longest",
            send(FEEDBACK, undecided, Role.MANAGER, label="Taken up on the tour"),
        )
        if undecided
        else Request(
            "The team looks at the board", read(FEEDBACK, f"{home}/board?limit=5", Role.MANAGER)
        ),
        Request("A manager approves a reward", send(RECOGNITION, waiting, Role.MANAGER))
        if waiting
        else Request(
            "A manager looks at the rewards",
            read(RECOGNITION, f"{home}/rewards?limit=5", Role.MANAGER),
        ),
        Request(
            "Ada reads how her merit came about",
            read(RECOGNITION, f"/members/{loaded.ada}/merit?season={_SEASON}", Role.MEMBER),
        ),
        Request(
            "Ada reads what she was told",
            read(NOTIFICATIONS, f"{home}/inbox?limit=5", Role.MEMBER),
        ),
    ]


def commands(platform: Platform, loaded: Loaded) -> Iterator[str]:
    """Arguments of `coterie` to try, with real ids."""
    home = f"/communities/{loaded.community_id}"
    look = _Look(platform, home)
    for built in look.page(FEEDBACK, f"{home}/board?status=verified&limit=1"):
        yield f"story {built['feedback_id']}"
    withheld = look.page(NOTIFICATIONS, f"{home}/decisions?outcome=suppressed&limit=100")
    for decided in sorted(withheld, key=lambda one: one["reason"] != _TELLING)[:1]:
        yield f"why {decided['id']}"
    yield "audit"


class _Look:
    """What the manager of the local brand sees now; nothing where a service does not answer."""

    def __init__(self, platform: Platform, home: str) -> None:
        self._urls, self._home = platform.urls, home
        token = platform.tokens.mint("mia", [Role.MANAGER], brand=LOCAL_BRAND)
        self._headers = {"Authorization": f"Bearer {token}"}

    def waits(self, service: str, deed: str) -> str | None:
        """The path of the command that settles what has waited longest for that deed."""
        for item in self._see(service, f"{self._home}/todo") or []:
            if str(item["path"]).endswith(deed):
                return str(item["path"])
        return None

    def page(self, service: str, path: str) -> list[dict[str, Any]]:
        """The items of a page."""
        items: list[dict[str, Any]] = (self._see(service, path) or {"items": []})["items"]
        return items

    def _see(self, service: str, path: str) -> Any:
        try:
            answer = httpx2.get(self._urls[service] + path, headers=self._headers, timeout=5.0)
        except httpx2.TransportError:
            return None
        return answer.json() if answer.is_success else None
