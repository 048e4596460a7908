"""A community as the feedback service hears of it, and the commands that people send it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx2

from coterie_chassis.auth import Principal, Role
from coterie_chassis.decisions import member_id_of
from coterie_chassis.testing import Harness, event_of, person
from coterie_contracts import community, member
from coterie_contracts.community import ClockMode, Objective
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody

START = datetime(2024, 3, 4, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class World:
    """Deeds of one community; `at` is sent as the time of a deed on a driven clock."""

    h: Harness
    brand_id: UUID = field(default_factory=uuid4)
    community_id: UUID = field(default_factory=uuid4)
    objective: Objective = field(
        default_factory=lambda: Objective(objective_id=uuid4(), title="Safer nights")
    )
    clock: ClockMode = ClockMode.DRIVEN
    now: datetime = START
    keys: Any = field(default_factory=lambda: count(1))
    sequences: dict[UUID, int] = field(default_factory=dict)
    seats: Any = field(default_factory=lambda: count(1))

    @property
    def manager(self) -> Principal:
        return person("mona", Role.MANAGER, Role.IMPORTER, brand=self.brand_id)

    @property
    def host(self) -> Principal:
        return person("hugo", Role.HOST, Role.IMPORTER, brand=self.brand_id)

    def who(self, name: str) -> Principal:
        return person(name, Role.MEMBER, Role.IMPORTER)

    def member_id(self, name: str) -> UUID:
        return member_id_of(self.community_id, self.who(name).person_id)

    def event(self, body: EventBody, subject: UUID) -> Event[EventBody]:
        self.sequences[subject] = self.sequences.get(subject, 0) + 1
        return event_of(
            body,
            subject,
            sequence=self.sequences[subject],
            at=self.now,
            community_id=self.community_id,
            brand_id=self.brand_id,
            clock=self.clock,
        )

    def opened(self, **fields: Any) -> Event[EventBody]:
        body = community.CommunityOpened(**self._community(**fields))
        return self.event(body, self.community_id)

    def changed(self, **fields: Any) -> Event[EventBody]:
        body = community.CommunityChanged(**self._community(**fields))
        return self.event(body, self.community_id)

    def _community(self, **fields: Any) -> dict[str, Any]:
        facts = {
            "community_id": self.community_id,
            "name": "Night riders",
            "status": community.CommunityStatus.OPEN,
            "time_zone": "Europe/Berlin",
            "quiet_from": time(21),
            "quiet_until": time(8),
            "clock": self.clock,
            "capacity": 100,
            "objectives": (self.objective,),
            "requirements_version": 1,
        }
        return facts | fields

    def _facts(self, name: str, status: str) -> dict[str, Any]:
        return {
            "member_id": self.member_id(name),
            "community_id": self.community_id,
            "person_id": self.who(name).person_id,
            "status": status,
            "admitted_at": START,
            "time_zone": "Europe/Berlin",
            "locale": "en",
        }

    def _seat(self) -> dict[str, int]:
        return {"seat_sequence": next(self.seats), "capacity": 100, "seats_held": 1}

    def admitted(self, name: str) -> Event[EventBody]:
        body = member.MemberAdmitted(
            **self._seat(),
            **self._facts(name, "active"),
            via=member.Admission.APPLICATION,
            application_id=uuid4(),
            requirements_version=1,
        )
        return self.event(body, self.member_id(name))

    def suspended(self, name: str) -> Event[EventBody]:
        body = member.MemberSuspended(**self._facts(name, "suspended"), until=self.now + 14 * DAY)
        return self.event(body, self.member_id(name))

    def reinstated(self, name: str) -> Event[EventBody]:
        body = member.MemberReinstated(**self._facts(name, "active"))
        return self.event(body, self.member_id(name))

    def released(self, name: str) -> Event[EventBody]:
        body = member.MemberReleased(**self._seat(), **self._facts(name, "released"))
        return self.event(body, self.member_id(name))

    def left(self, name: str) -> Event[EventBody]:
        body = member.MemberLeft(**self._seat(), **self._facts(name, "left"))
        return self.event(body, self.member_id(name))

    def removed(self, name: str) -> Event[EventBody]:
        body = member.MemberRemoved(
            **self._seat(), **self._facts(name, "removed"), reapply_after=self.now + 180 * DAY
        )
        return self.event(body, self.member_id(name))

    def erased(self, name: str) -> Event[EventBody]:
        body = member.MemberErased(
            **self._seat(),
            member_id=self.member_id(name),
            community_id=self.community_id,
            person_id=self.who(name).person_id,
        )
        return self.event(body, self.member_id(name))

    async def begin(self, *names: str) -> None:
        """Open the community and admit members."""
        await self.h.deliver(self.opened(), *(self.admitted(name) for name in names))

    async def do(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: Principal,
        key: str | None = None,
        expect: int | None = None,
        **options: Any,
    ) -> httpx2.Response:
        """A command now, with a key of its own; `expect` is its status."""
        at = self.now if self.clock is ClockMode.DRIVEN else None
        key = key or f"{self.community_id}/{next(self.keys)}"
        answer = await self.h.request(method, path, body, as_=as_, key=key, **{"at": at, **options})
        if expect is not None:
            assert answer.status_code == expect, answer.text
        return answer

    async def submit(self, name: str, text: str = "Brighter lights", **options: Any) -> UUID:
        body = {"community_id": self.community_id, "text": text}
        answer = await self.do("POST", "/feedback", body, as_=self.who(name), expect=201, **options)
        return UUID(answer.json()["feedback_id"])

    async def staff(self, item: UUID, deed: str, body: Any = None) -> dict[str, Any]:
        answer = await self.do(
            "POST", f"/feedback/{item}/{deed}", body or {}, as_=self.manager, expect=200
        )
        found: dict[str, Any] = answer.json()
        return found

    async def planned(self, name: str) -> UUID:
        item = await self.submit(name)
        await self.staff(item, "accept", {"label": "Lights"})
        await self.staff(item, "plan")
        return item

    async def implement(self, item: UUID) -> dict[str, Any]:
        body = {"what_changed": "New lights", "see_it_at": "in your next order"}
        return await self.staff(item, "implement", body)

    async def built(self, name: str, *supporters: str) -> UUID:
        item = await self.planned(name)
        for supporter in supporters:
            if supporter != name:
                await self.support(item, supporter)
        await self.implement(item)
        return item

    async def support(self, item: UUID, name: str, importance: int = 1) -> None:
        body = {"importance": importance}
        path = f"/feedback/{item}/support"
        await self.do("PUT", path, body, as_=self.who(name), expect=200)

    async def rate(self, contribution: UUID, name: str, value: Any) -> httpx2.Response:
        path = f"/contributions/{contribution}/rating"
        return await self.do("PUT", path, {"value": value}, as_=self.who(name))

    async def asked(self, name: str) -> list[dict[str, Any]]:
        path = f"/communities/{self.community_id}/look-agains"
        answer = await self.h.get(path, as_=self.who(name))
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    async def answer(self, name: str, satisfied: bool, **options: Any) -> httpx2.Response:
        (asked, *_) = await self.asked(name)
        path = f"/look-agains/{asked['look_again_id']}/answer"
        return await self.do("POST", path, {"satisfied": satisfied}, as_=self.who(name), **options)

    async def see(self, item: UUID, as_: Principal | None = None) -> dict[str, Any]:
        answer = await self.h.get(f"/feedback/{item}", as_=as_ or self.manager)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def pass_time(self, by: timedelta) -> None:
        """Let the community's clock move, as an event of membership would."""
        await self.h.deliver(self.advanced(by))
        await self.h.sweep()

    def advanced(self, by: timedelta) -> Event[EventBody]:
        self.now += by
        body = community.ClockAdvanced(
            community_id=self.community_id, mode=self.clock, now=self.now
        )
        return self.event(body, self.community_id)


def rule(answer: httpx2.Response) -> str:
    """The broken rule that a problem document names."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    named: str = answer.json()["type"].removeprefix("urn:coterie:problem:")
    return named
