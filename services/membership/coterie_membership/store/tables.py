"""Membership's tables. `CHECK (held <= seat_limit)` is the last word on seats.

Times are those of the community's clock; every table that a route lists is indexed by community.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Time,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = [
    "application",
    "community",
    "erased",
    "erased_application",
    "incarnation",
    "invitation",
    "member",
    "metadata",
    "requirements",
]

metadata = MetaData()
_moment = DateTime(timezone=True)
_LIVE: Final = "status IN ('submitted', 'waitlisted', 'offered')"

community: Final = Table(
    "community",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("brand_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("member_promise", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("quiet_from", Time, nullable=False),
    Column("quiet_until", Time, nullable=False),
    Column("clock", Text, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("seat_limit", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("seat_sequence", BigInteger, nullable=False),
    Column("requirements_version", Integer, nullable=False),
    Column("objectives", JSONB, nullable=False),
    Column("founded", Integer, nullable=False),
    Column("clock_told_at", _moment, comment="the last `now` of a clock.advanced"),
    Column("version", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint("held <= seat_limit", name="seats_within_limit"),
    CheckConstraint("held >= 0", name="seats_not_negative"),
    CheckConstraint("seat_limit >= capacity", name="limit_not_below_capacity"),
    CheckConstraint(
        "status <> 'open' OR jsonb_array_length(jsonb_path_query_array("
        "objectives, '$[*] ? (@.retired == false)')) BETWEEN 1 AND 2",
        name="open_with_objectives",
    ),
)

requirements: Final = Table(
    "requirements",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("tree", JSONB, nullable=False),
)

application: Final = Table(
    "application",
    metadata,
    Column("application_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("requirements_version", Integer, nullable=False),
    Column("dossier", JSONB, nullable=False),
    Column("verdicts", JSONB, nullable=False),
    Column("submitted_at", _moment, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("email", Text),
    Column("invitation_id", Uuid),
    Column("priority", Integer, nullable=False),
    Column("enqueued_at", _moment),
    Column("offer_expires_at", _moment),
    Column("lapses", Integer, nullable=False),
    Column("reason", Text),
    Column("reapply_after", _moment),
    Column("version", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint(
        "(status = 'offered') = (offer_expires_at IS NOT NULL)", name="offer_has_an_end"
    ),
    CheckConstraint(
        "status NOT IN ('waitlisted', 'offered') OR enqueued_at IS NOT NULL",
        name="line_has_an_order",
    ),
    Index(
        "one_live_application",
        "community_id",
        "person_id",
        unique=True,
        postgresql_where=text(_LIVE),
    ),
    Index(
        "application_waitlist",
        "community_id",
        "status",
        text("priority DESC"),
        "enqueued_at",
        "application_id",
    ),
)

member: Final = Table(
    "member",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("person_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("admitted_at", _moment, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("founding_number", Integer, nullable=False),
    Column("until", _moment),
    Column("ended_at", _moment),
    Column("reapply_after", _moment),
    Column("handle", Text),
    Column("about", Text),
    Column("version", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Index("one_member_a_person", "community_id", "person_id", unique=True),
    Index("member_by_admission", "community_id", "admitted_at", "member_id"),
)

invitation: Final = Table(
    "invitation",
    metadata,
    Column("invitation_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("issuer", Text, nullable=False),
    Column("max_uses", Integer, nullable=False),
    Column("reserves_seat", Boolean, nullable=False),
    Column("expires_at", _moment, nullable=False),
    Column("status", Text, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint("uses <= max_uses", name="uses_within_max"),
    CheckConstraint("max_uses = 1 OR NOT reserves_seat", name="one_seat_for_one"),
    Index("invitation_of_community", "community_id"),
)

erased: Final = Table(
    "erased",
    metadata,
    Column("member_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
)

erased_application: Final = Table(
    "erased_application",
    metadata,
    Column("application_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
)

incarnation: Final = Table(
    "incarnation",
    metadata,
    Column("community_id", Uuid, primary_key=True),
    Column("identity_hash", Text, primary_key=True, comment="HMAC under membership's key"),
    Column("erasures", Integer, nullable=False),
    Column("reapply_after", _moment),
)
