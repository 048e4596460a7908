"""Events of a community's life, its clock and its entry requirements. Owner: membership."""

from __future__ import annotations

from datetime import time
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from coterie_contracts.model import (
    CommunityId,
    EventBody,
    OpenEnum,
    Seated,
    Seats,
    ShortText,
    Timestamp,
    TimeZone,
    Version,
)

# The format `time` of JSON Schema has an offset, which a local time must not have.
LocalTime = Annotated[
    time, WithJsonSchema({"type": "string", "pattern": r"^\d{2}:\d{2}:\d{2}(\.\d{1,6})?$"})
]


class CommunityStatus(OpenEnum):
    """`paused` takes no applications; `closed` is final."""

    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class ClockMode(StrEnum):
    """`wall`: the database's clock. `driven`: the latest `time` seen for the community."""

    WALL = "wall"
    DRIVEN = "driven"


class Objective(BaseModel):
    """What a community is for; an open one has one or two that are not retired."""

    model_config = ConfigDict(frozen=True)

    objective_id: UUID = Field(description="the objective")
    title: ShortText
    retired: bool = Field(default=False, description="true: no suggestion goes to it any more")


class CommunityFacts(EventBody):
    """All that copies of a community need; fold `latest`."""

    key: ClassVar[str] = "community_id"

    community_id: CommunityId
    name: ShortText
    status: CommunityStatus = Field(description="in its life")
    time_zone: TimeZone
    quiet_from: LocalTime = Field(description="local start of quiet hours")
    quiet_until: LocalTime = Field(description="local end of quiet hours")
    clock: ClockMode = Field(description="whose time its rules use")
    capacity: Seats = Field(ge=1, description="seats that it wants to fill")
    objectives: tuple[Objective, ...] = Field(description="retired ones included")
    requirements_version: Version = Field(description="of the entry requirements in force")


class CommunityOpened(CommunityFacts):
    """A community opened for applications."""

    topic: ClassVar[str] = "community.opened"
    sent_when: ClassVar[str] = (
        "a manager opens a draft or a paused community (`POST /communities/{id}/open`)"
    )


class CommunityChanged(CommunityFacts):
    """A community's status, objectives, capacity or requirements changed."""

    topic: ClassVar[str] = "community.changed"
    sent_when: ClassVar[str] = (
        "a manager pauses or closes it, or changes its objectives, requirements or capacity; "
        "and when it goes live"
    )


class CapacityChanged(Seated):
    """The number of seats that a community wants to fill changed; nobody was evicted."""

    topic: ClassVar[str] = "capacity.changed"
    key: ClassVar[str] = "community_id"
    sent_when: ClassVar[str] = "a manager sets another capacity (`PUT /communities/{id}/capacity`)"

    community_id: CommunityId
    previous_capacity: Seats = Field(ge=1, description="what `capacity` was before")


class ClockAdvanced(EventBody):
    """A driven community's clock was pushed forward, or the community went live."""

    topic: ClassVar[str] = "clock.advanced"
    key: ClassVar[str] = "community_id"
    sent_when: ClassVar[str] = (
        "an importer pushes the clock (`POST /communities/{id}/clock`), or a manager lets the "
        "community go live (`POST /communities/{id}/go-live`)"
    )

    community_id: CommunityId
    mode: ClockMode = Field(description="`wall` once the community went live")
    now: Timestamp = Field(description="what the clock shows from now on")


class AdmissionPolicyChanged(EventBody):
    """A new version of a community's entry requirements is in force."""

    topic: ClassVar[str] = "admissionpolicy.changed"
    key: ClassVar[str] = "community_id"
    sent_when: ClassVar[str] = (
        "a manager changes the entry requirements (`PUT /communities/{id}/requirements`)"
    )

    community_id: CommunityId
    requirements_version: Version = Field(description="of the entry requirements in force")
    requirement_kinds: tuple[str, ...] = Field(
        description="kinds of the leaves of the requirements tree, for example `purchase`"
    )
