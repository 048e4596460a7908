"""The generated rights on a real broker with mutual TLS: enough for every service, and no more."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any, Final
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)
from sqlalchemy import text

from coterie_chassis import health
from coterie_chassis.connections import kafka_options
from coterie_chassis.decisions import Cause, Draft
from coterie_chassis.roles import Role
from coterie_chassis.service import Runtime, Service
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.testing import until
from coterie_chassis.topics import owned_by
from coterie_contracts.community import CommunityOpened
from coterie_contracts.samples import sample
from coterie_contracts.topics import TOPICS, consumed_by, topic_of
from coterie_replay.brokers.apache import missing_parts
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.topics import create_topics
from deploy.kubernetes.tools.generate import LAG_READER, documents
from tests.conftest import want
from tests.deploy.secured import Authority, SecuredKafka

SERVICES: Final = ("membership", "feedback", "recognition", "notifications")
KEYS: Final = {
    "identity_key": "0123456789abcdef",
    "code_keys": {"one": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="},
}


class Cluster:
    """The broker with all topics and users; `options` and `settings` are those of a user."""

    def __init__(self, kafka: SecuredKafka, authority: Authority) -> None:
        self.kafka = kafka
        self._folders = {
            user["metadata"]["name"]: authority.issue(user["metadata"]["name"])
            for user in documents()["strimzi/users.yaml"]
        }
        self._ca = authority.path

    def settings(self, user: str, url: str = "postgresql://unused", **more: Any) -> Any:
        return {
            "database_url": url,
            "kafka_bootstrap": self.kafka.tls,
            "kafka_security_protocol": "SSL",
            "kafka_ca_file": self._ca,
            "kafka_certificate_file": self._folders[user] / "user.crt",
            "kafka_key_file": self._folders[user] / "user.key",
            "jwks": "unused",
            "token_issuer": "unused",
            **more,
        }

    def options(self, user: str) -> dict[str, Any]:
        told = ChassisSettings.model_validate(self.settings(user))
        return {"bootstrap_servers": self.kafka.tls, **kafka_options(told)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if (missing := missing_parts()) is not None:
        want(f"Apache Kafka: {missing}")
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    kafka = SecuredKafka(folder / "kafka", authority)
    kafka.start()
    try:
        block_on(create_topics(kafka.bootstrap, partitions=1))
        assert kafka.grant(documents()["strimzi/users.yaml"]) > len(TOPICS)
        yield Cluster(kafka, authority)
    finally:
        kafka.kill()


def service_of(name: str) -> Service:
    found = import_module(f"coterie_{name}.service").service
    assert isinstance(found, Service)
    return found


@asynccontextmanager
async def running(cluster: Cluster, name: str, only: Role, url: str) -> AsyncIterator[Runtime]:
    service = service_of(name)
    settings = service.settings.model_validate(cluster.settings(f"coterie-{name}", url, **KEYS))
    runtime = Runtime(service, settings, only)
    runtime.check()
    async with runtime.lifespan(None):  # type: ignore[arg-type] - the app is not used
        yield runtime


async def is_ready(runtime: Runtime) -> bool:
    return (await health.ready(runtime)).status_code == 200


async def test_every_service_can_do_its_work_with_its_rights(
    cluster: Cluster, fresh_database: Callable[[Service], Awaitable[str]]
) -> None:
    """An event of membership reaches the copies of all that listen, through relays and groups."""
    event = sample(topic_of(CommunityOpened))
    async with AsyncExitStack() as stack:
        runtimes = {}
        for name in SERVICES:
            url = await fresh_database(service_of(name))
            for role in (Role.RELAY, Role.CONSUMER):
                if role is Role.CONSUMER and not consumed_by(name):
                    continue
                started = running(cluster, name, role, url)
                runtimes[name, role] = await stack.enter_async_context(started)
        for runtime in runtimes.values():
            await until(lambda it=runtime: is_ready(it))  # type: ignore[misc] # this one
        async with runtimes["membership", Role.RELAY].database.begin() as uow:
            cause = replace(Cause.of(event), id=uuid4(), at=uow.now, recorded_at=uow.now)
            uow.publish(cause, Draft(event.subject, event.data, 1))
        for (name, role), runtime in runtimes.items():
            if role is Role.CONSUMER:
                await until(lambda it=runtime: knows(it, event.subject))  # type: ignore[misc]
                assert not any(lane.halted for lane in runtime.subscriptions.lanes), name  # type: ignore[union-attr]


async def knows(runtime: Runtime, community: Any) -> bool:
    async with runtime.database.begin() as uow:
        query = text("SELECT 1 FROM community_clock WHERE community_id = :id")
        return await uow.one_or_none(query, {"id": community}) is not None


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_writes_its_own_topics_and_no_other(cluster: Cluster, service: str) -> None:
    refused = set()
    options = cluster.options(f"coterie-{service}")
    async with AIOKafkaProducer(**options, acks="all", enable_idempotence=True) as producer:
        for topic in owned_by(service):
            await producer.send_and_wait(topic.name, b"{}", key=b"x")
    for topic in TOPICS:
        if topic.owner != service:
            async with AIOKafkaProducer(**options, acks="all") as producer:
                try:
                    await producer.send_and_wait(topic.name, b"{}", key=b"x")
                except TopicAuthorizationFailedError:
                    refused.add(topic.name)
    assert refused == {topic.name for topic in TOPICS if topic.owner != service}


async def test_personal_data_and_others_groups_are_closed(cluster: Cluster) -> None:
    options = cluster.options("coterie-recognition")
    consumer = AIOKafkaConsumer("member.contact", **options, group_id="coterie.recognition.prompt")
    with pytest.raises(TopicAuthorizationFailedError):
        async with consumer:
            await consumer.getmany(timeout_ms=20_000)
    consumer = AIOKafkaConsumer("reward.issued", **options, group_id="coterie.notifications.prompt")
    with pytest.raises((GroupAuthorizationFailedError, TopicAuthorizationFailedError)):
        async with consumer:
            await consumer.getmany(timeout_ms=20_000)


async def test_lag_is_seen_and_nothing_is_read(cluster: Cluster) -> None:
    options = cluster.options(LAG_READER)
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        await admin.list_consumer_group_offsets("coterie.feedback.prompt")
        assert {"member.admitted"} < set(await admin.list_topics())
        assert "member.contact" in set(await admin.list_topics())
    finally:
        await admin.close()
    consumer = AIOKafkaConsumer("member.admitted", **options)
    with pytest.raises(TopicAuthorizationFailedError):
        async with consumer:
            await consumer.getmany(timeout_ms=20_000)


async def test_nobody_comes_in_without_a_certificate(cluster: Cluster) -> None:
    options = cluster.options("coterie-feedback")
    options["ssl_context"] = ssl.create_default_context(cafile=cluster._ca)
    producer = AIOKafkaProducer(**options)
    with pytest.raises(KafkaConnectionError):
        await producer.start()
    await producer.stop()
