"""A data folder that is broken is said to be so, with what to do, and left as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coterie_local.data_folder import DataFolder, running_in
from coterie_local.platform import Options, Platform
from coterie_local.postgres import EmbeddedPostgres
from coterie_local.secrets_store import Secrets
from coterie_local.tokens import TokenIssuer
from coterie_replay.brokers.processes import LocalFault

WHAT_TO_DO = "pass another --data"


def refusal(platform: Platform) -> str:
    with pytest.raises(LocalFault) as refused:
        platform.start()
    told = str(refused.value)
    assert "\n" not in told
    return told


@pytest.mark.parametrize(
    ("file", "content"), [("PG_VERSION", "17\n"), ("holiday.txt", "not a database")]
)
def test_a_folder_with_other_data_is_no_database(tmp_path: Path, file: str, content: str) -> None:
    cluster = tmp_path / "cluster"
    cluster.mkdir()
    (cluster / file).write_text(content)
    with pytest.raises(LocalFault, match=WHAT_TO_DO) as refused:
        EmbeddedPostgres(tmp_path).start()
    assert "\n" not in str(refused.value)
    assert [path.name for path in cluster.iterdir() if path.name != "postmaster.pid"] == [file]
    assert (cluster / file).read_text() == content


def test_broken_secrets_are_named_and_never_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text('{"membership": "half a')
    for use in (lambda: Secrets(file).get("membership"), lambda: Secrets(file).keep("a", "b")):
        with pytest.raises(LocalFault, match=rf"{file} is broken.*{WHAT_TO_DO}"):
            use()
    assert file.read_text() == '{"membership": "half a'


def test_a_broken_key_for_tokens_is_named(tmp_path: Path) -> None:
    (tmp_path / "signing-key.pem").write_text("-----BEGIN NOTHING-----")
    with pytest.raises(LocalFault, match="holds no key for ES256: remove it"):
        TokenIssuer(tmp_path)


def test_a_file_where_a_folder_belongs_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kafka").write_text("a file")
    told = refusal(Platform(Options(data=tmp_path / "data")))
    assert "kafka" in told
    assert WHAT_TO_DO in told


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    told = refusal(Platform(Options(data=tmp_path / "file" / "data")))
    assert "cannot be used (Not a directory)" in told


@pytest.mark.parametrize("notes", ["", "{", "[]", '{"pid": 1}'])
def test_broken_notes_about_a_run_mean_that_nothing_runs(tmp_path: Path, notes: str) -> None:
    folder = DataFolder(tmp_path)
    folder.take()
    (tmp_path / "platform.json").write_text(notes)
    assert running_in(tmp_path) is None
    (tmp_path / "ports.json").write_text(notes)
    assert set(folder.ports(["membership"], None)) == {"membership"}
    folder.release()


def test_a_service_keeps_its_settings_for_commands_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COTERIE_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("KEPT", "as it is")
    folder = DataFolder(tmp_path)
    folder.keep_environment("feedback", {"COTERIE_HTTP_PORT": "1", "OTHER": "not ours"})
    file = tmp_path / "environments" / "feedback.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {"COTERIE_HTTP_PORT": "1"}
    known = folder.environment("feedback")
    assert known["COTERIE_HTTP_PORT"] == "1"
    assert known["KEPT"] == "as it is"
    assert "COTERIE_LOG_LEVEL" not in known
