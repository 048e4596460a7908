"""Real services behind the player's transport, without Kafka: events are handed over directly.

What one service published is delivered to the others before their next request, through the real
codec, inbox and handlers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2

from coterie_chassis.testing import ISSUER, Harness
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_local.importers.client import SERVICES, CoterieClient
from coterie_local.importers.transport import Transport

from .scripted import mint

BRAND = uuid4()
_PASSED_ON = frozenset({"content-type", "etag", "coterie-position", "retry-after"})


@dataclass
class RealServices(httpx2.AsyncBaseTransport):
    """`running` answers by service name; what is not running is answered by `otherwise`."""

    running: Mapping[str, Harness]
    otherwise: httpx2.AsyncBaseTransport
    _handed_over: dict[str, int] = field(default_factory=dict)

    def client(self) -> CoterieClient:
        bases = {name: f"http://{name}.test" for name in SERVICES}
        http = httpx2.AsyncClient(transport=self)
        return CoterieClient(Transport(http, bases, mint, BRAND, ISSUER, patience_s=5.0))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        service = request.url.host.removesuffix(".test")
        if service not in self.running:
            return await self.otherwise.handle_async_request(request)
        await self.hand_over()
        answer = await self.running[service].client.request(
            request.method,
            request.url.raw_path.decode(),
            content=await request.aread(),
            headers={k: v for k, v in request.headers.items() if k != "host"},
        )
        headers = {k: v for k, v in answer.headers.items() if k.lower() in _PASSED_ON}
        return httpx2.Response(answer.status_code, headers=headers, content=answer.content)

    async def hand_over(self) -> None:
        """Deliver what each service has published since, until nobody publishes any more."""
        while True:
            fresh = [
                (name, events)
                for name, each in self.running.items()
                if (events := await self._fresh(name, each))
            ]
            if not fresh:
                return
            for owner, events in fresh:
                for name, other in self.running.items():
                    if name != owner:
                        await other.deliver(*events)

    async def _fresh(self, name: str, service: Harness) -> list[Event[EventBody]]:
        published = await service.published(EventBody)
        known, self._handed_over[name] = self._handed_over.get(name, 0), len(published)
        return published[known:]

    async def published(self) -> dict[str, int]:
        """How many events each service has published."""
        return {name: len(await each.published()) for name, each in self.running.items()}
