"""Events of a community's life, its clock and its entry requirements. Owner: membership."""

from __future__ import annotations

from datetime import time
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from coterie_contracts.model import EventBody, OpenEnum, Seated, ShortText, Timestamp, TimeZone


class CommunityStatus(OpenEnum):
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
    model_config = ConfigDict(frozen=True)

    objective_id: UUID
    title: ShortText
    retired: bool = False


class CommunityFacts(EventBody):
    """All that copies of a community need; fold `latest`."""

    community_id: UUID
    name: ShortText
    status: CommunityStatus
    time_zone: TimeZone
    quiet_from: time = Field(description="local start of quiet hours")
    quiet_until: time = Field(description="local end of quiet hours")
    clock: ClockMode
    capacity: int = Field(ge=1)
    objectives: tuple[Objective, ...]
    requirements_version: int = Field(ge=1)


class CommunityOpened(CommunityFacts):
    """A community opened for applications."""

    topic: ClassVar[str] = "community.opened"


class CommunityChanged(CommunityFacts):
    """A community's status, objectives, capacity or requirements changed."""

    topic: ClassVar[str] = "community.changed"


class CapacityChanged(Seated):
    """The number of seats that a community wants to fill changed; nobody was evicted."""

    topic: ClassVar[str] = "capacity.changed"

    community_id: UUID
    previous_capacity: int = Field(ge=1)


class ClockAdvanced(EventBody):
    """A driven community's clock was pushed forward, or the community went live."""

    topic: ClassVar[str] = "clock.advanced"

    community_id: UUID
    mode: ClockMode
    now: Timestamp


class AdmissionPolicyChanged(EventBody):
    """A new version of a community's entry requirements is in force."""

    topic: ClassVar[str] = "admissionpolicy.changed"

    community_id: UUID
    requirements_version: int = Field(ge=1)
    requirement_kinds: tuple[str, ...]
