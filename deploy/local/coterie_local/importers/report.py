"""What an import did, as numbers that add up: every source row, every simulated step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from coterie_local.importers.plan import Accounting, Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`simulated` counts steps by what was done; `seconds` and `commands` are of this run.

    `resumed` steps were found settled by an earlier, interrupted run.
    """

    community_id: UUID
    community: str
    accounting: Accounting
    simulated: Mapping[str, int]
    refused_steps: Mapping[str, int]
    notes: Mapping[str, int]
    commands: int
    resumed: int
    seconds: float
    members_at_most: int
    feedback_by_state: Mapping[str, int]

    @property
    def commands_per_second(self) -> float:
        return self.commands / self.seconds if self.seconds else 0.0

    @property
    def complete(self) -> bool:
        """Whether every source row is accounted for."""
        return not self.accounting.open_rows()

    def as_json(self) -> dict[str, Any]:
        return {
            "community_id": str(self.community_id),
            "community": self.community,
            "complete": self.complete,
            "files": {file: file_report(self.accounting, file) for file in self.accounting.rows},
            "unaccounted": self.accounting.open_rows(),
            "simulated": dict(sorted(self.simulated.items())),
            "refused_steps": dict(sorted(self.refused_steps.items())),
            "notes": dict(self.notes),
            "commands": self.commands,
            "steps_resumed": self.resumed,
            "seconds": round(self.seconds, 3),
            "commands_per_second": round(self.commands_per_second, 1),
            "members_at_most": self.members_at_most,
            "feedback_by_state": dict(sorted(self.feedback_by_state.items())),
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")


def file_report(accounting: Accounting, file: str) -> dict[str, Any]:
    """Rows of one file: played, and refused and skipped by reason."""
    by_fate: dict[Fate, dict[str, int]] = {fate: {} for fate in Fate}
    for (fate, reason), count in sorted(accounting.fates[file].items()):
        by_fate[fate][reason] = count
    return {
        "rows": accounting.rows[file],
        "played": sum(by_fate[Fate.PLAYED].values()),
        "refused": by_fate[Fate.REFUSED],
        "skipped": by_fate[Fate.SKIPPED],
    }
