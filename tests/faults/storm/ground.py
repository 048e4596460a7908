"""What every storm begins with: a broker with all topics, databases with all schemas, both at rest.

It is made once and copied for each seed, so that a storm leaves nothing to the next one. Triggers
keep what a service wrote to its outbox, its inbox and its dead letters, whatever becomes of the
rows; commits are stamped, so that the order of application can be read afterwards.
"""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

from coterie_local.platform import SERVICES
from coterie_local.postgres import EmbeddedPostgres
from coterie_local.tokens import AUDIENCE, ISSUER, TokenIssuer
from coterie_replay.brokers.apache import ApacheKafka
from coterie_replay.brokers.blocking import block_on
from coterie_replay.brokers.topics import create_topics
from tests.faults.storm.forked import Nursery

__all__ = ["Ground", "prepared"]

PARTITIONS: Final = 3
_KEY: Final = b64encode(bytes(range(32))).decode()
_MIGRATED_S: Final = 120.0


class Ground:
    """The folder of a run of storms; `copy` gives a seed its own broker and PostgreSQL."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.folder = folder
        self.nursery = nursery
        self.tokens = TokenIssuer(folder / "tokens")

    @property
    def kafka(self) -> Path:
        return self.folder / "ground" / "kafka"

    @property
    def postgres(self) -> Path:
        return self.folder / "ground" / "postgres"

    def copy(self, part: Path, to: Path) -> None:
        """Copy a part's folder with its owners, into `to`, which may be there and empty."""
        to.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--sparse=always", f"{part}/.", str(to)], check=True)

    def environment(self, service: str, **addresses: str) -> dict[str, str]:
        """A service's settings but for where it finds its parts."""
        settings = {
            "COTERIE_HTTP_HOST": "127.0.0.1",
            "COTERIE_JWKS": str(self.tokens.jwks),
            "COTERIE_TOKEN_ISSUER": ISSUER,
            "COTERIE_TOKEN_AUDIENCE": AUDIENCE,
            "COTERIE_ARCHIVE_RETENTION_DAYS": "0",
            "COTERIE_INBOX_RETENTION_DAYS": "0",
            "COTERIE_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "COTERIE_KAFKA_FETCH_MAX_WAIT_MS": "50",
            "COTERIE_SHUTDOWN_GRACE_S": "10",
        }
        if service == "membership":
            settings["COTERIE_IDENTITY_KEY"] = _KEY
        if service == "recognition":
            settings["COTERIE_CODE_KEYS"] = json.dumps({"test": _KEY})
        return settings | addresses


def prepared(folder: Path, nursery: Nursery) -> Ground:
    """Make the ground in `folder`. Blocks for as long as a first start of everything takes."""
    ground = Ground(folder, nursery)
    broker = ApacheKafka(ground.kafka)
    broker.start()
    try:
        block_on(create_topics(broker.bootstrap, partitions=PARTITIONS))
    finally:
        broker.stop()
    server = EmbeddedPostgres(ground.postgres)
    server.start()
    try:
        urls = {service: server.create_database(service) for service in SERVICES}
        _migrate(ground, urls)
        block_on(_watch(server.admin_url, urls))
    finally:
        server.stop()
    return ground


def _migrate(ground: Ground, urls: Mapping[str, str]) -> None:
    children = [
        ground.nursery.start(
            f"{service} migrate",
            [f"coterie_{service}", "migrate"],
            env=ground.environment(
                service, COTERIE_DATABASE_URL=url, COTERIE_KAFKA_BOOTSTRAP="127.0.0.1:1"
            ),
            log=ground.folder / "ground" / f"migrate-{service}.log",
            witness=ground.folder / "ground" / "journal.jsonl",
        )
        for service, url in urls.items()
    ]
    for child in children:
        if not child.wait(_MIGRATED_S) or child.exit_code != 0:
            raise RuntimeError(f"{child.name} failed: {child.end_of_log()}")


async def _watch(admin_url: str, urls: Mapping[str, str]) -> None:
    admin = await asyncpg.connect(admin_url)
    await admin.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    await admin.close()
    for service in urls:
        database = await asyncpg.connect(admin_url, database=f"coterie_{service}")
        try:
            await database.execute(_STORM.format(role=f"coterie_{service}"))
        finally:
            await database.close()


_STORM: Final = """
CREATE SCHEMA storm;
CREATE TABLE storm.handled (
    place bigint GENERATED ALWAYS AS IDENTITY, lane text, event_id uuid, subject uuid, topic text,
    redriven boolean, began timestamptz DEFAULT now()
);
CREATE TABLE storm.written (event_id uuid, topic text, tombstone boolean);
CREATE TABLE storm.received (event_id uuid);
CREATE TABLE storm.letters (letter bigint);
GRANT USAGE ON SCHEMA storm TO "{role}";
GRANT INSERT ON ALL TABLES IN SCHEMA storm TO "{role}";
CREATE FUNCTION storm.write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN INSERT INTO storm.written VALUES (NEW.event_id, NEW.topic, NEW.value IS NULL);
    RETURN NULL; END $$;
CREATE FUNCTION storm.receive() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN INSERT INTO storm.received VALUES (NEW.event_id); RETURN NULL; END $$;
CREATE FUNCTION storm.set_aside() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN INSERT INTO storm.letters VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER storm AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION storm.write();
CREATE TRIGGER storm AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION storm.receive();
CREATE TRIGGER storm AFTER INSERT ON dead_letter FOR EACH ROW EXECUTE FUNCTION storm.set_aside();
"""
