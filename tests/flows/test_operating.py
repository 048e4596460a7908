"""`docs/operate.md` is true: its commands do what it says, in order, on a running platform.

Commands stand in `console` blocks. What a table or a sentence tells somebody to type stands in such
a block too, so that it is run.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from coterie_chassis.telemetry import METRICS
from coterie_local.data_folder import DataFolder
from tests.flows.newcomer import COTERIE, Newcomer
from tests.flows.operated import Operated, eventually

pytestmark = pytest.mark.slow

PAGE: Final = (Path(__file__).resolve().parents[2] / "docs" / "operate.md").read_text()
_BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`(coterie(?:-[a-z]+)? [^`]*)`")
UP: Final = "coterie up"
ENDS_WITH_1: Final = ("coterie service recognition redrive retry 1",)
TELLS: Final = {
    "coterie status --once": "Coterie is well",
    "coterie status --json": '"healthy": true',
    "curl -s http://127.0.0.1:8000/health/ready": '"waiting_for":[]',
    "coterie audit": ": clean",
    "coterie story FEEDBACK_ID": "made a suggestion",
    "coterie why NOTIFICATION_ID": "policy version",
    "coterie-membership migrate": "the schema is current",
    "coterie service recognition redrive list": "+1 behind",
    "coterie service recognition redrive show 1": "feedback.implemented.v99",
    "coterie service recognition redrive retry 1": "0 applied, 2 still open",
    'coterie service recognition redrive drop 1 --reason "sent by mistake" --author mia': (
        "dropped; 1 applied from behind it, 0 still open"
    ),
    "coterie service recognition redrive retry --all": "0 applied, 0 still open",
    "coterie service recognition redrive retry d1": "1 applied, 0 still open",
    "coterie service membership republish": "events sent again",
}


def sections() -> dict[str, list[str]]:
    """The commands of each section, in order."""
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    told = {
        part.partition("\n")[0]: [
            line for block in _BLOCK.findall(part) for line in block.splitlines()
        ]
        for part in parts
    }
    return {title: commands for title, commands in told.items() if commands}


SECTIONS: Final = sections()


def test_what_the_page_tells_to_type_is_in_a_block_that_is_run() -> None:
    run = [command for commands in SECTIONS.values() for command in commands]
    inline = {command for command in _INLINE.findall(PAGE) if command != "coterie service"}
    assert len(run) >= 20
    assert inline
    assert inline - set(run) == set()
    assert set(TELLS) | set(ENDS_WITH_1) <= set(run)


def test_the_metrics_that_the_page_names_are_measured() -> None:
    measured = {metric.name for metric in METRICS}
    named = set(re.findall(r"`(coterie\.[a-z_.]+)`", PAGE))
    assert len(named) >= 10
    assert named - measured == set()


@pytest.mark.parametrize("title", [title for title in SECTIONS if SECTIONS[title] != [UP]])
def test_its_commands_do_what_they_say(operator: Newcomer, operated: Operated, title: str) -> None:
    if title == "Dead letters":
        operated.plant_dead_letter()
        operated.plant_failed_deadline()
        eventually(lambda: any("2 dead letters" in what for what in operated.troubles()))
    for command in SECTIONS[title]:
        words = shlex.split(operated.filled_in(command))
        words[0] = str(COTERIE.with_name(words[0])) if words[0] != "curl" else words[0]
        environment = {}
        if command.startswith("coterie-"):
            service = command.split()[0].removeprefix("coterie-")
            environment = DataFolder(operated.data).environment(service)
        done = operator.run(*words, **environment)
        told = f"{command}\n{done.stdout}{done.stderr}"
        assert done.returncode == (1 if command in ENDS_WITH_1 else 0), told
        assert TELLS.get(command, "") in done.stdout, told
    eventually(lambda: operated.troubles() == [])


def test_the_page_begins_with_the_command_that_all_others_stand_on() -> None:
    assert SECTIONS["Install"] == [UP]
