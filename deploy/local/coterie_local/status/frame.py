"""One frame of the terminal: what needs somebody first, then the numbers; fits 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.columns import Columns
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from coterie_contracts.model import as_written
from coterie_local.status.asking import Budget, Circle, Glance, Instance, Status
from coterie_local.status.judging import LATE, Trouble, span

__all__ = ["frame"]

_UNKNOWN: Final = Text("?", style="yellow")
_WIDE: Final = 100
_ROWS: Final = 6
_NAME: Final = 18


def frame(glance: Glance, found: Sequence[Trouble]) -> RenderableType:
    """`glance` as a person reads it; `found` is what `troubles` says of it."""
    parts: list[RenderableType] = [_headline(glance, found)]
    if found:
        parts.append(_troubles(found))
    circles = [part for part in (_seats(glance), _budgets(glance)) if part is not None]
    tables = (_Instances(glance), _lanes(glance.services()), Columns(circles, padding=(1, 4)))
    for table in tables:
        parts += ["", table]
    return Group(*parts)


def _headline(glance: Glance, found: Sequence[Trouble]) -> Text:
    at = glance.at.astimezone().strftime("%H:%M:%S")
    if not found:
        return Text.assemble(("Coterie is well", "bold green"), f" at {at}")
    things = "1 thing needs" if len(found) == 1 else f"{len(found)} things need"
    return Text.assemble((f"{things} somebody", "bold red"), f" at {at}")


def _troubles(found: Sequence[Trouble]) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for trouble in found:
        grid.add_row(Text("!", style="bold red"), Text(str(trouble)))
        if trouble.command:
            grid.add_row("", Text(trouble.command, style="bold", overflow="fold"))
    return grid


class _Instances:
    """The table of services, with their addresses where there is room for them."""

    def __init__(self, glance: Glance) -> None:
        self._instances = glance.instances

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= _WIDE
        table = _table("service", "state", "version", ">up", ">outbox", ">oldest", "relay")
        if wide:
            table.add_column("address")
        for instance in self._instances:
            table.add_row(*_row(instance), *([Text(instance.place.url)] if wide else []))
        yield table


def _row(instance: Instance) -> list[str | Text]:
    status = instance.status
    if status is None:
        return [Text(instance.name), Text("no answer", style="bold red"), *[_UNKNOWN] * 5]
    up = span((status.now - status.started_at).total_seconds())
    name = status.service if status.role == "all" else f"{status.service} {status.role}"
    row: list[str | Text] = [Text(name), _state(status), Text(status.version), up]
    if status.outbox is None:
        return [*row, *[_UNKNOWN] * 3]
    late = status.outbox.age_s > LATE.total_seconds()
    oldest = Text(span(status.outbox.age_s), style="bold red" if late else "")
    led = Text("leads") if status.outbox.led else Text("nobody", style="bold red")
    return [*row, f"{status.outbox.depth:,}", oldest, led]


def _state(status: Status) -> Text:
    if status.stuck:
        return Text("stuck", style="bold red")
    if status.waiting_for:
        return Text("not ready", style="bold red")
    return Text("ready", style="green")


def _lanes(services: Sequence[Status]) -> RenderableType:
    table = _table("consumer", "lane", ">behind", ">oldest", ">set aside", ">parked keys", "state")
    for status in services:
        for lane in status.lanes:
            state = Text("halted", style="bold red") if lane.halted else Text("runs")
            table.add_row(
                status.service,
                lane.lane,
                _number(lane.events_behind),
                _age(lane.seconds_behind),
                _number(lane.dead_letters, bad=bool(lane.dead_letters)),
                _number(lane.parked_keys, bad=bool(lane.parked_keys)),
                state,
            )
        if status.failed_deadlines:
            aside = _number(status.failed_deadlines, bad=True)
            table.add_row(status.service, "deadlines", "", "", aside, "", "")
    return table


def _seats(glance: Glance) -> RenderableType | None:
    if not glance.circles:
        return None
    table = _table("community", "", ">seats held", ">waiting", ">offered")
    for circle in glance.circles[:_ROWS]:
        held = Text(f"{circle.held} of {circle.capacity}", style="" if circle.free else "bold")
        numbers = str(circle.waitlisted), str(circle.offered)
        table.add_row(_short(circle.name), circle.status, held, *numbers)
    return _with_rest(table, glance.circles, more="seats" in glance.more)


def _budgets(glance: Glance) -> RenderableType | None:
    if not glance.budgets:
        return None
    names = {circle.community_id: circle.name for circle in glance.circles}
    table = _table("budget", "of", ">left", ">reserved", ">spent", "")
    for budget in glance.budgets[:_ROWS]:
        left = Text(
            as_written(budget.available_minor, budget.currency),
            style="yellow" if budget.low else "",
        )
        table.add_row(
            _short(budget.name),
            _short(names.get(budget.community_id, budget.community_id)),
            left,
            as_written(budget.reserved_minor, budget.currency),
            as_written(budget.spent_minor, budget.currency),
            Text(budget.currency + (" low" if budget.low else "")),
        )
    return _with_rest(table, glance.budgets, more="budgets" in glance.more)


def _with_rest(table: Table, rows: Sequence[Circle | Budget], *, more: bool) -> RenderableType:
    if len(rows) <= _ROWS:
        return table
    rest = f"and {len(rows) - _ROWS}{' or more' if more else ''} others"
    return Group(table, Text(f" {rest}: --json tells them", style="dim"))


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if right else "left")
    return table


def _number(value: int | None, *, bad: bool = False) -> Text:
    return _UNKNOWN if value is None else Text(f"{value:,}", style="bold red" if bad else "")


def _age(seconds: float | None) -> Text:
    if seconds is None:
        return _UNKNOWN
    return Text(span(seconds), style="bold red" if seconds > LATE.total_seconds() else "")


def _short(name: str) -> Text:
    """A name of somebody's choosing, as it is and no markup."""
    return Text(name if len(name) <= _NAME else name[: _NAME - 1] + "…")
