"""Six requests that walk the loop, with real ids, for somebody in front of a running platform."""

from __future__ import annotations

import json
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_local.platform import Platform
from coterie_local.welcome import curl

__all__ = ["requests"]


def requests(platform: Platform, community_id: UUID | None) -> list[str]:
    """`curl` lines to try, in order; of a community, or on an empty platform."""
    if community_id is None:
        founded = {
            "name": "My circle",
            "time_zone": "Europe/Berlin",
            "objective": "A serum that people finish",
        }
        return [
            curl(
                platform,
                "membership",
                "POST",
                "/communities",
                role=Role.MANAGER,
                body=json.dumps(founded),
            )
        ]
    home = f"/communities/{community_id}"
    agreed = json.dumps({"agreements": [{"document": "house-rules", "version": "1"}]})
    return [
        curl(platform, "membership", "GET", home, role=Role.MANAGER),
        curl(
            platform,
            "membership",
            "POST",
            f"{home}/applications",
            role=Role.APPLICANT,
            body=agreed,
            headers=["Idempotency-Key: my-application"],
        ),
        curl(platform, "feedback", "GET", f"{home}/board?limit=5", role=Role.MANAGER),
        curl(platform, "recognition", "GET", f"{home}/rewards?limit=5", role=Role.MANAGER),
        curl(
            platform, "recognition", "GET", f"{home}/leaderboard?season=2026-Q1", role=Role.MANAGER
        ),
        curl(platform, "notifications", "GET", f"{home}/brief", role=Role.MANAGER),
    ]
