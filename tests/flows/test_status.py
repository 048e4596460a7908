"""`coterie status` beside a running platform: one frame for people, one document for machines."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from coterie_chassis.auth import Role
from tests.flows.newcomer import COTERIE, Newcomer
from tests.flows.operated import Operated, eventually

pytestmark = pytest.mark.slow


def told(operator: Newcomer, *options: str) -> dict[str, Any]:
    done = operator.run(COTERIE, "status", "--json", *options)
    assert done.stderr == ""
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["healthy"] else 1)
    return answer


def columns(operator: Newcomer, width: int) -> tuple[int, str]:
    done = operator.run(COTERIE, "status", "--once", COLUMNS=str(width), NO_COLOR="1")
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= width
    return done.returncode, done.stdout


def test_a_platform_that_is_well_is_told_with_its_seats_and_budgets(
    operator: Newcomer, operated: Operated
) -> None:
    eventually(lambda: operated.troubles() == [])

    code, shown = columns(operator, 80)

    assert (code, shown.splitlines()[0].partition(" at ")[0]) == (0, "Coterie is well")
    rows = [line.split() for line in shown.splitlines()]
    for service in operated.urls:
        (row,) = [row for row in rows if row[:2] == [service, "ready"]]
        assert row[-1] == "leads"
    lanes = [row[:3] for row in rows if row[1:2] in (["prompt"], ["bulk"])]
    assert ["recognition", "bulk", "0"] in lanes
    assert ["Riders", "[bold]", "open", "1", "of", "3", "0", "0"] in rows
    assert ["Rewards", "Riders", "[bold]", "120.00", "0.00", "0.00", "USD"] in rows


def test_a_dead_letter_and_the_key_that_it_parks_are_shown_with_the_command(
    operator: Newcomer, operated: Operated
) -> None:
    operated.plant_dead_letter()
    eventually(lambda: any("2 dead letters" in what for what in operated.troubles()))

    for width in (80, 120):
        code, shown = columns(operator, width)
        assert code == 1
        assert shown.startswith("1 thing needs somebody at ")
        assert "! recognition: 2 dead letters in lane prompt, 1 key parked" in shown
        command = "coterie service recognition redrive list --lane prompt"
        assert f"  {command}" in shown
        assert (operated.urls["feedback"] in shown) == (width == 120)
        listed = operator.run(COTERIE, *command.split()[1:])
        assert "+1 behind" in listed.stdout
    (trouble,) = told(operator)["troubles"]
    assert (trouble["service"], trouble["command"]) == ("recognition", command)


def test_services_elsewhere_are_asked_with_a_token_that_somebody_brought(
    operator: Newcomer, operated: Operated
) -> None:
    (operator.folder / "token").write_text(operated.token(Role.OPERATOR, "olu"))
    (operator.folder / "manager").write_text(operated.token(Role.MANAGER))
    urls = [part for url in operated.urls.values() for part in ("--url", url)]

    whole = told(operator, *urls, "--token-file", "token")
    refused = told(operator, *urls, "--token-file", "manager")
    gone = told(operator, "--url", "http://127.0.0.1:1", "--token-file", "token")

    assert [one["name"] for one in whole["instances"]] == list(operated.urls)
    assert all(one["problem"] is None for one in whole["instances"])
    assert (len(whole["seats"]), len(whole["budgets"])) == (1, 1)
    assert {one["problem"] for one in refused["instances"]} == {"This needs the role operator."}
    assert "does not answer at http://127.0.0.1:1" in gone["instances"][0]["problem"]


def test_a_service_that_has_stopped_answering_costs_one_line(
    operator: Newcomer, operated: Operated
) -> None:
    (process,) = [
        process
        for process in operator.left()
        if process.cmdline()[-2:] == ["coterie_feedback", "serve"]
    ]
    process.suspend()
    try:
        code, shown = columns(operator, 80)
    finally:
        process.resume()
    assert code == 1
    assert "! feedback: does not answer at " in shown
    assert ["feedback", "no", "answer"] in [line.split()[:3] for line in shown.splitlines()]


def test_on_a_terminal_it_goes_on_until_it_is_interrupted_and_leaves_the_last_frame(
    operator: Newcomer, operated: Operated
) -> None:
    terminal, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm-256color"}
    watching = subprocess.Popen(
        [COTERIE, "status", "--every", "0.2"],
        cwd=operator.folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = _read(terminal, lambda text: text.count("need") >= 3)
    watching.send_signal(signal.SIGINT)
    seen += _read(terminal, lambda _: False)
    assert watching.wait(20) == 0
    leaves_the_screen = seen.rindex("\x1b[?1049l")
    assert "somebody" in seen[leaves_the_screen:]


def _read(terminal: int, enough: Any) -> str:
    """What is written to the terminal until that is enough, or it is closed."""
    text, deadline = "", time.monotonic() + 30
    while not enough(text):
        ready, _, _ = select.select([terminal], [], [], max(deadline - time.monotonic(), 0))
        assert ready, text
        try:
            more = os.read(terminal, 65_536).decode(errors="replace")
        except OSError:  # the other end is closed
            break
        if not more:
            break
        text += more
    return text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--data nowhere", "no platform runs on nowhere: start one with `coterie up`"),
        ("--url nonsense", "--url 'nonsense' is no address such as http://127.0.0.1:8000"),
        ("--url http://127.0.0.1:1", "--url needs a token with the role operator"),
        ("--url http://127.0.0.1:1 --token-file none", "--token-file none cannot be read"),
        ("--token-file none", "--token-file goes with --url"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_one_line(
    options: str, said: str, tmp_path: Path
) -> None:
    done = Newcomer(tmp_path).run(COTERIE, "status", *options.split(), COTERIE_TOKEN="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"coterie: {said}")
    assert len(done.stderr.splitlines()) == 1
