"""What an import did, as numbers that add up: every source row, every simulated step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

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


def render(report: Report) -> RenderableType:
    """Every row of the source for people: how many were played, and why the others were not."""
    files = report.as_json()["files"]
    table = Table(title=f"{report.community}: what became of every row", title_justify="left")
    for heading in ("file", "rows", "played", "refused", "skipped"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    reasons = Table(title="Why the others were not played", title_justify="left")
    for heading in ("file", "rows", "fate", "why"):
        reasons.add_column(heading, justify="right" if heading == "rows" else "left")
    for file, told in files.items():
        fates = {fate: told[fate] for fate in ("refused", "skipped")}
        sums = [sum(why.values()) for why in fates.values()]
        table.add_row(file, *(f"{count:,}" for count in (told["rows"], told["played"], *sums)))
        for fate, whys in fates.items():
            for why, count in sorted(whys.items(), key=lambda one: -one[1]):
                reasons.add_row(file, f"{count:,}", fate, why.replace("-", " "))
    rows = sum(told["rows"] for told in files.values())
    left = sum(report.accounting.open_rows().values())
    simulated = ", ".join(f"{count:,} {what}" for what, count in sorted(report.simulated.items()))
    states = ", ".join(f"{n:,} {state}" for state, n in sorted(report.feedback_by_state.items()))
    return Group(
        table,
        reasons,
        Text(f"{rows:,} rows, {left:,} of them not accounted for"),
        Text(f"simulated, since the source does not say it: {simulated}"),
        Text(f"at most {report.members_at_most:,} members at once; suggestions: {states}"),
        Text(f"{report.commands:,} commands in {report.seconds:.0f} s"),
    )
