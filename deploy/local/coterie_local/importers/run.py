"""Import one history: read it, play it, write the report. What the command line calls."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx2

from coterie_local.importers.client import CoterieClient
from coterie_local.importers.plan import Plan, StepKind
from coterie_local.importers.player import Player, Progress
from coterie_local.importers.report import Report
from coterie_local.importers.transport import Mint, Transport
from coterie_local.tokens import ISSUER

EVENTS_OF_A_STEP: Final = {
    StepKind.APPLY: 5,
    StepKind.LEAVE: 3,
    StepKind.IMPLEMENT: 8,
}
_TIMEOUT_S: Final = 30.0
_UNSAFE_IN_FILE_NAMES: Final = str.maketrans({":": "-", "/": "-"})


def events_expected(plan: Plan) -> int:
    """About how many events a plan leads to, to judge whether a broker can hold them."""
    return sum(EVENTS_OF_A_STEP.get(step.kind, 1) for step in plan.steps)


def journal_of(plan: Plan, data: Path) -> Path:
    """Where the journal of a plan is kept in the platform's data folder."""
    name = f"{plan.community.key}-{plan.community.capacity}".translate(_UNSAFE_IN_FILE_NAMES)
    return data / "imports" / f"{name}.jsonl"


async def import_history(
    plan: Plan,
    *,
    bases: Mapping[str, str],
    mint: Mint,
    brand_id: UUID,
    issuer: str = ISSUER,
    journal: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Play `plan` against the services at `bases` (service name to base URL).

    Raises Unreachable when a service stays away; the next call with the same `journal` goes on.
    `progress(done, total)` counts steps.
    """
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S) as http:
        client = CoterieClient(Transport(http, bases, mint, brand_id, issuer))
        player = Player(plan, client, journal_path=journal)
        if progress is not None:
            player.progress = progress
        return await player.play()
