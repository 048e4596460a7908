"""Each check of a storm finds what it is there for, in what a broken platform would leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from coterie_local.log import Record
from coterie_local.platform import SERVICES
from tests.faults.storm import checks
from tests.faults.storm.checks import Seen, Service
from tests.faults.storm.journal import Journals
from tests.faults.storm.plan import Fault, Plan
from tests.faults.storm.records import Injected

TOPIC = "feedback.accepted"
READER = "notifications"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
KEY = uuid4()
FIRST, SECOND = uuid4(), uuid4()


def record(event_id: UUID, offset: int) -> Record:
    headers = (("ce_id", str(event_id).encode()),)
    return Record(TOPIC, 0, offset, 0, str(KEY).encode(), headers, b"{}")


def handled(event_id: UUID, *, at: datetime = NOW) -> dict[str, Any]:
    row = {"lane": "prompt", "event_id": event_id, "subject": KEY, "topic": TOPIC}
    return row | {"redriven": False, "began": at}


def letter(**changed: Any) -> dict[str, Any]:
    known = {
        "lane": "prompt",
        "subject": KEY,
        "event_id": None,
        "topic": TOPIC,
        "partition": 0,
        "offset": 9,
        "kind": "version",
        "state": "dropped",
        "error": "",
        "settled_at": NOW + timedelta(seconds=10),
        "kept_at": NOW,
    }
    return known | changed


def service(**changed: Any) -> Service:
    return replace(Service({}, [], [], [], 0), **changed)


@pytest.fixture
def well(tmp_path: Path) -> Seen:
    """Two events of one key, written, sent and applied in order."""
    services = {name: service() for name in SERVICES}
    services["feedback"] = service(written={FIRST: TOPIC, SECOND: TOPIC})
    services[READER] = service(received=[FIRST, SECOND], handled=[handled(FIRST), handled(SECOND)])
    log = [record(FIRST, 0), record(SECOND, 1)]
    return Seen(Plan(1, ()), log, Injected(), services, Journals(tmp_path), set(), [])


def with_reader(seen: Seen, **changed: Any) -> Seen:
    reader = replace(seen.services[READER], **changed)
    return replace(seen, services=seen.services | {READER: reader})


Break = Callable[[Seen], Seen]
BROKEN: dict[str, Break] = {
    "what was written was sent": lambda seen: replace(seen, log=seen.log[:1]),
    "what was sent was written": lambda seen: replace(seen, log=[*seen.log, record(uuid4(), 2)]),
    "what was sent is kept": lambda seen: with_reader(
        seen, received=[FIRST], handled=[handled(FIRST)]
    ),
    "what was received took effect": lambda seen: with_reader(seen, handled=[handled(FIRST)]),
    "each event is applied once": lambda seen: with_reader(
        seen, handled=[handled(FIRST), handled(FIRST), handled(SECOND)]
    ),
    "a key keeps its order": lambda seen: with_reader(
        seen, handled=[handled(SECOND), handled(FIRST)]
    ),
    "a parked key waits": lambda seen: with_reader(
        seen,
        letters=[letter()],
        handled=[handled(FIRST), handled(SECOND, at=NOW + timedelta(seconds=5))],
    ),
    "poison is kept": lambda seen: replace(seen, injected=Injected(poison={(TOPIC, 0, 7)})),
    "nothing else is set aside": lambda seen: with_reader(seen, letters=[letter(kind="bug")]),
    "nothing goes out twice": lambda seen: replace(seen, codes=2 * [{"reward_id": KEY}]),
    "nothing is sent twice for no reason": lambda seen: replace(
        seen, log=[*seen.log, record(FIRST, 2)]
    ),
}


def names_of(seen: Seen) -> set[str]:
    """The checks that found something, but for the audit, which reads real events alone."""
    found = {violation.partition(":")[0] for violation in checks.violations_of(seen)}
    return found - {"the audit is clean"}


def test_nothing_is_found_where_all_is_well(well: Seen) -> None:
    assert names_of(well) == set()


@pytest.mark.parametrize("name", BROKEN)
def test_a_check_finds_what_it_is_there_for(name: str, well: Seen) -> None:
    assert name in names_of(BROKEN[name](well))


def test_what_a_storm_put_there_itself_is_no_violation(well: Seen) -> None:
    place = (TOPIC, 0, 2)
    poisoned = with_reader(well, letters=[letter(offset=2)])
    assert (
        names_of(
            replace(
                poisoned,
                log=[*well.log, record(uuid4(), 2), record(FIRST, 3)],
                injected=Injected(poison={place}, copies=[FIRST]),
            )
        )
        == set()
    )


def test_a_disturbed_relay_may_send_twice(well: Seen) -> None:
    twice = replace(well, log=[*well.log, record(FIRST, 2)])
    assert names_of(replace(twice, plan=Plan(1, (Fault("kill", "feedback", 1, 0.0),)))) == set()


def test_redelivery_without_a_pause_is_found(well: Seen, tmp_path: Path) -> None:
    tries = [
        {"at": 100.0 + n / 100, "pid": 1, "what": "again", "lane": "prompt"} for n in range(100)
    ]
    journal = tmp_path / f"{READER}-a.jsonl"
    journal.write_text("".join(json.dumps(one) + "\n" for one in tries[::20]))
    assert names_of(well) == set()
    journal.write_text("".join(json.dumps(one) + "\n" for one in tries))
    assert names_of(well) == {"redelivery backs off"}


def test_an_order_of_a_provider_that_nobody_wanted_is_found(well: Seen, tmp_path: Path) -> None:
    order = {"at": 1.0, "pid": 1, "what": "provided", "reward_id": str(KEY)}
    (tmp_path / "recognition-a.jsonl").write_text(2 * (json.dumps(order) + "\n"))
    assert names_of(replace(well, given={KEY})) == set()
    assert names_of(well) == {"nothing goes out twice"}


def test_a_line_that_a_killed_process_did_not_finish_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "feedback-a.jsonl").write_text('{"at": 1, "pid": 1, "what": "born"}\n{"at": 2')
    assert [note.what for note in Journals(tmp_path).notes()] == ["born"]
