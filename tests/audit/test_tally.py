"""Counts from the log are where each thing stood after its last change."""

from __future__ import annotations

import random
from io import StringIO

from rich.console import Console

from coterie_local.tally import tally

from .builder import named
from .season import clean_log


def test_the_log_alone_tells_where_everything_stands() -> None:
    counted = tally(clean_log())
    assert counted.seats == {"capacity": 1, "held": 3}
    assert counted.applications == {"admitted": 4, "waitlisted": 1}
    assert counted.feedback == {"verified": 1}
    assert counted.look_agains == {"satisfied": 2}
    assert counted.rewards == {"delivered": 1, "reversed": 1}
    assert counted.turns == {
        "seat offers accepted": 1,
        "seat offers lapsed": 1,
        "rounds reopened": 0,
        "rewards approved by hand": 0,
        "rewards approved by policy": 2,
        "rewards held: no budget": 0,
    }
    assert counted.budgets == {
        str(named("budget")): {"currency": "USD", "funded": 1000, "reserved": 0, "spent": 500}
    }
    assert counted.sent == {"account": 3, "community": 5, "offer": 3, "personal": 9}
    assert counted.withheld == {}


def test_counts_do_not_depend_on_the_order_of_arrival() -> None:
    shuffled = clean_log()
    random.Random(3).shuffle(shuffled)
    assert tally(shuffled) == tally(clean_log())


def test_counts_read_as_small_tables() -> None:
    console = Console(width=80, record=True, file=StringIO())
    console.print(tally(clean_log()).render())
    shown = console.export_text()
    assert "waitlisted" in shown
    assert "10.00 USD" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
