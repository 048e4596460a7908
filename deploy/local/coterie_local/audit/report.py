"""What an audit found: per rule its facts and its faults, and whether the log could be judged.

A rule that examined nothing proves nothing, so a report can be asked to fail on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["Fault", "Report", "RuleReport", "Violation"]


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fact that breaks a rule; `event_id` is absent where no readable event is at fault."""

    event_id: UUID | None
    explanation: str


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    event_id: UUID | None
    explanation: str


@dataclass(frozen=True, slots=True)
class RuleReport:
    """`completeness`: a fault here means that the log cannot be judged at all."""

    rule: str
    promise: str
    completeness: bool
    facts: int
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """`events` are distinct events, `repeats` second deliveries, `foreign` records not of ours."""

    rules: tuple[RuleReport, ...]
    events: int
    repeats: int
    foreign: int

    @property
    def complete(self) -> bool:
        """Whether every partition begins at its first event and no sequence has a gap."""
        return not any(rule.violations for rule in self.rules if rule.completeness)

    @property
    def violations(self) -> tuple[Violation, ...]:
        return tuple(violation for rule in self.rules for violation in rule.violations)

    @property
    def idle_rules(self) -> tuple[str, ...]:
        """Rules that had nothing to examine."""
        return tuple(rule.rule for rule in self.rules if rule.facts == 0)

    def ok(self, *, require_facts: bool = False) -> bool:
        """No violation; with `require_facts` also no rule without a fact."""
        return not self.violations and not (require_facts and self.idle_rules)

    @property
    def verdict(self) -> str:
        if not self.complete:
            return "error: log incomplete"
        if self.violations:
            return f"{len(self.violations)} violation(s)"
        return "clean" if self.events else "nothing to judge yet"

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "complete": self.complete,
            "events": self.events,
            "repeats": self.repeats,
            "foreign": self.foreign,
            "rules": [
                {
                    "rule": rule.rule,
                    "promise": rule.promise,
                    "facts": rule.facts,
                    "violations": [
                        {
                            "event_id": None if one.event_id is None else str(one.event_id),
                            "explanation": one.explanation,
                        }
                        for one in rule.violations
                    ],
                }
                for rule in self.rules
            ],
        }

    def render(self, *, most: int = 20) -> RenderableType:
        """A table of the rules, and the first `most` violations in words."""
        table = Table(title="Audit of the Kafka log", title_justify="left")
        table.add_column("rule")
        table.add_column("what it holds")
        table.add_column("facts", justify="right")
        table.add_column("violations", justify="right")
        for rule in self.rules:
            style = "red" if rule.violations else "yellow" if rule.facts == 0 else ""
            table.add_row(
                rule.rule, rule.promise, f"{rule.facts:,}", f"{len(rule.violations):,}", style=style
            )
        lines: list[RenderableType] = [
            Text(f"  {one.rule}: {one.explanation} (event {one.event_id or 'unknown'})")
            for one in self.violations[:most]
        ]
        if (more := len(self.violations) - most) > 0:
            lines.append(Text(f"  … and {more:,} more"))
        if self.idle_rules:
            lines.append(Text(f"  proven by no fact: {', '.join(self.idle_rules)}", style="yellow"))
        summary = (
            f"{self.events:,} events, {self.repeats:,} repeated, {self.foreign:,} foreign records: "
            f"{self.verdict}"
        )
        return Group(table, *lines, Text(summary, style="green" if self.ok() else "red"))
