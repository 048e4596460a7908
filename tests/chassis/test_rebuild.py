"""Projections made again from the log of a real broker, beside a service that consumes from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from sqlalchemy import text

from coterie_chassis import rebuild_report
from coterie_chassis.comparison import Difference
from coterie_chassis.errors import ConfigurationFault
from coterie_chassis.rebuild import Rebuilt, rebuild
from coterie_chassis.service import Runtime, Service
from coterie_chassis.store import Database
from coterie_chassis.testing import event_of, until
from coterie_contracts.envelope import Event
from coterie_contracts.member import (
    Admission,
    MemberAdmitted,
    MemberContact,
    MemberErased,
    MemberReleased,
    MemberStatus,
    MemberSuspended,
)
from coterie_contracts.model import EventBody
from coterie_replay.brokers.apache import ApacheKafka
from coterie_replay.brokers.topics import create_topics

from . import sample
from .platform import Broker, Platform

pytestmark = pytest.mark.usefixtures("topics")

THEN: Final = datetime(2026, 1, 1, tzinfo=UTC)
SEAT: Final = {"seat_sequence": 1, "capacity": 10, "seats_held": 1}
UNTOUCHED: Final = ("outbox", "outbox_archive", "inbox", "dead_letter", "applied_position")
SCHEMAS: Final = "pg_namespace WHERE starts_with(nspname, 'rebuild_')"
COPIES: Final = ("community_copy", "erased_member", "member_copy")


@pytest.fixture
async def platform(
    fresh_database: Callable[[Service], Awaitable[str]], any_kafka: Broker
) -> AsyncIterator[Platform]:
    sample.mend()
    platform = Platform(await fresh_database(sample.service), any_kafka.bootstrap)
    yield platform
    sample.mend()
    await platform.database.close()


def facts(member: UUID, status: MemberStatus) -> dict[str, Any]:
    return {
        "member_id": member,
        "community_id": member,
        "person_id": member,
        "status": status,
        "admitted_at": THEN,
        "time_zone": "Europe/Berlin",
        "locale": "de",
    }


def admitted(member: UUID, **attributes: Any) -> Event[EventBody]:
    body = MemberAdmitted(
        **facts(member, MemberStatus.ACTIVE),
        **SEAT,
        via=Admission.APPLICATION,
        application_id=member,
        requirements_version=1,
    )
    return event_of(body, member, **attributes)


def suspended(member: UUID, sequence: int = 2) -> Event[EventBody]:
    body = MemberSuspended(**facts(member, MemberStatus.SUSPENDED), until=THEN)
    return event_of(body, member, sequence=sequence)


def erased(member: UUID) -> Event[EventBody]:
    body = MemberErased(member_id=member, community_id=member, person_id=member, **SEAT)
    return event_of(body, member, sequence=9)


async def statuses(platform: Platform, *members: UUID) -> list[str | None]:
    async with platform.database.begin() as uow:
        rows = await uow.rows(text("SELECT member_id, status FROM member_copy"))
    known = {row.member_id: row.status for row in rows}
    return [known.get(member) for member in members]


async def consumed(platform: Platform, *events: Event[EventBody]) -> None:
    """Send `events` and wait until the running instance has dealt with the last of each key."""
    await platform.send(*events)
    await until(lambda: _known(platform, {event.id for event in events}))


async def _known(platform: Platform, ids: set[UUID]) -> bool:
    async with platform.database.begin() as uow:
        rows = await uow.rows(
            text("SELECT event_id FROM inbox WHERE event_id = ANY(CAST(:ids AS uuid[]))"),
            {"ids": sorted(ids)},
        )
    return len(rows) == len(ids)


async def rebuilt(platform: Platform, **options: Any) -> Rebuilt:
    runtime = Runtime(sample.service, platform.settings)
    try:
        return await rebuild(runtime, **options)
    finally:
        await runtime.database.close()


async def change(platform: Platform, *statements: str) -> None:
    async with platform.database.begin() as uow:
        for statement in statements:
            await uow.execute(text(statement))


async def counts(platform: Platform) -> list[int]:
    return [await platform.count(table) for table in UNTOUCHED]


def differing(found: Rebuilt) -> dict[str, tuple[Difference, ...]]:
    return {one.projection.table.name: one.first for one in found.tables if not one.equal}


async def test_a_rebuild_equals_what_was_consumed_and_leaves_no_trace(platform: Platform) -> None:
    one, two, gone = uuid4(), uuid4(), uuid4()
    async with platform.instance():
        events = [admitted(one), admitted(two), suspended(two), erased(gone)]
        await consumed(platform, *events, admitted(gone), *events[:2])
    before = await counts(platform)

    found = await rebuilt(platform)

    assert found.equal
    assert [table.projection.table.name for table in found.tables] == list(COPIES)
    assert all(table.live.rows for table in found.tables if "member" in table.projection.table.name)
    assert await counts(platform) == before
    assert await platform.count(SCHEMAS) == 0


async def test_rows_that_differ_are_named_and_mended_only_when_asked(platform: Platform) -> None:
    changed, lost, kept, invented = (uuid4() for _ in range(4))
    async with platform.instance():
        await consumed(platform, admitted(changed), admitted(lost), admitted(kept))
    await change(
        platform,
        f"UPDATE member_copy SET status = 'left', locale = 'fr' WHERE member_id = '{changed}'",  # noqa: S608
        f"DELETE FROM member_copy WHERE member_id = '{lost}'",  # noqa: S608
        f"INSERT INTO erased_member VALUES ('{invented}')",  # noqa: S608
    )
    wrong = {
        "erased_member": (Difference((f"member_id={invented}",), "extra", ()),),
        "member_copy": tuple(
            sorted(
                [
                    Difference((f"member_id={changed}",), "different", ("status", "locale")),
                    Difference((f"member_id={lost}",), "missing", ()),
                ],
                key=lambda one: one.key,
            )
        ),
    }

    compared = await rebuilt(platform)
    left_alone = await statuses(platform, changed, lost, kept)
    before = await counts(platform)
    swapped = await rebuilt(platform, swap=True)

    assert differing(compared) == wrong
    assert left_alone == ["left", None, "active"]
    assert not compared.swapped
    assert (swapped.swapped, swapped.equal) == (True, True)
    assert await statuses(platform, changed, lost, kept) == ["active"] * 3
    assert await counts(platform) == before
    assert (await rebuilt(platform)).equal


async def test_consumers_go_on_and_both_sides_are_compared_at_one_event(platform: Platform) -> None:
    members, stop = [uuid4() for _ in range(20)], asyncio.Event()

    async def go_on() -> int:
        sequence = 1
        while not stop.is_set():
            sequence += 1
            await consumed(platform, *(suspended(member, sequence) for member in members))
        return sequence

    async with platform.instance():
        await consumed(platform, *map(admitted, members))
        writing = asyncio.create_task(go_on())
        found = [await rebuilt(platform) for _ in range(3)]
        stop.set()
        last = await writing
    assert await platform.count(f"member_copy WHERE sequence = {last}") == len(members)
    assert [differing(one) for one in found] == [{}] * 3
    assert found[0].read < found[-1].read


async def test_what_was_set_aside_is_left_out_until_it_is_redriven(platform: Platform) -> None:
    member = uuid4()
    contact = event_of(
        MemberContact(member_id=member, community_id=member, email="a@b.example"),
        member,
        sequence=None,
    )
    sample.POISON.add(contact.id)
    async with platform.instance():
        for event in (admitted(member), contact, suspended(member)):
            await consumed(platform, event)
        assert await platform.count("dead_letter WHERE state = 'open'") == 2
        assert await statuses(platform, member) == ["active"]

        found = await rebuilt(platform, swap=True)

        assert (found.equal, found.swapped, found.left_out) == (True, False, 2)
        assert await statuses(platform, member) == ["active"]


async def test_an_event_older_than_the_inbox_horizon_takes_effect_by_a_swap(
    platform: Platform,
) -> None:
    old, new = uuid4(), uuid4()
    month_ago = int((datetime.now(UTC) - timedelta(days=40)).timestamp() * 1000)
    id_ = UUID(int=(month_ago << 80) | (7 << 76) | (2 << 62) | (old.int & ((1 << 62) - 1)))
    async with platform.instance():
        await platform.send(admitted(old, id=id_))
        await consumed(platform, admitted(new))
        await consumed(platform, suspended(new))
    assert await statuses(platform, old, new) == [None, "suspended"]

    found = await rebuilt(platform, swap=True)

    assert found.swapped
    assert await statuses(platform, old, new) == ["active", "suspended"]


async def test_the_work_of_a_rebuild_has_no_outbox_and_rings_no_bell(platform: Platform) -> None:
    url = platform.settings.database_url.get_secret_value()
    rung = []
    silent = Database(url, service="sample", shadow="public")
    silent.on_publish = lambda: rung.append("silent")
    platform.database.on_publish = lambda: rung.append("loud")
    try:
        for database in (silent, platform.database):
            async with database.begin() as uow:
                platform.fact(uow, uuid4(), 1)
    finally:
        await silent.close()

    assert (await platform.waiting(), rung) == (1, ["loud"])


async def test_a_schema_that_an_interrupted_rebuild_left_is_dropped(platform: Platform) -> None:
    await change(
        platform,
        "CREATE SCHEMA rebuild_20260101t000000",
        "CREATE TABLE rebuild_20260101t000000.t()",
    )

    class Interrupted(BaseException):
        pass

    def interrupt(read: int, of: int) -> None:
        raise Interrupted

    async with platform.instance():
        await consumed(platform, admitted(uuid4()))
    with pytest.raises(Interrupted):
        await rebuilt(platform, tell=interrupt)

    assert await platform.count(SCHEMAS) == 0


async def test_a_second_rebuild_at_a_time_is_refused(platform: Platform) -> None:
    async with platform.database.engine.connect() as other:
        await other.execute(text("SELECT pg_advisory_lock(7203555)"))
        with pytest.raises(ConfigurationFault, match="another rebuild of sample is running"):
            await rebuilt(platform)


async def test_a_log_that_lacks_what_was_applied_is_refused(platform: Platform) -> None:
    async with platform.instance():
        await consumed(platform, admitted(uuid4()))
    lost = uuid4().int & ((1 << 80) - 1) | (int(datetime.now(UTC).timestamp() * 1000) << 80)
    await change(platform, f"INSERT INTO inbox VALUES ('{UUID(int=lost)}')")  # noqa: S608

    with pytest.raises(ConfigurationFault, match="the log lacks 1 events that sample has applied"):
        await rebuilt(platform, swap=True)


def test_a_report_names_keys_and_columns_and_no_value() -> None:
    assert list(rebuild_report.lines("membership", Rebuilt())) == [
        "membership: keeps no projection, nothing to rebuild"
    ]


@pytest.mark.needs_apache_kafka
async def test_a_partition_that_lost_its_first_event_is_named_unless_it_was_refilled(
    fresh_database: Callable[[Service], Awaitable[str]], apache_kafka: ApacheKafka
) -> None:
    await asyncio.to_thread(apache_kafka.start)
    await create_topics(apache_kafka.bootstrap, partitions=1)
    platform = Platform(await fresh_database(sample.service), apache_kafka.bootstrap)
    member = uuid4()
    body = MemberReleased(**facts(member, MemberStatus.RELEASED), **SEAT)
    released = event_of(body, member, sequence=2)
    async with platform.instance():
        await consumed(platform, admitted(member), released)
    admin = AIOKafkaAdminClient(bootstrap_servers=apache_kafka.bootstrap)
    await admin.start()
    try:
        place = TopicPartition("member.released", 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=-1)})
    finally:
        await admin.close()

    with pytest.raises(ConfigurationFault, match=r"member\.released, partition \d, begins at"):
        await rebuilt(platform)
    with pytest.raises(ConfigurationFault, match="the log lacks 1 events"):
        await rebuilt(platform, refilled=True)
    await platform.send(released)
    assert (await rebuilt(platform, refilled=True)).equal
    await platform.database.close()
