"""The base of every event body: frozen, tolerant of fields that a newer producer added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

__all__ = [
    "CommunityId",
    "Currency",
    "EventBody",
    "FeedbackId",
    "Ledgered",
    "MemberId",
    "MinorUnits",
    "OpenEnum",
    "PersonId",
    "Seated",
    "ShortText",
    "TimeZone",
    "Timestamp",
    "Unit",
    "UnitInterval",
    "as_written",
]


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts, `x-unit` in its JSON Schema."""

    name: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core_schema) | {"x-unit": self.name}


CommunityId = Annotated[UUID, Field(description="the community that this is about")]
MemberId = Annotated[UUID, Field(description="uuid5(community_id, person_id)")]
PersonId = Annotated[UUID, Field(description="the person's pseudonym on this platform")]
FeedbackId = Annotated[UUID, Field(description="the suggestion")]
Timestamp = AwareDatetime
MinorUnits = Annotated[
    int,
    Field(ge=0, description="integer minor units of `currency`"),
    Unit("minor units of `currency`"),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")]
TimeZone = Annotated[str, Field(min_length=1, max_length=64, description="IANA time zone name")]
ShortText = Annotated[
    str, Field(min_length=1, max_length=280, description="written by staff; no personal data")
]
UnitInterval = Annotated[float, Field(ge=0, le=1), Unit("from 0 to 1")]
Seats = Annotated[int, Unit("seats")]
Place = Annotated[int, Unit("place in a sequence that starts at 1")]
Version = Annotated[int, Field(ge=1), Unit("version, the first is 1")]
Days = Annotated[int, Unit("days")]


class OpenEnum(StrEnum):
    """An enumeration that may grow: a value this reader does not know becomes `UNKNOWN`.

    Subclasses declare `UNKNOWN = "unknown"`.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("unknown") if isinstance(value, str) and value != "unknown" else None


class EventBody(BaseModel):
    """The `data` of one event type.

    Subclasses set `topic` (also the event's name, `noun.verbed`), `key` (the field of the data, or
    how to derive from it, the aggregate's id: the partition key and `ce_subject`), `sent_when`
    (the occasion, to follow "Sent when") and, from the second incompatible change on, `version`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    topic: ClassVar[str]
    key: ClassVar[str]
    sent_when: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def event_type(cls) -> str:
        """The CloudEvents `type`: `coterie.<topic>.v<version>`."""
        return f"coterie.{cls.topic}.v{cls.version}"


class Seated(EventBody):
    """An event that takes or frees a seat; the auditor orders these by `seat_sequence`."""

    seat_sequence: Place = Field(
        ge=1, description="gapless per community, taken under its row lock"
    )
    capacity: Seats = Field(ge=1, description="seats that the community wants to fill")
    seats_held: Seats = Field(
        ge=0,
        description="after this event: active, suspended, open seat offers, reserving invitations",
    )


class Ledgered(EventBody):
    """An event that moves money; the auditor orders these by `ledger_sequence`.

    All amounts are minor units of `currency`; the balances are those after the event.
    """

    budget_id: UUID | None = Field(description="absent where the item costs nothing")
    ledger_sequence: Place | None = Field(
        description="gapless per budget; absent where the item costs nothing"
    )
    amount_minor: MinorUnits = Field(description="what this event moves")
    currency: Currency
    funded_minor: MinorUnits | None = Field(description="put in so far, after this event")
    reserved_minor: MinorUnits | None = Field(description="promised, after this event")
    spent_minor: MinorUnits | None = Field(description="given, after this event")


def as_written(minor: int, currency: str) -> str:
    """Minor units as people write them: `12.50`, or `1250` where there are no decimals."""
    return str(minor) if currency in _WITHOUT_DECIMALS else f"{minor // 100}.{minor % 100:02d}"


_WITHOUT_DECIMALS: Final = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF"})


def utc(value: datetime) -> str:
    """`value` as RFC 3339 with microseconds and `Z`, the form that every header uses."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
