"""Ask every instance how its service does, all at once; one that does not answer is told so.

The answers are read tolerantly: an instance of another release may say more than this one reads.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

__all__ = ["Budget", "Circle", "Glance", "Instance", "Lane", "Outbox", "Place", "Status", "look"]

_STATUS: Final = "/operator/status"
_SHOWN: Final = 100
M = TypeVar("M", bound=BaseModel)


class Outbox(BaseModel):
    depth: int
    age_s: float
    led: bool


class Lane(BaseModel):
    """A consumer group; None is what could not be read."""

    lane: str
    events_behind: int | None
    seconds_behind: float | None
    halted: str | None
    dead_letters: int | None
    parked_keys: int | None


class Status(BaseModel):
    """What an instance answers; outbox, deadlines and lanes are those of its whole service."""

    service: str
    role: str = "all"
    version: str
    started_at: datetime
    now: datetime
    stuck: list[str]
    waiting_for: list[str]
    outbox: Outbox | None
    failed_deadlines: int | None
    lanes: list[Lane]

    @property
    def known(self) -> int:
        """How many parts could be read."""
        lags = sum(lane.events_behind is not None for lane in self.lanes)
        return lags + (self.outbox is not None)


class Circle(BaseModel):
    """The seats of a community."""

    community_id: str
    name: str
    status: str
    capacity: int
    held: int
    free: int
    waitlisted: int
    offered: int


class Budget(BaseModel):
    """Minor units of `currency`."""

    budget_id: str
    community_id: str
    name: str
    currency: str
    funded_minor: int
    reserved_minor: int
    spent_minor: int
    available_minor: int
    low: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance answers; `name` is what is expected there, if that is known."""

    url: str
    name: str | None = None

    def __str__(self) -> str:
        return self.name or self.url


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance and its answer, or in one line why there is none."""

    place: Place
    status: Status | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        return self.status.service if self.status else str(self.place)


@dataclass(frozen=True, slots=True)
class Glance:
    """All answers of one look. `more` names what has further rows than these."""

    at: datetime
    instances: Sequence[Instance]
    circles: Sequence[Circle] = ()
    budgets: Sequence[Budget] = ()
    more: frozenset[str] = field(default_factory=frozenset)

    def services(self) -> list[Status]:
        """One answer a service, of the instance that knows most of it."""
        told: dict[str, Status] = {}
        for instance in self.instances:
            status = instance.status
            if status is None:
                continue
            known = told.setdefault(status.service, status)
            if status.known > known.known:
                told[status.service] = status
        return list(told.values())


async def look(places: Iterable[Place], token: str, *, within_s: float = 8.0) -> Glance:
    """Ask all `places`; takes `within_s` for each of two rounds at most. Raises nothing."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=within_s) as http:
        instances = await asyncio.gather(*(_ask(http, place) for place in places))
        (circles, more_circles), (budgets, more_budgets) = await asyncio.gather(
            _rows(http, instances, "membership", "/operator/seats", Circle),
            _rows(http, instances, "recognition", "/operator/budgets", Budget),
        )
    more = {name for name, so in (("seats", more_circles), ("budgets", more_budgets)) if so}
    return Glance(datetime.now(UTC), instances, circles, budgets, frozenset(more))


async def _ask(http: httpx2.AsyncClient, place: Place) -> Instance:
    try:
        answer = await http.get(place.url + _STATUS)
    except httpx2.RequestError as error:
        reason = str(error) or type(error).__name__
        return Instance(place, problem=f"does not answer at {place.url} ({reason})")
    if answer.is_error:
        return Instance(place, problem=_refusal(answer))
    try:
        return Instance(place, Status.model_validate_json(answer.content))
    except ValidationError:
        return Instance(place, problem=f"{place.url} is no service of Coterie")


def _refusal(answer: httpx2.Response) -> str:
    """Why an instance answers with an error, in one line."""
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{answer.url} answers {answer.status_code}: its log tells why"
    try:
        detail = str(json.loads(answer.content)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answers {answer.status_code}: is it a service of Coterie?"
    return " ".join(detail.split())


async def _rows(
    http: httpx2.AsyncClient, instances: Sequence[Instance], service: str, path: str, model: type[M]
) -> tuple[list[M], bool]:
    """The first rows of a list that `service` keeps, and whether there are more."""
    for instance in instances:
        if instance.status is None or instance.status.service != service:
            continue
        try:
            answer = await http.get(instance.place.url + path, params={"limit": _SHOWN})
            told: dict[str, Any] = answer.raise_for_status().json()
            return [model.model_validate(row) for row in told["items"]], bool(told["next"])
        except (httpx2.HTTPError, ValueError, KeyError, TypeError):
            continue
    return [], False
