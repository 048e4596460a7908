"""What a run says: JSON for programs, a table for people, and the same in the documentation."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from tests.bench.measure import Result

__all__ = ["DOCUMENT", "REPORT", "document", "table", "write"]

REPORT: Final = Path("build/bench.json")
DOCUMENT: Final = Path("docs/performance.md")
PACKAGES: Final = (
    "aiokafka",
    "asyncpg",
    "faststream",
    "faststream-outbox",
    "pydantic",
    "sqlalchemy",
)
HEADINGS: Final = ("row", "ratio", "spread", "bound", "", "ours", "reference", "unit")
_MEASURED: Final = re.compile(r"(?<=<!-- measured -->\n).*(?=<!-- end -->)", re.DOTALL)
_NAMED: Final = re.compile(r"^\| `(\w+)` \|.*$", re.MULTILINE)


def write(results: Sequence[Result], on: Mapping[str, str]) -> None:
    """Write the report as JSON."""
    told: dict[str, Any] = {
        "results": [result.to_json() for result in results],
        "versions": dict(on) | {name: version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(told, indent=1) + "\n")


def table(results: Sequence[Result]) -> Table:
    """The same for people."""
    shown = Table(title="Ours over a reference in the same run", title_justify="left")
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading in ("row", "unit") else "right")
    for result in results:
        shown.add_row(*_cells(result))
    return shown


def document(text: str, results: Sequence[Result], on: Mapping[str, str]) -> str:
    """`text` with the lines of what was measured replaced; rows that were not keep theirs."""
    found = _MEASURED.search(text)
    lines = {line[1]: line[0] for line in _NAMED.finditer(found[0])} if found else {}
    for result in results:
        name, *cells = _cells(result)
        lines[result.name] = f"| `{name}` | {' | '.join(cells)} |"
    parts = ", ".join(f"{name} {number}" for name, number in on.items())
    said = [
        f"On {os.cpu_count()} cores; {parts}.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{'---|' * len(HEADINGS)}",
        *lines.values(),
        "",
    ]
    return _MEASURED.sub(lambda _: "\n".join(said), text)


def _cells(result: Result) -> list[str]:
    low, high = result.spread
    also = ", ".join(f"{name} {value:g}" for name, value in result.also.items())
    holds = "holds" if result.holds else "MISSED"
    return [
        result.name,
        f"{result.ratio:.2f}",
        f"{low:.2f}-{high:.2f}",
        _bound(result),
        holds if _bound(result) != "-" else "",
        _figure(result.ours),
        _figure(result.reference),
        f"{result.unit} ({also})" if also else result.unit,
    ]


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _bound(result: Result) -> str:
    if result.at_least is not None:
        return f"≥ {result.at_least:g}"
    return "-" if result.at_most is None else f"≤ {result.at_most:g}"
