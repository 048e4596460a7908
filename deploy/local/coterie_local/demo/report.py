"""What is told after the play: the brief, where everything stands, one story, the audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from coterie_local.audit import Report as AuditReport
from coterie_local.demo.season import Season
from coterie_local.demo.stage import Stage
from coterie_local.importers.client import RECOGNITION
from coterie_local.log import Record
from coterie_local.story import render, story, tell
from coterie_local.tally import Tally, tally

__all__ = ["Told", "tell_all"]


@dataclass(frozen=True, slots=True)
class Told:
    """The report as data; amounts are minor units."""

    brief: dict[str, Any]
    merit: list[dict[str, Any]]
    tally: Tally
    story: list[str]
    redriven: int
    audit: AuditReport

    def to_json(self) -> dict[str, Any]:
        return {
            "brief": self.brief,
            "merit_leaders": self.merit,
            "standing": self.tally.to_json(),
            "story": self.story,
            "redriven": self.redriven,
            "audit": self.audit.to_json(),
        }


async def tell_all(
    console: Console, season: Season, records: list[Record], audited: AuditReport
) -> Told:
    """Print the whole report and return it."""
    brief = season.brief
    monday = f"The brief of Monday, {brief['at'][:10]}"
    console.print(Panel(brief["text"], title=monday, title_align="left"))
    leaders = await _leaders(season)
    console.print(_merit_table(leaders))
    standing = tally(records)
    console.print(standing.render())
    label, feedback_id = next(iter(season.suggestions.items()))
    lines = story(records, feedback_id)
    told = tell(lines)
    console.print(Panel(render(lines), title=f"One suggestion: {label}", title_align="left"))
    console.print(f"The log knows members by number alone: {_cast(season, told)}.")
    console.print(f"Events set aside by a planted defect and redriven: {season.redriven}")
    console.print(audited.render())
    return Told(brief, leaders, standing, told.splitlines(), season.redriven, audited)


def _cast(season: Season, told: str) -> str:
    """Who is who of those whom a story tells of."""
    return ", ".join(
        f"{number} is {person.name}"
        for person in season.people.values()
        if person.known_as and (number := person.known_as.hex[:6]) in told
    )


async def _leaders(season: Season) -> list[dict[str, Any]]:
    """The top of the season with each leader's own explanation."""
    stage = season.stage
    path = f"/communities/{stage.community_id}/leaderboard"
    board = await stage.see(RECOGNITION, path, season="2026-Q1")
    people = {str(person.member_id): person for person in season.members()}
    return [
        place | {"name": people[place["member_id"]].name} | await _why(stage, season, place)
        for place in board["places"]
        if place["member_id"] in people
    ]


async def _why(stage: Stage, season: Season, place: dict[str, Any]) -> dict[str, Any]:
    person = next(p for p in season.members() if str(p.member_id) == place["member_id"])
    path = f"/members/{person.member_id}/merit"
    mine = await stage.look(person, RECOGNITION, path, season="2026-Q1")
    return {
        "quality": mine["quality"],
        "outcomes": mine["outcomes"],
        "contributions": len(mine["contributions"]),
        "voices": round(sum(c["voices"] for c in mine["contributions"]), 1),
    }


def _merit_table(leaders: list[dict[str, Any]]) -> Table:
    table = Table(
        title="Merit: the top of the season, and why",
        title_justify="left",
        caption="A quality of 0.50 is this circle's average; who is not at the top is not shown.",
        caption_justify="left",
    )
    for heading in ("", "member", "merit", "quality of ratings", "voices", "built or verified"):
        table.add_column(heading, justify="right" if heading != "member" else "left")
    for leader in leaders:
        table.add_row(
            str(leader["rank"]),
            str(leader["name"]),
            f"{leader['merit']:.2f}",
            f"{leader['quality']:.2f}",
            str(leader["voices"]),
            str(leader["outcomes"]),
        )
    return table
