"""What an operator does with what was set aside, on the command line and beside a consumer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from coterie_chassis import cli, deadletter, retention
from coterie_chassis.auth import Role
from coterie_chassis.errors import ConfigurationFault
from coterie_chassis.redrive import redrive_letter
from coterie_chassis.testing import Harness, person, until

from . import sample
from .facts import fact, heard


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Said]]


@pytest.fixture
def run(h: Harness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`coterie-sample …` on the harness's database, in a thread with a loop of its own."""
    url = h.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("COTERIE_DATABASE_URL", url)
    monkeypatch.setenv("COTERIE_KAFKA_BOOTSTRAP", "nowhere:1")
    monkeypatch.setenv("COTERIE_JWKS", "unused")
    monkeypatch.setenv("COTERIE_TOKEN_ISSUER", "unused")

    async def command(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["coterie-sample", *words])
        try:
            await asyncio.to_thread(cli.run, sample.service)
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return command


async def stuck_keys(h: Harness, count: int) -> list[UUID]:
    events = [fact(uuid4(), 1) for _ in range(count)]
    sample.POISON.update(event.id for event in events)
    await h.deliver(*events, *(fact(event.subject, 2) for event in events))
    return [event.subject for event in events]


async def first_letter(h: Harness) -> int:
    return int((await h.dead_letters())[0].id)


async def test_a_list_shows_each_key_once_with_what_waits_behind_it(h: Harness, run: Run) -> None:
    keys = await stuck_keys(h, 3)

    said = await run("redrive", "list")

    *lines, last = said.out.splitlines()
    assert (said.code, last) == (0, "3 open, 0 deadlines")
    assert [str(key) in line for key, line in zip(keys, lines, strict=True)] == [True] * 3
    assert all("+1 behind" in line and "a defect in the handler" in line for line in lines)


async def test_a_long_list_is_cut_and_says_so(h: Harness, run: Run) -> None:
    await stuck_keys(h, 5)

    said = await run("redrive", "list", "--limit", "2")

    assert len(said.out.splitlines()) == 3
    assert said.out.splitlines()[-1] == "5 open, 0 deadlines, 2 shown of each"


async def test_a_list_can_be_narrowed(h: Harness, run: Run) -> None:
    await stuck_keys(h, 2)

    assert "0 open" in (await run("redrive", "list", "--lane", "bulk")).out
    assert "0 open" in (await run("redrive", "list", "--kind", "refused")).out
    assert "2 open" in (await run("redrive", "list", "--topic", "feedback.submitted")).out


async def test_show_tells_a_letter_whole(h: Harness, run: Run) -> None:
    (key,) = await stuck_keys(h, 1)

    said = await run("redrive", "show", str(await first_letter(h)))

    told = json.loads(said.out)
    assert (told["subject"], told["topic"]) == (str(key), "feedback.submitted")
    assert {"partition", "offset", "headers", "value", "error"} <= told.keys()


async def test_retry_ends_with_1_while_something_stays_open(h: Harness, run: Run) -> None:
    (key,) = await stuck_keys(h, 1)
    letter = str(await first_letter(h))

    failing = await run("redrive", "retry", letter)
    sample.mend()
    mended = await run("redrive", "retry", letter)

    assert (failing.code, failing.out) == (1, "0 applied, 2 still open\n")
    assert (mended.code, mended.out) == (0, "2 applied, 0 still open\n")
    assert await heard(h) == [(key, 1), (key, 2)]


async def test_retry_all_goes_on_behind_a_key_that_fails_again(h: Harness, run: Run) -> None:
    keys = await stuck_keys(h, 4)
    again = (await h.dead_letters())[1].event_id
    sample.mend()
    sample.POISON.add(again)

    said = await run("redrive", "retry", "--all")

    assert (said.code, said.out) == (1, "6 applied, 2 still open\n")
    assert {subject for subject, _ in await heard(h)} == {keys[0], keys[2], keys[3]}


@pytest.mark.parametrize(
    "words",
    [
        ["retry", "4711"],
        ["retry", "d4711"],
        ["retry", "many"],
        ["retry", "-1"],
        ["retry"],
        ["retry", "1", "--all"],
        ["show", "4711"],
        ["drop", "4711", "--reason", "r", "--author", "a"],
        ["drop", "d4711", "--reason", "r", "--author", "a"],
    ],
)
async def test_what_cannot_be_done_is_one_line_and_2(
    h: Harness, run: Run, words: list[str]
) -> None:
    said = await run("redrive", *words)

    assert said.code == 2
    assert "Traceback" not in said.err


async def test_drop_keeps_reason_and_author_and_ends_with_1_while_a_follower_fails(
    h: Harness, run: Run
) -> None:
    (key,) = await stuck_keys(h, 1)
    follower = (await h.dead_letters())[1]
    sample.POISON.add(follower.event_id)
    letter = await first_letter(h)

    said = await run(
        "redrive", "drop", str(letter), "--reason", "sent by mistake", "--author", "mia"
    )

    assert (said.code, said.out) == (1, "dropped; 0 applied from behind it, 1 still open\n")
    async with h.database.begin() as uow:
        query = text("SELECT state, reason, author FROM dead_letter WHERE id = :id")
        row = (await uow.execute(query, {"id": letter})).one()
    assert tuple(row) == ("dropped", "sent by mistake", "mia")
    assert str(key) in (await run("redrive", "list")).out


