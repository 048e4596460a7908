"""The reader survives what real dumps lack, and names file and row of what none may hold."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coterie_local.importers import stackexchange as dump
from coterie_local.importers.plan import BrokenHistory
from coterie_local.importers.stackexchange_plan import plan_stackexchange

SYNTHETIC = Path(__file__).parent.parent / "histories" / "stackexchange"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the synthetic dump that a test may damage."""
    return Path(shutil.copytree(SYNTHETIC, tmp_path / "dump"))


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_rows_are_numbered_from_one_in_file_order() -> None:
    rows = list(dump.raw_rows(SYNTHETIC, "Users"))
    assert [row.ref.row for row in rows] == list(range(1, len(rows) + 1))
    assert str(rows[2].ref) == "Users.xml row 3"


def test_times_are_utc_and_an_empty_one_is_absent() -> None:
    users = [dump.user(row) for row in dump.raw_rows(SYNTHETIC, "Users")]
    assert users[1].created_at == datetime(2019, 1, 5, 9, tzinfo=UTC)
    assert [user.user_id for user in users if user.created_at is None] == [10]
    assert [user.user_id for user in users if user.last_access_at is None] == [9]


def test_a_byte_order_mark_is_no_trouble() -> None:
    assert (SYNTHETIC / "PostLinks.xml").read_bytes().startswith(b"\xef\xbb\xbf")
    assert len(list(dump.raw_rows(SYNTHETIC, "PostLinks"))) == 2


@pytest.mark.parametrize("text", ["<bug><status-planned>", "|bug|status-planned|"])
def test_tags_are_read_in_both_spellings(text: str) -> None:
    assert dump.tags_of(text) == {"bug", "status-planned"}


def test_reading_keeps_no_rows_in_memory(tmp_path: Path) -> None:
    rows = 20_000
    with (tmp_path / "Votes.xml").open("w", encoding="utf-8") as file:
        file.write("<votes>\n")
        for number in range(rows):
            file.write(f'<row Id="{number}" PostId="1" VoteTypeId="2" CreationDate="" />\n')
        file.write("</votes>")
    import tracemalloc

    tracemalloc.start()
    assert sum(1 for _ in dump.raw_rows(tmp_path, "Votes")) == rows
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_missing_files_are_all_named(folder: Path) -> None:
    (folder / "Votes.xml").unlink()
    (folder / "Badges.xml").unlink()
    with pytest.raises(BrokenHistory, match=r"Votes\.xml, Badges\.xml missing in"):
        plan_stackexchange(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenHistory, match="nowhere is not a folder"):
        plan_stackexchange(tmp_path / "nowhere")


def test_a_file_cut_in_half_names_the_row_of_the_cut(folder: Path) -> None:
    path = folder / "Posts.xml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index('<row Id="17"') + 40], encoding="utf-8")
    with pytest.raises(BrokenHistory, match=r"^Posts\.xml row 18: the XML is broken here"):
        plan_stackexchange(folder)


def test_a_word_where_a_number_stands_names_file_row_and_field(folder: Path) -> None:
    _replace(folder / "Votes.xml", 'Id="4" PostId="2"', 'Id="4" PostId="two"')
    with pytest.raises(BrokenHistory, match=r"^Votes\.xml row 4: PostId is 'two', not a whole"):
        plan_stackexchange(folder)


def test_a_time_that_is_none_names_file_and_row(folder: Path) -> None:
    _replace(folder / "Comments.xml", "2019-01-10T11:00:00.000", "last week")
    with pytest.raises(BrokenHistory, match=r"^Comments\.xml row 1: CreationDate is 'last week'"):
        plan_stackexchange(folder)


def test_a_row_without_an_id_is_named(folder: Path) -> None:
    _replace(folder / "Users.xml", '<row Id="3" ', "<row ")
    with pytest.raises(BrokenHistory, match=r"^Users\.xml row 4: Id is missing"):
        plan_stackexchange(folder)


def test_one_file_in_place_of_another_is_noticed(folder: Path) -> None:
    shutil.copy(folder / "Users.xml", folder / "Votes.xml")
    with pytest.raises(BrokenHistory, match=r"Votes\.xml row 1: the file holds <users>"):
        plan_stackexchange(folder)


def test_entities_are_not_expanded(folder: Path) -> None:
    (folder / "Tags.xml").write_text(
        '<!DOCTYPE tags [<!ENTITY a "aaaa">]><tags><row Id="1" TagName="&a;"/></tags>'
    )
    with pytest.raises(BrokenHistory, match=r"^Tags\.xml row 1: refused to expand"):
        plan_stackexchange(folder)
