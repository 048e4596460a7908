"""The window of ids that count: no id outside of it makes a partition, and none inside is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from coterie_chassis.errors import ConfigurationFault
from coterie_chassis.inbox import Inbox, _partition, day_of
from coterie_chassis.settings import ChassisSettings, load
from coterie_chassis.testing import Harness, event_of
from coterie_contracts.envelope import Event
from coterie_contracts.feedback import FeedbackSubmitted

from . import sample

TODAY = datetime.now(UTC)
BEFORE_UNIX = UUID(int=0x0000_0000_0001_8000_8000_0000_0000_0001)
YEAR_10889 = UUID(int=(1 << 128) - 1)


def fact(id_: UUID | None = None) -> Event[FeedbackSubmitted]:
    subject = uuid4()
    body = FeedbackSubmitted(
        feedback_id=subject, community_id=uuid4(), author_id=uuid4(), objective_id=None
    )
    event = event_of(body, subject)
    return event if id_ is None else replace(event, id=id_)


def id_at(moment: datetime) -> UUID:
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 8 << 76 | 2 << 62 | uuid4().int & 0xFFFF)


async def heard(h: Harness) -> set[UUID]:
    async with h.database.begin() as uow:
        return {row.event_id for row in await uow.rows(select(sample.heard))}


async def recorded(h: Harness) -> set[UUID]:
    async with h.database.begin() as uow:
        return {row.event_id for row in await uow.rows(text("SELECT event_id FROM inbox"))}


async def partitions(h: Harness) -> list[date]:
    query = text(
        "SELECT child.relname AS name FROM pg_inherits JOIN pg_class AS child "
        "ON child.oid = inhrelid WHERE inhparent = 'inbox'::regclass ORDER BY 1"
    )
    async with h.database.begin() as uow:
        names: Sequence[str] = [row.name for row in await uow.rows(query)]
    return [date.fromisoformat(name.removeprefix("inbox_").replace("_", "-")) for name in names]


@pytest.mark.parametrize(
    ("forged", "kind"),
    [
        (BEFORE_UNIX, None),
        (id_at(datetime(1999, 1, 1, tzinfo=UTC)), None),
        (id_at(TODAY - timedelta(days=31)), None),
        (id_at(TODAY + timedelta(days=4)), "unreadable"),
        (id_at(datetime(9999, 12, 31, tzinfo=UTC)), "unreadable"),
        (YEAR_10889, "unreadable"),
    ],
)
async def test_an_id_outside_of_the_window_makes_no_partition_and_stops_nobody(
    h: Harness, forged: UUID, kind: str | None
) -> None:
    good = fact()

    await h.deliver(fact(forged), good)

    assert await heard(h) == {good.id}
    assert [letter.kind for letter in await h.dead_letters()] == ([kind] if kind else [])
    assert await partitions(h) == [day_of(good.id)]


@pytest.mark.parametrize(
    ("known", "outside", "letters"),
    [
        (TODAY - timedelta(days=1), TODAY - timedelta(days=31), []),
        (TODAY + timedelta(days=1), TODAY + timedelta(days=3), ["unreadable"]),
    ],
    ids=["behind", "ahead"],
)
async def test_what_was_recorded_by_the_window_of_another_day_is_undone(
    h: Harness, known: datetime, outside: datetime, letters: list[str]
) -> None:
    """Ids are recorded before the database's clock is known, and count by it all the same."""
    first, good, other = fact(), fact(), fact(id_at(outside))
    await h.deliver(first)
    async with h.database.begin() as uow:
        await uow.execute(text(_partition(day_of(other.id))))
    for lane in h.runtime.lanes:
        lane._window = Inbox(30).window(known)

    await h.deliver(first, other, good)

    assert await heard(h) == {first.id, good.id}
    assert await recorded(h) == {first.id, good.id}
    assert [letter.kind for letter in await h.dead_letters()] == letters


@pytest.mark.parametrize("retention_days", [1, 30, 0])
def test_the_window_ends_where_retention_does(retention_days: int) -> None:
    inbox = Inbox(retention_days)
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    oldest = now - timedelta(days=retention_days) if retention_days else now.replace(year=2020)

    assert inbox.covers(id_at(oldest), now)
    assert not inbox.covers(id_at(oldest - timedelta(days=61 if not retention_days else 1)), now)
    assert inbox.covers(id_at(now + timedelta(days=2)), now)
    assert not inbox.covers(id_at(now + timedelta(days=3)), now)


async def test_pruning_drops_what_lies_behind_the_horizon(h: Harness) -> None:
    inbox = Inbox(30)
    days = [TODAY - timedelta(days=ago) for ago in (29, 5, 0)]
    await inbox.prepare(h.database, [id_at(day) for day in days])
    assert len(await partitions(h)) == 3

    assert await Inbox(3).prune(h.database) == 2

    assert await partitions(h) == [TODAY.date()]
    assert await Inbox(0).prune(h.database) == 0


async def test_an_open_dead_letter_holds_the_horizon_back(h: Harness) -> None:
    old = fact(id_at(TODAY - timedelta(days=20)))
    sample.POISON.add(old.id)
    await h.deliver(old, fact(id_at(TODAY - timedelta(days=25))), fact())
    assert len(await h.dead_letters()) == 1

    assert await Inbox(3).prune(h.database) == 1
    assert await partitions(h) == [day_of(old.id), TODAY.date()]

    async with h.database.begin() as uow:
        await uow.execute(text("UPDATE dead_letter SET state = 'dropped'"))
    assert await Inbox(3).prune(h.database) == 1
    assert await partitions(h) == [TODAY.date()]


def settings(**days: int) -> ChassisSettings:
    return ChassisSettings(
        database_url=SecretStr("postgresql://nobody@nowhere/none"),
        kafka_bootstrap="nowhere:1",
        jwks="unused",
        token_issuer="unused",
        **days,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("archive", "inbox"), [(31, 30), (0, 30), (0, 3650), (7, 6)])
def test_an_inbox_that_forgets_before_the_archive_does_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, archive: int, inbox: int
) -> None:
    monkeypatch.setenv("COTERIE_ARCHIVE_RETENTION_DAYS", str(archive))
    monkeypatch.setenv("COTERIE_INBOX_RETENTION_DAYS", str(inbox))

    with pytest.raises(ConfigurationFault) as refused:
        load(ChassisSettings)

    assert f"COTERIE_INBOX_RETENTION_DAYS: {inbox} must be" in str(refused.value)
    assert "COTERIE_DATABASE_URL" in str(refused.value), "all faults are told at once"


@pytest.mark.parametrize(("archive", "inbox"), [(30, 30), (7, 0), (0, 0), (1, 400)])
def test_an_inbox_that_remembers_longer_is_fine(archive: int, inbox: int) -> None:
    assert settings(archive_retention_days=archive, inbox_retention_days=inbox)


def test_the_default_inbox_is_refused_beside_an_archive_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COTERIE_ARCHIVE_RETENTION_DAYS", "0")

    with pytest.raises(ConfigurationFault, match="must be 0, for ever"):
        load(ChassisSettings)
