"""The load: several communities play the demo's season side by side, over HTTP, on all instances.

Requests go from one instance to the next and to another one where none answers, as a load balancer
sends them; a command that was not answered is told again under its key until it is.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx2

from coterie_local.demo.season import LEAST_PEOPLE, Season
from coterie_local.demo.stage import Stage
from coterie_local.importers.client import MEMBERSHIP, RECOGNITION
from coterie_local.importers.transport import Answer, Send, Transport
from coterie_local.platform import SERVICES
from coterie_local.tokens import ISSUER
from coterie_local.welcome import LOCAL_BRAND
from coterie_replay.brokers.processes import LocalFault
from tests.faults.storm.arena import Arena
from tests.faults.storm.gifts import give_outside
from tests.faults.storm.plan import COMMUNITIES

__all__ = ["Load", "Story"]

SEED: Final = 1
_PATIENCE_S: Final = 150.0
_ANSWER_S: Final = 8.0
_BATCH_OF_AWARDS: Final = 8
_AFFORDABLE: Final = 3
_PRICE_MINOR: Final = 500


class _PatientStage(Stage):
    """Waits as long as faults may last one after the other."""

    async def until(
        self, what: str, look: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]
    ) -> Any:
        deadline = time.monotonic() + _PATIENCE_S
        while not holds(seen := await look()):
            if time.monotonic() > deadline:
                raise LocalFault(f"the play waited {_PATIENCE_S:.0f} s in vain for {what}")
            await asyncio.sleep(0.1)
        return seen


class Story(Season):
    """A season without the planted defect, up to its rewards, at whose end one is forgotten."""

    @property
    def chapters(self) -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
        """As of `Season`."""
        return (
            ("A circle is founded", self.found),
            ("People apply", self.apply),
            ("They say what they want", self.suggest),
            ("They rate what helped", self.rate),
            ("The team answers", self.answer),
            ("Some is built", self.build),
            ("Rewards are given", self.reward),
            ("One is forgotten", self.forget),
        )

    async def forget(self) -> None:
        """The first one, who gave an address, wants to be erased: a tombstone follows it."""
        person = self.by(0)
        self.stage.day(30, 12)
        path = f"/members/{person.member_id}/erase"
        await self.stage.do(person, MEMBERSHIP, "POST", path)

    async def rush(self) -> None:
        """Managers give away more than there is, all at once and on all instances."""
        stage = self.stage
        stage.day(31, 12)
        common = {"community_id": str(stage.community_id), "name": "Rush"}
        item = {"kind": "gift_code", "face_value": _PRICE_MINOR}
        added = await stage.staff(RECOGNITION, "POST", "/catalogue", **common, item=item)
        codes = [f"RUSH-{stage.run}-{number}" for number in range(_BATCH_OF_AWARDS)]
        path = f"/pools/{added.body['item']['pool_id']}/codes"
        await stage.staff(RECOGNITION, "POST", path, codes=codes)
        opened = await stage.staff(RECOGNITION, "POST", "/budgets", **common, currency="EUR")
        budget = opened.body["budget_id"]
        path = f"/budgets/{budget}/fund"
        await stage.staff(RECOGNITION, "POST", path, amount_minor=_AFFORDABLE * _PRICE_MINOR)
        policy = await stage.staff(
            RECOGNITION,
            "POST",
            "/policies",
            **common,
            when="judgement",
            beneficiary="chosen_member",
            item_id=added.body["item_id"],
            budget_id=budget,
            per_member_cap={"rewards": 100, "amount_minor": 1_000_000},
            cooldown_days=0,
        )
        path = f"/policies/{policy.body['policy_id']}/award"
        chosen = self.members()[1 : 1 + _BATCH_OF_AWARDS]
        await asyncio.gather(
            *(stage.staff(RECOGNITION, "POST", path, member_id=str(p.member)) for p in chosen)
        )


class Load:
    """All communities; `on_command` is told the number of each command before it is sent."""

    def __init__(
        self, arena: Arena, on_command: Callable[[int], None], communities: int = COMMUNITIES
    ) -> None:
        self._arena = arena
        self._numbers = itertools.count(1)
        self._on_command = on_command
        self._communities = communities
        self.commands = 0
        self.stories: list[Story] = []
        self.given: set[UUID] = set()

    async def play(self) -> None:
        """All chapters of all communities. Raises where a command is not accepted in the end."""

        async def through(story: Story) -> None:
            for _, chapter in story.chapters:
                await chapter()

        async with self._transport() as transport:
            for take in range(1, 1 + self._communities):
                stage = _PatientStage(transport, seed=SEED, take=take)
                self.stories.append(Story(stage, self._arena, LEAST_PEOPLE))  # type: ignore[arg-type] # has what is asked
            await asyncio.gather(*map(through, self.stories))

    async def rush(self) -> None:
        """What cannot be compared with another run, because who comes first gets it."""
        async with self._transport() as transport:
            for story in self.stories:
                story.stage.transport = transport

            async def give() -> None:
                self.given = await give_outside(transport)

            await asyncio.gather(give(), *(story.rush() for story in self.stories))

    def _transport(self) -> _Transport:
        balancer = _Balancer({s: [one.port for one in self._arena.of(s)] for s in SERVICES})
        return _Transport(
            http=httpx2.AsyncClient(transport=balancer, timeout=_ANSWER_S),
            bases={service: f"http://{service}" for service in SERVICES},
            mint=self._arena.tokens.mint,
            brand_id=LOCAL_BRAND,
            issuer=ISSUER,
            patience_s=_PATIENCE_S,
            load=self,
        )

    async def count(self) -> None:
        """Number the next command, which waits as long as the storm wants it to."""
        self.commands = next(self._numbers)
        await asyncio.to_thread(self._on_command, self.commands)


@dataclass(slots=True, kw_only=True)
class _Transport(Transport):
    load: Load

    async def command(
        self, service: str, method: str, path: str, body: Mapping[str, Any], send: Send
    ) -> Answer:
        await self.load.count()
        return await Transport.command(self, service, method, path, body, send)

    async def __aenter__(self) -> _Transport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()


class _Balancer(httpx2.AsyncBaseTransport):
    """Sends requests to a service's instances in turn; who does not answer is passed over."""

    def __init__(self, ports: Mapping[str, Sequence[int]]) -> None:
        self._inner = httpx2.AsyncHTTPTransport(retries=0)
        self._ports = ports
        self._turns = itertools.count()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        service = request.url.host
        ports = self._ports[service]
        first = next(self._turns)
        for attempt, _ in enumerate(ports, start=1):
            port = ports[(first + attempt) % len(ports)]
            request.url = httpx2.URL(f"http://127.0.0.1:{port}{request.url.raw_path.decode()}")
            try:
                return await self._inner.handle_async_request(request)
            except httpx2.ConnectError:
                if attempt == len(ports):
                    raise
        raise httpx2.ConnectError(f"{service} has no instances")

    async def aclose(self) -> None:
        await self._inner.aclose()
