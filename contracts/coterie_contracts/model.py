"""The base of every event body: frozen, tolerant of fields that a newer producer added."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

__all__ = [
    "Currency",
    "EventBody",
    "Ledgered",
    "MinorUnits",
    "OpenEnum",
    "Seated",
    "ShortText",
    "TimeZone",
    "Timestamp",
    "UnitInterval",
    "as_written",
]

Timestamp = AwareDatetime
MinorUnits = Annotated[int, Field(ge=0, description="integer minor units of `currency`")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code")]
TimeZone = Annotated[str, Field(min_length=1, max_length=64, description="IANA time zone name")]
ShortText = Annotated[
    str, Field(min_length=1, max_length=280, description="written by staff; no personal data")
]
UnitInterval = Annotated[float, Field(ge=0, le=1)]


class OpenEnum(StrEnum):
    """An enumeration that may grow: a value this reader does not know becomes `UNKNOWN`.

    Subclasses declare `UNKNOWN = "unknown"`.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("unknown") if isinstance(value, str) and value != "unknown" else None


class EventBody(BaseModel):
    """The `data` of one event type.

    Subclasses set `topic` (also the event's name, `noun.verbed`) and, from the second
    incompatible change on, `version`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    topic: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def event_type(cls) -> str:
        """The CloudEvents `type`: `coterie.<topic>.v<version>`."""
        return f"coterie.{cls.topic}.v{cls.version}"


class Seated(EventBody):
    """An event that takes or frees a seat; the auditor orders these by `seat_sequence`."""

    seat_sequence: int = Field(ge=1, description="gapless per community, taken under its row lock")
    capacity: int = Field(ge=1, description="seats that the community wants to fill")
    seats_held: int = Field(
        ge=0,
        description="after this event: active, suspended, open seat offers, reserving invitations",
    )


class Ledgered(EventBody):
    """An event that moves money; the auditor orders these by `ledger_sequence`.

    All amounts are minor units of `currency`; the balances are those after the event.
    """

    budget_id: UUID | None = Field(description="absent where the item costs nothing")
    ledger_sequence: int | None = Field(description="gapless per budget")
    amount_minor: MinorUnits
    currency: Currency
    funded_minor: MinorUnits | None
    reserved_minor: MinorUnits | None
    spent_minor: MinorUnits | None


def as_written(minor: int, currency: str) -> str:
    """Minor units as people write them: `12.50`, or `1250` where there are no decimals."""
    return str(minor) if currency in _WITHOUT_DECIMALS else f"{minor // 100}.{minor % 100:02d}"


_WITHOUT_DECIMALS: Final = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF"})


def utc(value: datetime) -> str:
    """`value` as RFC 3339 with microseconds and `Z`, the form that every header uses."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
