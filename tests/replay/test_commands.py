"""The commands do what their help says, and refuse in one line what they cannot do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from coterie_contracts.feedback import FeedbackImplemented, FeedbackVerified
from coterie_contracts.reward import RewardIssued
from coterie_replay import cli
from coterie_replay.record import Record
from coterie_replay.tape import TapeReader, TapeWriter, write_tape
from tests.replay.making import logged, season

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `coterie-replay` with these words; exit code, output, errors."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["coterie-replay", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        signal.signal(signal.SIGTERM, before)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "season.jsonl.zst"
    write_tape(path, season(140))
    return path


def records(path: Path) -> list[Record]:
    return list(TapeReader(path))


def test_every_command_has_a_help_text_with_examples_of_its_words(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for command in ("record", "inspect", "cut", "redact", "play", "diff", "verify"):
        assert command in out
        assert run(command, "--help")[0] == 0


def test_inspect_counts_what_is_there(run: Run, tape: Path) -> None:
    code, out, _ = run("inspect", tape, "--json")
    told = json.loads(out)
    assert (code, told["records"], told["tombstones"], told["replayed"]) == (0, 140, 0, 0)
    assert told["first"] == "2026-02-03T10:00:00+00:00"
    assert told["types"]["coterie.feedback.verified.v1"] == 2
    assert sum(told["communities"].values()) == 140

    code, out, _ = run("inspect", tape, "--events", 2)
    assert "records:     140" in out
    assert "        2  coterie.feedback.verified.v1" in out
    assert len([line for line in out.splitlines() if '{"' in line]) == 2


def test_cut_keeps_what_fits(run: Run, tape: Path, tmp_path: Path) -> None:
    new = tmp_path / "cut.jsonl"
    words = ("--since", "2026-02-03T10:10:00Z", "--until", "2026-02-03T12:00", "--type", "member.*")
    code, out, _ = run("cut", tape, new, *words)
    cut = records(new)
    assert code == 0
    assert f"{len(cut)} records" in out
    assert cut == [r for r in records(tape)[10:120] if r.topic.startswith("member.")]


def test_cut_follows_what_an_aggregate_caused(run: Run, tmp_path: Path) -> None:
    aggregate = uuid4()
    cause = logged(FeedbackImplemented, subject=aggregate)
    effect = logged(FeedbackVerified, 1, causation_id=UUID(cause.event_id))
    reward = logged(RewardIssued, 2, causation_id=UUID(effect.event_id))
    path, new = tmp_path / "all.jsonl", tmp_path / "cut.jsonl"
    write_tape(path, [*season(20), reward, cause, effect])
    assert run("cut", path, new, "--aggregate", aggregate)[0] == 0
    assert records(new) == [reward, cause, effect]


def test_redact_takes_its_secret_from_where_nobody_sees_it(
    run: Run, tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COTERIE_REPLAY_SECRET", raising=False)
    assert run("redact", tape, tmp_path / "a.jsonl")[0::2] == (
        2,
        "coterie-replay: redact needs a secret: set COTERIE_REPLAY_SECRET or pass --secret-file\n",
    )
    secret = tmp_path / "secret"
    secret.write_text("sixteen bytes or more\n")
    assert run("redact", tape, tmp_path / "a.jsonl", "--secret-file", secret)[0] == 0
    monkeypatch.setenv("COTERIE_REPLAY_SECRET", "sixteen bytes or more")
    assert run("redact", tape, tmp_path / "b.jsonl")[0] == 0
    assert records(tmp_path / "a.jsonl") == records(tmp_path / "b.jsonl")
    ids = {r.event_id for r in records(tape)}
    assert ids.isdisjoint(r.event_id for r in records(tmp_path / "a.jsonl"))


def test_diff_tells_what_differs(run: Run, tape: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same.jsonl", tmp_path / "other.jsonl"
    write_tape(same, records(tape))
    assert run("diff", tape, same) == (0, "they tell the same\n", "")
    first, *rest = records(tape)
    verified = next(r for r in rest if r.topic == "feedback.verified")
    changed = replace(verified, value=(verified.value or b"").replace(b'"round":1', b'"round":2'))
    write_tape(other, [changed if r == verified else r for r in rest])

    code, out, _ = run("diff", tape, other)

    assert code == 1
    assert out.splitlines() == [
        f"1 only in {tape}:",
        f"  {first.event_id}",
        "1 in both, and different:",
        f"  {verified.event_id}",
        f"{verified.event_id} (feedback.verified)",
        "  data.round: 1 -> 2",
    ]


def test_verify_names_every_fault(run: Run, tape: Path, tmp_path: Path) -> None:
    code, out, _ = run("verify", tape)
    assert (code, out) == (0, f"{tape}: 140 records, all in order\n")

    good = logged(FeedbackVerified, offset=5)
    unknown = replace(
        good,
        offset=6,
        headers=tuple(
            (n, b"coterie.feedback.verified.v9" if n == "ce_type" else v) for n, v in good.headers
        ),
    )
    path = tmp_path / "faulty.jsonl"
    write_tape(path, [good, unknown, replace(good, offset=3), replace(good, offset=7, value=b"{}")])
    edited = path.read_bytes().replace(b'"round":1', b'"round":3')
    path.write_bytes(edited)

    code, out, _ = run("verify", path)

    assert code == 1
    told = out.splitlines()
    assert "offset 6: type 'coterie.feedback.verified.v9' is not known" in told[0]
    assert "offset 3 stands behind offset 6: order is lost" in told[1]
    assert "offset 7: feedback_id: missing" in told[2]
    assert told[3] == "records were changed: they do not have the digest of the header"


def test_a_tape_goes_to_a_broker_and_comes_back(
    run: Run, kafka: Any, tape: Path, tmp_path: Path
) -> None:
    prefix = f"t{uuid4().hex[:8]}."
    words = ("--kafka", kafka.bootstrap, "--prefix", prefix, "--create-topics")
    code, out, _ = run("play", tape, *words, "--dry-run")
    assert (code, out) == (0, "would play 140 records to 70 topics with the replay mark\n")
    code, out, _ = run("play", tape, *words)
    assert (code, out) == (0, "played 140 records with the replay mark\n")
    assert run("play", tape, *words, "--fresh-ids", "--seed", "a")[0] == 0

    new = tmp_path / "back.jsonl.zst"
    code, out, _ = run("record", new, "--kafka", kafka.bootstrap, "--prefix", prefix)
    assert (code, out) == (0, f"{new}: 280 records\n")
    code, out, _ = run("diff", tape, new)
    assert code == 1
    assert out.startswith(f"140 only in {new}:\n"), "those with fresh ids"
    assert out.count("\n") == 12


def test_an_interrupted_recording_leaves_a_valid_tape(
    kafka: Any, tape: Path, tmp_path: Path
) -> None:
    prefix = f"t{uuid4().hex[:8]}."
    script = Path(sys.executable).parent / "coterie-replay"
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
    words = [script, "play", tape, "--prefix", prefix, "--create-topics"]
    subprocess.run(words, check=True, env=environment, timeout=60, capture_output=True)
    new = tmp_path / "back.jsonl.zst"

    following = subprocess.Popen(
        [script, "record", new, "--prefix", prefix, "--follow"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stderr is not None
    assert "following it until Ctrl-C" in following.stderr.readline()
    following.send_signal(signal.SIGTERM)
    out, _ = following.communicate(timeout=30)

    assert following.returncode == 0
    assert out == f"{new}: 140 records until it was interrupted\n"
    assert [r.event_id for r in records(new)] == [r.event_id for r in records(tape)]


def test_an_interrupted_cut_leaves_nothing(
    run: Run, tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, new = TapeWriter.write, tmp_path / "cut.jsonl"

    def interrupted(self: TapeWriter, record: Record) -> None:
        write(self, record)
        if self.records == 100:
            raise KeyboardInterrupt

    monkeypatch.setattr(TapeWriter, "write", interrupted)
    assert run("cut", tape, new)[0] == 130
    assert list(tmp_path.iterdir()) == [tape]


def test_long_work_shows_how_far_it_is_and_not_where_results_go(run: Run, tmp_path: Path) -> None:
    path, new = tmp_path / "long.jsonl", tmp_path / "cut.jsonl"
    write_tape(path, season(140) * 20)
    code, out, err = run("cut", path, new, "--type", "feedback.verified")
    assert (code, out) == (0, f"{new}: 40 records\n")
    shares = [int(line.split("%")[0]) for line in err.splitlines()]
    assert len(shares) > 5
    assert shares == sorted(set(shares))
    assert "%  cut: 2,560 records" in err


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("inspect", "none.jsonl"), "none.jsonl cannot be read: No such file or directory"),
        (("cut", "TAPE", "TAPE"), "is there already: name another file, or pass --force"),
        (("cut", "TAPE", "new.jsonl", "--since", "soon"), "--since 'soon' is no time like"),
        (("play", "TAPE", "--kafka", "127.0.0.1:1"), "no Kafka answers at 127.0.0.1:1"),
        (("play", "TAPE", "--kafka", "x:1", "--speed", "-1"), "--speed '-1' is none of: full, "),
        (("play", "TAPE", "--kafka", "x:1", "--seed", "a"), "--seed belongs to --fresh-ids"),
        (("record", "new.jsonl", "--kafka", "nonsense"), "no Kafka answers at nonsense"),
        (("diff", "TAPE", "DAMAGED"), "line 2 is no record: is no JSON object"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Run,
    tape: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    fault: str,
) -> None:
    (tmp_path / "damaged.jsonl").write_text('{"coterie_tape": 1}\n[]\n')
    places = {name: str(tmp_path / name) for name in ("new.jsonl", "none.jsonl")}
    places |= {"TAPE": str(tape), "DAMAGED": str(tmp_path / "damaged.jsonl")}
    code, _, err = run(*(places.get(word, word) for word in words))
    assert code == 2
    assert fault in err
    assert err.startswith("coterie-replay: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "new.jsonl").exists()


def test_a_recording_of_no_broker_leaves_no_tape(run: Run, tmp_path: Path) -> None:
    assert run("record", tmp_path / "a.jsonl", "--kafka", "127.0.0.1:1")[0] == 2
    assert list(tmp_path.iterdir()) == []
