"""The chassis's own tables, the same in every service's database.

`outbox` is small because sent rows leave it; `outbox_archive` and `inbox` are partitioned by day
so that retention drops partitions and never deletes rows.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = [
    "applied_position",
    "community_clock",
    "dead_letter",
    "deadline",
    "failed_deadline",
    "idempotency",
    "inbox",
    "metadata",
    "outbox",
    "outbox_archive",
    "republish_request",
]

metadata = MetaData()
_moment = DateTime(timezone=True)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary),
)

outbox_archive: Final = Table(
    "outbox_archive",
    metadata,
    Column("id", BigInteger, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary),
    Column("sent_at", _moment, nullable=False, server_default=func.now()),
    Index("outbox_archive_by_id", "id"),
    postgresql_partition_by="RANGE (sent_at)",
)

inbox: Final = Table(
    "inbox",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    postgresql_partition_by="RANGE (event_id)",
)

dead_letter: Final = Table(
    "dead_letter",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("lane", Text, nullable=False),
    Column("subject", Uuid, comment="parks this key; null parks nothing"),
    Column("event_id", Uuid),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("headers", JSONB, nullable=False, comment="list of [name, base64 or null]"),
    Column("value", LargeBinary),
    Column("digest", LargeBinary, nullable=False, comment="of headers and value"),
    Column("kind", Text, nullable=False, comment="unreadable, version, refused, bug, parked"),
    Column("error", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("stored_at", _moment, nullable=False, server_default=func.now()),
    Column("settled_at", _moment),
    Column("author", Text),
    Column("reason", Text),
    Index(
        "dead_letter_parked",
        "lane",
        "subject",
        "id",
        postgresql_where=text("state = 'open'"),
    ),
    Index("dead_letter_position", "lane", "topic", "partition", "offset", "digest", unique=True),
    Index("dead_letter_settled", "settled_at", postgresql_where=text("state <> 'open'")),
)

idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("id", Uuid, primary_key=True, comment="issuer, subject, method, path and key"),
    Column("digest", LargeBinary, nullable=False, comment="of the request's body"),
    Column("status", SmallInteger),
    Column("aggregate_id", Uuid),
    Column("version", BigInteger),
    Column("sequence", BigInteger),
    Column("stored_at", _moment, nullable=False, server_default=func.now()),
    Index("idempotency_stored", "stored_at"),
)

community_clock: Final = Table(
    "community_clock",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("brand_id", Uuid),
    Column("mode", Text, nullable=False),
    Column("now", _moment, nullable=False, comment="of a driven clock; moves forward only"),
)

deadline: Final = Table(
    "deadline",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("aggregate_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("due_at", _moment, nullable=False),
    Index("deadline_due", "due_at"),
    Index("deadline_of_community", "community_id", "due_at"),
)

failed_deadline: Final = Table(
    "failed_deadline",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("community_id", Uuid, nullable=False),
    Column("due_at", _moment, nullable=False),
    Column("error", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("stored_at", _moment, nullable=False, server_default=func.now()),
    Column("settled_at", _moment),
    Column("author", Text),
    Column("reason", Text),
    Index("failed_deadline_settled", "settled_at", postgresql_where=text("state <> 'open'")),
)

applied_position: Final = Table(
    "applied_position",
    metadata,
    Column("subject", Uuid, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

republish_request: Final = Table(
    "republish_request",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("since", _moment, comment="null: the whole archive"),
    Column("asked_at", _moment, nullable=False, server_default=func.now()),
    Column("served_at", _moment),
    Column("sent", BigInteger),
)