async def test_a_database_that_is_away_is_one_line_and_3(
    h: Harness, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COTERIE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    said = await run("redrive", "list")

    assert said.code == 3
    assert said.err.startswith("coterie-sample: try again later:")
    assert "Traceback" not in said.err


async def failed_reminder(h: Harness, community: UUID) -> UUID:
    body = {"community_id": community, "text": "x", "remind_in_s": 1}
    answer = await h.post("/notes", body, as_=person("ann", Role.MEMBER))
    note_id = UUID(answer.json()["note_id"])
    sample.POISON.add(note_id)
    await h.sweep(at=datetime.now(UTC) + timedelta(seconds=5))
    return note_id


async def test_a_failed_deadline_is_listed_shown_and_retried(
    h: Harness, community: UUID, run: Run
) -> None:
    note_id = await failed_reminder(h, community)

    listed = await run("redrive", "list")
    line, last = listed.out.splitlines()
    assert last == "0 open, 1 deadlines"
    assert str(note_id) in line
    name = line.split()[0]
    assert json.loads((await run("redrive", "show", name)).out)["kind"] == "note.remind"
    assert (await run("redrive", "retry", name)).out == "0 applied, 1 still open\n"
    sample.mend()
    assert (await run("redrive", "retry", "--all")).out == "1 applied, 0 still open\n"
    assert (await run("redrive", "list")).out == "0 open, 0 deadlines\n"


async def test_a_failed_deadline_is_dropped_with_reason_and_author(
    h: Harness, community: UUID, run: Run
) -> None:
    await failed_reminder(h, community)
    name = (await run("redrive", "list")).out.split()[0]

    said = await run("redrive", "drop", name, "--reason", "moot", "--author", "mia")

    assert (said.code, (await run("redrive", "retry", name)).code) == (0, 2)
    async with h.database.begin() as uow:
        row = (await uow.execute(text("SELECT state, reason, author FROM failed_deadline"))).one()
    assert tuple(row) == ("dropped", "moot", "mia")


async def test_a_redrive_beside_a_running_consumer_keeps_the_order_of_the_key(h: Harness) -> None:
    key = uuid4()
    events = [fact(key, sequence) for sequence in range(1, 61)]
    sample.POISON.add(events[0].id)
    await h.deliver(*events[:20])
    letter = await first_letter(h)
    sample.mend()

    async def consume() -> None:
        for event in events[20:]:
            await h.deliver(event)

    await asyncio.gather(redrive_letter(h.runtime, letter), consume())
    while (open_ := await h.dead_letters()) != []:
        await redrive_letter(h.runtime, open_[0].id)

    assert await heard(h) == [(key, sequence) for sequence in range(1, 61)]


async def test_an_event_that_comes_while_its_key_is_redriven_waits_for_that_and_for_nothing_else(
    h: Harness,
) -> None:
    key = uuid4()
    events = [fact(key, 1), fact(key, 2)]
    sample.POISON.add(events[0].id)
    await h.deliver(events[0])
    sample.mend()
    (lane,) = [lane for lane in h.runtime.lanes if lane.lane == "prompt"]

    async with h.database.begin() as redriving:
        row = await deadletter.next_open(redriving, "prompt", key)
        assert row is not None
        record = deadletter.record_of(row)
        assert await lane.apply_alone(record, redriving, new=False) is None
        await redriving.execute(text("UPDATE dead_letter SET state = 'redriven'"))
        coming = asyncio.create_task(h.deliver(events[1]))

        async def waits_or_is_done() -> bool:
            async with h.database.begin() as uow:
                return coming.done() or bool(await uow.rows(BLOCKED))

        await until(waits_or_is_done)
        assert not coming.done()
    await coming

    assert await heard(h) == [(key, 1), (key, 2)]
    assert await h.dead_letters() == []


BLOCKED = text(
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_two_redrives_of_one_key_apply_each_letter_once(h: Harness) -> None:
    key = uuid4()
    events = [fact(key, sequence) for sequence in range(1, 21)]
    sample.POISON.add(events[0].id)
    await h.deliver(*events)
    letter = await first_letter(h)
    sample.mend()

    answers = await asyncio.gather(
        *(redrive_letter(h.runtime, letter) for _ in range(3)), return_exceptions=True
    )

    late = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(answer, ConfigurationFault) for answer in late), late
    assert await heard(h) == [(key, sequence) for sequence in range(1, 21)]


async def test_what_was_settled_long_ago_is_deleted_and_nothing_open(
    h: Harness, community: UUID
) -> None:
    await stuck_keys(h, 1)
    await failed_reminder(h, community)
    ann = person("ann", Role.MEMBER)
    for key in ("old", "new"):
        await h.post("/notes", {"community_id": community, "text": "x"}, as_=ann, key=key)
    async with h.database.begin() as uow:
        for statement in AGED.text.split(";"):
            await uow.execute(text(statement))

    assert await retention.prune(h.database, h.runtime.settings) == 3

    async with h.database.begin() as uow:
        counts = {
            name: (await uow.execute(text(f"SELECT count(*) FROM {name}"))).scalar_one()  # noqa: S608
            for name in ("idempotency", "dead_letter", "failed_deadline", "republish_request")
        }
    assert counts == {
        "idempotency": 1,
        "dead_letter": 1,
        "failed_deadline": 2,
        "republish_request": 1,
    }


AGED = text("""
UPDATE idempotency SET stored_at = now() - interval '31 days'
    WHERE id = (SELECT id FROM idempotency ORDER BY stored_at LIMIT 1);
UPDATE dead_letter SET state = 'dropped', settled_at = now() - interval '91 days'
    WHERE kind = 'bug';
INSERT INTO failed_deadline
    (kind, aggregate_id, community_id, due_at, error, state, settled_at)
    SELECT kind, aggregate_id, community_id, due_at, error, 'redriven', now() - interval '89 days'
    FROM failed_deadline;
INSERT INTO republish_request (served_at, sent)
    VALUES (now() - interval '91 days', 1), (NULL, NULL)
""")
