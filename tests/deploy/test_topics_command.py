"""A service creates the topics that it owns, once, and leaves what it finds as it is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from coterie_chassis.topics import owned_by
from coterie_replay.brokers.apache import ApacheKafka

SETTINGS = {
    "COTERIE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "COTERIE_JWKS": "unused",
    "COTERIE_TOKEN_ISSUER": "unused",
}


def create(bootstrap: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coterie_feedback", "topics", *options],
        env={**os.environ, **SETTINGS, "COTERIE_KAFKA_BOOTSTRAP": bootstrap},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_its_own_topics_are_created_once_and_what_the_broker_cannot_keep_is_refused(
    apache_kafka: ApacheKafka,
) -> None:
    await asyncio.to_thread(apache_kafka.start)
    too_many = await asyncio.to_thread(create, apache_kafka.bootstrap, "--replicas", "3")
    assert (too_many.returncode, too_many.stdout) == (2, "")
    assert too_many.stderr.startswith("coterie-feedback: topic ")
    assert len(too_many.stderr.splitlines()) == 1, too_many.stderr

    first = await asyncio.to_thread(create, apache_kafka.bootstrap)
    again = await asyncio.to_thread(create, apache_kafka.bootstrap)
    owned = owned_by("feedback")
    assert (first.stdout, first.returncode) == (f"feedback: {len(owned)} topics created\n", 0)
    assert (again.stdout, again.returncode) == ("feedback: 0 topics created\n", 0)

    admin = AIOKafkaAdminClient(bootstrap_servers=apache_kafka.bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics([topic.name for topic in owned])
        assert {row["topic"]: len(row["partitions"]) for row in described} == {
            topic.name: topic.partitions for topic in owned
        }
        assert set(await admin.list_topics()) == {topic.name for topic in owned}
        await admin.delete_topics([owned[0].name])
        await admin.create_topics([NewTopic(owned[0].name, 1, 1)])
    finally:
        await admin.close()
    refused = await asyncio.to_thread(create, apache_kafka.bootstrap)
    assert refused.returncode == 2
    assert f"topic {owned[0].name} has 1 partitions instead of 12" in refused.stderr


@pytest.mark.parametrize("bootstrap", ["127.0.0.1:1"])
def test_a_broker_that_does_not_answer_is_one_line_and_3(bootstrap: str) -> None:
    refused = create(bootstrap)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.startswith("coterie-feedback: try again later: ")
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
