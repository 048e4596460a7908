"""A tape gives back, byte for byte, what was written on it, or says why it cannot."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from coterie_contracts.feedback import FeedbackImplemented, FeedbackVerified
from coterie_contracts.member import MemberContact
from coterie_replay.faults import ReplayFault
from coterie_replay.lines import from_line, to_line
from coterie_replay.record import Record
from coterie_replay.tape import FORMAT, TapeReader, TapeWriter, write_tape
from tests.replay.making import START, logged, season

GOLDEN = Path(__file__).resolve().parents[2] / "contracts" / "examples"
NAMES = ("tape.jsonl", "tape.jsonl.zst")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
).map(lambda value: json.dumps(value).encode())
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_specversion", "ce_id", "ce_source", "ce_type", "content-type", "ce_x", "other"]
        )
        | st.text(max_size=5),
        st.none() | st.binary(max_size=5) | st.just(b"application/json") | st.just(b"1.0"),
    ),
    max_size=8,
).map(tuple)
RECORDS = st.builds(
    Record,
    topic=st.text(min_size=1, max_size=9),
    partition=st.integers(0, 11),
    offset=st.integers(0, 2**63 - 1),
    timestamp=st.integers(-1, 2**53),
    key=st.none() | st.binary(max_size=9),
    headers=HEADERS,
    value=st.none() | st.binary(max_size=50) | JSON_VALUES,
)


@given(RECORDS)
def test_whatever_a_record_holds_comes_back(record: Record) -> None:
    line = to_line(record)
    assert b"\n" not in line
    assert from_line(line) == record


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"[ 1]", b'{"a":1,"a":2}', b"1e400", b"1e5", b'"\\ud800"', b"\xff", b"NaN"],
)
@pytest.mark.parametrize("depth", [0, 199, 5_000])
def test_json_that_would_not_come_back_the_same_is_kept_as_bytes(value: bytes, depth: int) -> None:
    record = replace(logged(FeedbackVerified), value=b"[" * depth + value + b"]" * depth)
    assert from_line(to_line(record)) == record


def golden() -> Iterator[Path]:
    return GOLDEN.glob("*/*/example.record.json")


@pytest.mark.parametrize("path", sorted(golden()), ids=lambda path: path.parts[-3])
def test_every_golden_record_is_told_as_the_cloudevent_that_it_is(path: Path) -> None:
    told = json.loads(path.read_text())
    headers = tuple((name, b64decode(value)) for name, value in told["headers"])
    value = b64decode(told["value"])
    record = Record(told["topic"], 0, 0, 0, b64decode(told["key"]), headers, value)
    line = to_line(record)

    assert from_line(line) == record
    event = JSONFormat().read(None, json.dumps(json.loads(line)["event"]))
    attributes = dict(event.get_attributes())
    assert attributes.pop("time").isoformat() == "2026-02-03T10:15:30.123456+00:00"
    assert attributes == {
        "datacontenttype" if name == "content-type" else name.removeprefix("ce_"): text.decode()
        for name, text in headers
        if name.startswith(("ce_", "content-type")) and name != "ce_time"
    }
    assert event.get_data() == json.loads(value)


@pytest.mark.parametrize("name", NAMES)
def test_a_tape_gives_back_its_records_and_its_header_tells_of_them(
    tmp_path: Path, name: str
) -> None:
    records = season(150)
    with TapeWriter(tmp_path / name, partitions={"feedback.verified": 12}) as tape:
        for record in records:
            tape.write(record)

    read = TapeReader(tmp_path / name)
    assert list(read) == records
    assert list(read) == records, "it can be read again"
    assert read.read_bytes == read.total_bytes
    header = read.header
    assert (header.records, header.first) == (150, START)
    assert header.last == records[-1].happened
    assert header.types["coterie.feedback.verified.v1"] == 2
    assert sum(header.types.values()) == 150
    assert header.partitions == {"feedback.verified": 12}
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_digest_is_of_the_records_and_not_of_the_file(tmp_path: Path) -> None:
    records = season(5)
    plain, compressed = (write_tape(tmp_path / name, records).digest for name in NAMES)
    other = [replace(records[0], headers=((*records[0].headers, ("x", None)))), *records[1:]]
    assert plain == compressed
    assert plain != write_tape(tmp_path / "other.jsonl", other).digest


def test_contact_data_is_never_written(tmp_path: Path) -> None:
    contact = logged(MemberContact)
    with TapeWriter(tmp_path / "tape.jsonl") as tape:
        tape.write(contact)
        tape.write(replace(contact, topic="test-1.member.contact", headers=()))
        tape.write(replace(contact, topic="elsewhere"))
        tape.write(logged(FeedbackVerified))
    assert (tape.left_out, tape.records) == (3, 1)
    assert b"ada@example.org" not in (tmp_path / "tape.jsonl").read_bytes()


def test_a_tape_with_contact_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    contact = to_line(logged(MemberContact)).decode()
    path.write_text(f'{{"coterie_tape": {FORMAT}}}\n{contact}\n')
    with pytest.raises(ReplayFault, match=r"line 2 holds contact data"):
        list(TapeReader(path))


@pytest.mark.parametrize("name", NAMES)
def test_memory_does_not_grow_with_the_tape(tmp_path: Path, name: str) -> None:
    record = logged(FeedbackImplemented)
    peaks = []
    for count in (200, 2_000):
        path = tmp_path / f"{count}-{name}"
        tracemalloc.start()
        with TapeWriter(path) as tape:
            for number in range(count):
                tape.write(replace(record, offset=number))
        assert sum(1 for _ in TapeReader(path)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with TapeWriter(tmp_path / "tape.jsonl") as tape:
            tape.write(logged(FeedbackVerified))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_is_interrupted_leaves_a_valid_tape(tmp_path: Path) -> None:
    record = logged(FeedbackVerified)
    path = tmp_path / "tape.jsonl.zst"

    def be_interrupted() -> None:
        with TapeWriter(path, keep_partial=True) as tape:
            tape.write(record)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert list(TapeReader(path)) == [record]


def test_a_tape_is_not_overwritten_by_mistake(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    write_tape(path, season(1))
    with pytest.raises(ReplayFault, match=r"is there already: .*--force"):
        TapeWriter(path)
    assert write_tape(path, season(2), overwrite=True).records == 2


def broken(tmp_path: Path, name: str, *lines: str) -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


HEAD = f'{{"coterie_tape": {FORMAT}}}'
PLACE = '"topic":"t","partition":0,"offset":0,"timestamp":0'


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ((), "is no tape: its first line is no header"),
        (('{"topic": "t"}',), "is no tape: its first line is no header"),
        (('{"coterie_tape": 9}',), "a tape of format 9; this coterie-replay reads format 1"),
        ((HEAD, "{"), "line 2 is no record: EOF while parsing"),
        ((HEAD, "[]"), "line 2 is no record: is no JSON object"),
        ((HEAD, '{"headers": []}'), "line 2 is no record: `topic` is missing or no str"),
        ((HEAD, f'{{{PLACE},"headers":[1]}}'), r"`headers` is no list of \[name, value\]"),
        ((HEAD, f'{{{PLACE},"headers":[],"key":1}}'), "`key` is neither text, null nor base64"),
        ((HEAD, f'{{{PLACE},"headers":[],"key":{{"base64":"ü"}}}}'), "`key` is no base64"),
        ((HEAD, f'{{{PLACE},"headers":[],"event":1}}'), "`event` is no JSON object"),
        (
            (HEAD, f'{{{PLACE},"headers":[["ce_id","1"]],"event":{{"id":"2","data":1}}}}'),
            "`event` and `headers` disagree on id",
        ),
        (('{"coterie_tape": 1, "records": 2}', f'{{{PLACE},"headers":[]}}'), "holds 1 of the 2"),
    ],
)
def test_what_is_no_tape_is_refused_in_one_line(
    tmp_path: Path, lines: tuple[str, ...], fault: str
) -> None:
    with pytest.raises(ReplayFault, match=fault) as refused:
        list(TapeReader(broken(tmp_path, "tape.jsonl", *lines)))
    assert "\n" not in str(refused.value)


def test_a_compressed_tape_that_is_cut_short_or_damaged_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl.zst"
    write_tape(whole, season(100))
    short = tmp_path / "short.jsonl.zst"
    short.write_bytes(whole.read_bytes()[:-500])
    with pytest.raises(ReplayFault, match=r"short.jsonl.zst.* (holds|no record)"):
        list(TapeReader(short))
    with pytest.raises(ReplayFault, match="cannot be read: it is not compressed as it should be"):
        TapeReader(broken(tmp_path, "plain.jsonl.zst", HEAD))


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ReplayFault, match="cannot be read: No such file"):
        TapeReader(tmp_path / "none.jsonl")
    with pytest.raises(ReplayFault, match="cannot be written: No such file"):
        TapeWriter(tmp_path / "no-folder" / "tape.jsonl")
