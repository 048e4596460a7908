"""What a play needs: people, a calendar, and commands that wait for what they follow from."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_local.importers.client import FEEDBACK, MEMBERSHIP, NOTIFICATIONS
from coterie_local.importers.transport import Answer, Caller, Send, Transport
from coterie_replay.brokers.processes import LocalFault

__all__ = ["MANAGER", "START", "Person", "Stage", "subject_in"]

START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
_PATIENCE_S: Final = 30.0
MANAGER: Final = Caller("mia", (Role.MANAGER, Role.IMPORTER))


@dataclass(slots=True)
class Person:
    """Somebody of the play; ids come as the platform gives them, `subject` stands in their token.

    `known_as` stays the number in the log when `member_id` goes because they left.
    """

    name: str
    subject: str
    application_id: UUID | None = None
    member_id: UUID | None = None
    known_as: UUID | None = None
    position: str | None = None

    @property
    def caller(self) -> Caller:
        return Caller(self.subject, (Role.APPLICANT, Role.MEMBER, Role.IMPORTER))

    @property
    def member(self) -> UUID:
        if self.member_id is None:
            raise LocalFault(f"the play expects {self.name} to be a member by now")
        return self.member_id


def subject_in(name: str, take: int) -> str:
    """Who a person of the play is to the token issuer."""
    return name if take == 1 else f"{name}-{take}"


@dataclass(slots=True)
class Stage:
    """Sends commands at the play's own time; a seed makes the choices repeatable.

    A play that was cut short cannot go on: its next `take` has people and a community of its own.
    """

    transport: Transport
    seed: int
    take: int = 1
    community_id: UUID = field(default_factory=lambda: UUID(int=0))
    now: datetime = START
    ids: dict[str, UUID] = field(default_factory=dict)
    _count: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @property
    def run(self) -> str:
        """What the keys of this play's commands begin with."""
        return subject_in(f"demo-{self.seed}", self.take)

    @property
    def choice(self) -> random.Random:
        return self._random

    def day(self, number: int, hour: int = 9, minute: int = 0) -> None:
        """Go on to a day of the play; time never goes back."""
        midnight = START.replace(hour=0) + timedelta(days=number)
        self.now = max(self.now, midnight + timedelta(hours=hour, minutes=minute))

    async def staff(
        self, service: str, method: str, path: str, *, after: str | None = None, **body: Any
    ) -> Answer:
        """A command of the manager."""
        send = self._send(MANAGER, after)
        return await self.transport.command(service, method, path, body, send)

    async def do(
        self,
        person: Person,
        service: str,
        method: str,
        path: str,
        *,
        after: str | None = None,
        **body: Any,
    ) -> Answer:
        """A command of a member or applicant."""
        send = self._send(person.caller, after or self._standing(person, service))
        return await self.transport.command(service, method, path, body, send)

    async def see(self, service: str, path: str, **parameters: str | int) -> Any:
        """What the manager sees."""
        answer = await self.transport.query(service, path, Send(caller=MANAGER), **parameters)
        return answer.body

    async def look(self, person: Person, service: str, path: str, **parameters: str | int) -> Any:
        """What a member sees."""
        send = Send(caller=person.caller, after=self._standing(person, service))
        return (await self.transport.query(service, path, send, **parameters)).body

    async def until(
        self, what: str, look: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]
    ) -> Any:
        """Wait until what is seen holds; raises `LocalFault` when it does not come true."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_S
        while not holds(seen := await look()):
            if loop.time() > deadline:
                raise LocalFault(f"the play waited {_PATIENCE_S:.0f} s in vain for {what}")
            await asyncio.sleep(0.05)
        return seen

    async def push_clock(self) -> None:
        """Let the community's clock catch up, so that deadlines come due."""
        path = f"/communities/{self.community_id}/clock"
        await self.staff(MEMBERSHIP, "POST", path, now=self.now.isoformat())

    def _standing(self, person: Person, service: str) -> str | None:
        """A member's own admission is what every other service must have seen."""
        return person.position if service in {FEEDBACK, NOTIFICATIONS, "recognition"} else None

    def _send(self, caller: Caller, after: str | None) -> Send:
        """The next command's circumstances: seven seconds later, under a key of its own."""
        self._count += 1
        self.now += timedelta(seconds=7)
        return Send(caller=caller, at=self.now, key=f"{self.run}:{self._count}", after=after)
