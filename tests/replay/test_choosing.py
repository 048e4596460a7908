"""What is cut, redacted and compared is exactly what was asked for."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie_contracts.envelope import decode
from coterie_contracts.feedback import (
    FeedbackAccepted,
    FeedbackImplemented,
    FeedbackSubmitted,
    FeedbackVerified,
)
from coterie_contracts.member import MemberAdmitted
from coterie_contracts.reward import RewardIssued
from coterie_replay.comparing import compare, differing, flat
from coterie_replay.faults import ReplayFault
from coterie_replay.ids import IdMap
from coterie_replay.record import Record
from coterie_replay.redacting import Redaction
from coterie_replay.selecting import Selection, effects_of
from tests.replay.making import START, logged, season

SECRET = b"a secret of tests"
ONE, OTHER = UUID(int=1), UUID(int=2)
NO_EVENT = Record("elsewhere", 0, 0, int(START.timestamp() * 1000), b"k", (("ce_id", None),), b"v")


@pytest.fixture
def circles() -> list[Record]:
    return [
        logged(FeedbackSubmitted, 0, community_id=ONE),
        logged(FeedbackAccepted, 1, community_id=ONE),
        logged(FeedbackAccepted, 2, community_id=OTHER),
        logged(RewardIssued, 3, community_id=OTHER),
        NO_EVENT,
    ]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), [0, 1, 2, 3, 4]),
        (Selection(since=START + timedelta(minutes=1)), [1, 2, 3]),
        (Selection(until=START + timedelta(minutes=1)), [0, 4]),
        (Selection(communities=frozenset({ONE})), [0, 1]),
        (Selection(types=frozenset({"feedback.*"})), [0, 1, 2]),
        (Selection(types=frozenset({"coterie.reward.issued.v1", "elsewhere"})), [3, 4]),
        (Selection(communities=frozenset({OTHER}), types=frozenset({"*.accepted"})), [2]),
        (Selection(ids=frozenset()), []),
    ],
)
def test_a_selection_wants_what_fits_all_that_it_names(
    circles: list[Record], selection: Selection, wanted: list[int]
) -> None:
    assert list(selection.of(circles)) == [circles[number] for number in wanted]


def test_what_an_aggregate_caused_is_found_in_any_order() -> None:
    cause = logged(FeedbackImplemented, subject=ONE)
    verified = logged(FeedbackVerified, causation_id=UUID(cause.event_id))
    reward = logged(RewardIssued, causation_id=UUID(verified.event_id))
    chain = [cause, verified, reward]
    strangers = [logged(FeedbackVerified), logged(RewardIssued, causation_id=uuid4()), NO_EVENT]
    for order in ([*chain, *strangers], [*strangers, *reversed(chain)]):
        assert effects_of([ONE], lambda order=order: order) == {r.event_id for r in chain}


@given(st.uuids(), st.sampled_from([b"%s", b'{"a":"%s"}', b"person:%s", b"%s %s"]))
def test_an_id_is_mapped_the_same_wherever_it_stands(known: UUID, where: bytes) -> None:
    ids = IdMap(SECRET)
    mapped = ids.id(known)
    text = where.replace(b"%s", str(known).encode())
    assert ids.inside(text) == where.replace(b"%s", str(mapped).encode())
    assert (mapped.version, mapped.variant) == (known.version, known.variant)
    assert IdMap(SECRET).id(known) == mapped
    assert IdMap(SECRET[::-1]).id(known) != mapped or known.int in {0, 2**128 - 1}


def test_the_day_inside_an_event_id_stays() -> None:
    known = UUID("019c2300-064b-8b0c-9913-aef55ec4b916")
    mapped = IdMap(SECRET).id(known)
    assert mapped != known
    assert mapped.int >> 80 == known.int >> 80


def test_what_only_looks_like_an_id_stays() -> None:
    text = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 " + b"a" * 40
    long = f"a{ONE} {ONE}-1 x".encode()
    assert IdMap(SECRET).inside(text) == text
    assert IdMap(SECRET).inside(long) == long


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ReplayFault, match="at least 16 bytes, this one has 15"):
        IdMap(b"x" * 15)


def test_redacted_events_are_whole_and_share_no_id_with_their_originals() -> None:
    originals = season(140)
    redacted = list(Redaction(IdMap(SECRET)).of(originals))

    assert len(redacted) == len(originals)
    for before, after in zip(originals, redacted, strict=True):
        told = decode(after.topic, after.headers, after.value)
        assert told.traceparent is None
        assert after.key == str(told.subject).encode()
        assert ids_of(before).isdisjoint(ids_of(after))
    subjects = {
        (before.subject, after.subject) for before, after in zip(originals, redacted, strict=True)
    }
    assert len(subjects) == len({before.subject for before in originals})


def ids_of(record: Record) -> set[bytes]:
    parts = [record.key, record.value, *(value for _, value in record.headers)]
    return {found for part in parts for found in re.findall(rb"[0-9a-f-]{36}", part or b"")}


def test_redaction_keeps_only_what_the_contracts_declare() -> None:
    known = logged(MemberAdmitted)
    value = json.loads(known.value or b"") | {"nickname": "Ada of Berlin"}
    grown = replace(
        known,
        headers=(*known.headers, ("x-user", b"ada@example.org")),
        value=json.dumps(value).encode(),
    )
    tombstone = replace(known, value=None)
    redaction = Redaction(IdMap(SECRET))

    (kept,) = redaction.of([grown, NO_EVENT, tombstone])

    assert b"Ada" not in (kept.value or b"")
    assert "x-user" not in dict(kept.headers)
    assert redaction.left_out == {"no event that these contracts know": 2}


def test_the_way_a_record_took_makes_no_difference() -> None:
    records = season(30)
    moved = [
        replace(r, partition=3, offset=r.offset + 7, headers=(*r.headers, ("coterie-replay", b"1")))
        for r in records
    ]
    assert not compare(records, moved)


def test_every_kind_of_difference_is_found() -> None:
    first, second, third = (logged(FeedbackVerified, n, subject=ONE, offset=n) for n in range(3))
    changed = replace(second, value=(second.value or b"").replace(b'"round":1', b'"round":2'))
    assert changed != second

    found = compare([first, second, NO_EVENT], [changed, third])

    assert found.only_left == [first.event_id]
    assert found.only_right == [third.event_id]
    assert found.changed == [second.event_id]
    assert [(topic, count) for (topic, _), count in found.others.items()] == [("elsewhere", -1)]
    assert list(differing(flat(second), flat(changed))) == [("data.round", 1, 2)]
    assert compare([first, second], [second, first]).reordered == [f"feedback.verified {ONE}"]
    assert not compare([first, third], [third, replace(first, key=b"x")]).reordered
