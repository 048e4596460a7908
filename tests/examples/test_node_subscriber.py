"""A subscriber in Node.js sees what the platform published: all of it, once, byte for byte."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from coterie_contracts.topics import TOPICS
from coterie_local.log import Record
from coterie_local.platform import Platform
from tests.contracts.conftest import Node, install_interop, run_node
from tests.flows.seasons import Played, read_log


@pytest.fixture(scope="session")
def node() -> Node:
    install_interop()
    return run_node


def told(record: Record) -> dict[str, Any]:
    """What `subscribe.mjs` prints of a record."""
    return {
        "id": record.header("ce_id"),
        "type": record.header("ce_type"),
        "subject": record.header("ce_subject"),
        "time": record.header("ce_time"),
        "replayed": False,
        "data": None if record.value is None else json.loads(record.value),
    }


async def test_it_reads_the_whole_log_of_the_running_platform(
    node: Node, running: Platform, season: Played
) -> None:
    records = await read_log(running.kafka)
    assert len(records) >= len(season.records)

    done = node("subscribe.mjs", "--once", running.kafka, *(topic.name for topic in TOPICS))

    assert done.stderr == ""
    read = [json.loads(line) for line in done.stdout.splitlines()]
    published = {str(record.header("ce_id")): told(record) for record in records}
    assert len(read) == len(published)
    assert {event["id"]: event for event in read} == published


async def test_a_group_goes_on_behind_what_it_has_printed(node: Node, running: Platform) -> None:
    arguments = ("subscribe.mjs", "--once", "--group", "interop-again", running.kafka, TOPIC)

    first, again = node(*arguments), node(*arguments)

    assert len(first.stdout.splitlines()) > 0
    assert (again.stdout, again.stderr) == ("", "")


def test_without_kafka_it_says_so(node: Node) -> None:
    done = node("subscribe.mjs", "--once", "127.0.0.1:1", TOPIC)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("127.0.0.1:1: ")


TOPIC: Final = "feedback.implemented"
