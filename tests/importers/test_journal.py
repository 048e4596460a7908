"""A journal brings an interrupted import back to where it was, and never mixes two imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from coterie_local.importers.journal import Journal, Outcome
from coterie_local.importers.plan import Fate


def _journal(path: Path | None, *, plan: str = "p1", community: str = "c1") -> Journal:
    return Journal(path, plan=plan, community=community)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "imports" / "journal.jsonl"


def test_outcomes_are_there_the_next_time(path: Path) -> None:
    played = Outcome(Fate.PLAYED, facts={"id": "x"})
    refused = Outcome(Fate.REFUSED, "not-a-member-then")
    with _journal(path) as journal:
        journal.keep("post:1", played)
        journal.keep("post:2", refused)
    with _journal(path) as journal:
        assert journal.get("post:1") == played
        assert journal.get("post:2") == refused
        assert journal.get("post:3") is None


def test_a_line_cut_short_is_dropped_and_writing_goes_on_after_it(path: Path) -> None:
    with _journal(path) as journal:
        journal.keep("post:1", Outcome(Fate.PLAYED))
        journal.keep("post:2", Outcome(Fate.PLAYED))
    path.write_bytes(path.read_bytes()[:-5])
    with _journal(path) as journal:
        assert len(journal) == 1
        journal.keep("post:3", Outcome(Fate.PLAYED))
    with _journal(path) as journal:
        assert [journal.get(f"post:{n}") is not None for n in (1, 2, 3)] == [True, False, True]


@pytest.mark.parametrize("other", [{"plan": "p2"}, {"community": "c2"}])
def test_a_journal_of_something_else_is_set_aside(path: Path, other: dict[str, str]) -> None:
    with _journal(path) as journal:
        journal.keep("post:1", Outcome(Fate.PLAYED))
    with _journal(path, **other) as journal:
        assert len(journal) == 0
    assert path.with_name("journal.jsonl.old").exists()


def test_a_journal_whose_first_line_was_cut_starts_anew(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"plan":"p1"')
    with _journal(path) as journal:
        journal.keep("post:1", Outcome(Fate.PLAYED))
    with _journal(path) as journal:
        assert len(journal) == 1


def test_without_a_path_nothing_is_kept() -> None:
    with _journal(None) as journal:
        journal.keep("post:1", Outcome(Fate.PLAYED))
        assert journal.get("post:1") is not None
