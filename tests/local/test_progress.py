"""A person sees a bar move; a log file gets a few lines that stay readable."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from coterie_local.progress import Progress


def _shown(*, terminal: bool, steps: int, part: str = "work") -> str:
    out = StringIO()
    with Progress(Console(file=out, width=80, force_terminal=terminal)) as progress:
        for done in range(steps + 1):
            progress.at(done, steps, part)
    return out.getvalue()


def test_a_pipe_gets_a_line_a_tenth_and_no_control_characters() -> None:
    shown = _shown(terminal=False, steps=5_000)
    assert all(character == "\n" or character.isprintable() for character in shown)
    assert len(shown.splitlines()) == 11
    assert shown.splitlines()[-1].startswith("  100 %  work")


def test_a_pipe_gets_a_line_for_each_part() -> None:
    out = StringIO()
    with Progress(Console(file=out, width=80, force_terminal=False)) as progress:
        for part in ("first", "first", "second"):
            progress.at(0, 100, part)
    assert [line.split()[2] for line in out.getvalue().splitlines()] == ["first", "second"]


def test_a_terminal_gets_a_bar() -> None:
    assert "\x1b[" in _shown(terminal=True, steps=3)


def test_nothing_to_do_is_done() -> None:
    assert "100 %" in _shown(terminal=False, steps=0)
