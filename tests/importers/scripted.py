"""A scripted platform for what the player promises by itself: order, resumption, accounting.

It knows seats, a waitlist and ids that follow from keys, and records each effect once. It judges
nothing: that the platform's rules hold is for the tests that play against real services.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import httpx2

from coterie_chassis.auth import Role
from coterie_chassis.decisions import derived_id, member_id_of
from coterie_chassis.testing import ISSUER, person
from coterie_local.importers.client import SERVICES, CoterieClient
from coterie_local.importers.transport import Transport

Body = dict[str, Any]


def _id(*parts: object) -> UUID:
    return uuid5(NAMESPACE_URL, "/".join(str(part) for part in parts))


@dataclass
class Applicant:
    application_id: UUID
    person_id: UUID
    status: str
    applied_at: datetime
    admitted_at: datetime | None = None


@dataclass
class Scripted:
    """`lose_at` cuts the connection before that command; `refuse` may name a broken rule."""

    lose_at: int | None = None
    refuse: Callable[[str, str, Body], str | None] = lambda method, path, body: None
    capacity: int = 0
    community: UUID | None = None
    applicants: dict[UUID, Applicant] = field(default_factory=dict)
    line: list[Applicant] = field(default_factory=list)
    feedback: dict[UUID, str] = field(default_factory=dict)
    talk: dict[str, list[Body]] = field(default_factory=lambda: defaultdict(list))
    effects: dict[tuple[Any, ...], datetime] = field(default_factory=dict)
    moments: list[datetime] = field(default_factory=list)
    commands: int = 0
    at_work: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)

    def client(self) -> CoterieClient:
        http = httpx2.AsyncClient(transport=self.transport())
        bases = {name: f"http://{name}.test" for name in SERVICES}
        return CoterieClient(Transport(http, bases, mint, uuid4(), ISSUER, patience_s=0.0))

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self._answer_after_a_while)

    async def _answer_after_a_while(self, request: httpx2.Request) -> httpx2.Response:
        """Others get their turn first, so that what is sent together is seen together."""
        deed = request.url.path.rsplit("/", 1)[-1]
        self.at_work[deed] += 1
        self.most_at_once[deed] = max(self.most_at_once[deed], self.at_work[deed])
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            return self._answer(request)
        finally:
            self.at_work[deed] -= 1

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path, method = request.url.path, request.method
        if method == "GET":
            shown = self._show(path)
            return httpx2.Response(200 if shown is not None else 404, json=shown)
        self.commands += 1
        if self.commands == self.lose_at:
            raise httpx2.ConnectError("gone")
        body = json.loads(request.content)
        if (rule := self.refuse(method, path, body)) is not None:
            return httpx2.Response(409, json={"type": f"urn:coterie:problem:{rule}"})
        told = request.headers.get("Coterie-Occurred-At") or body["now"]
        at = datetime.fromisoformat(told)
        self.moments.append(at)
        at = max(self.moments)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        subject = json.loads(bytes.fromhex(token))["sub"]
        made, shown = self._change(request, body, subject, at)
        return httpx2.Response(200, json=shown, headers={"Coterie-Position": f"{made};1"})

    def _change(
        self, request: httpx2.Request, body: Body, subject: str, at: datetime
    ) -> tuple[UUID, Body]:
        path = request.url.path
        *_, owner, last = path.split("/")
        if path == "/communities":
            self.capacity, self.community = body["capacity"], _id("community")
            return self._once(self.community, at, "create")
        if last == "applications":
            return self._apply(subject, at)
        if last in ("accept-seat", "withdraw"):
            return self._decide(UUID(owner), last, at)
        if last == "leave":
            return self._leave(UUID(owner), at)
        return self._contribute(request, body, subject, at)

    def _contribute(
        self, request: httpx2.Request, body: Body, subject: str, at: datetime
    ) -> tuple[UUID, Body]:
        """Feedback's commands, and those on a community, which all are one effect a key.

        A rating, like a push of the clock, is a new effect whenever its time is a new one.
        """
        *_, owner, last = request.url.path.split("/")
        made = _id(subject, request.url.path, request.headers["Idempotency-Key"])
        who, key = (ISSUER, subject, "POST"), request.headers["Idempotency-Key"]
        if last == "feedback":
            made = derived_id(derived_id(*who, "/feedback", key), "feedback")
            self.feedback.setdefault(made, "submitted")
        elif last == "comments":
            made = derived_id(derived_id(*who, request.url.path, key), "comment")
            self.talk[owner].append({"comment_id": str(made)})
        elif last in ("accept", "plan", "decline", "implement"):
            self.feedback[UUID(owner)] = last
        elif last in ("rating", "clock"):
            return self._once(made, at, last, owner, subject, str(body), at)
        return self._once(made, at, last, owner, subject)

    def _once(self, made: UUID, at: datetime, *effect: object) -> tuple[UUID, Body]:
        self.effects.setdefault((made, *effect), at)
        return made, self._community()

    def _community(self) -> Body:
        return {"community_id": str(self.community), "now": max(self.moments).isoformat()}

    def _apply(self, subject: str, at: datetime) -> tuple[UUID, Body]:
        application_id = _id("application", subject)
        if application_id not in self.applicants:
            found = Applicant(application_id, _id("person", subject), "waitlisted", at)
            self.applicants[application_id] = found
            if self._held() < self.capacity:
                found.status, found.admitted_at = "admitted", at
            else:
                self.line.append(found)
            self._once(application_id, at, "apply", found.status)
        return application_id, self._application(self.applicants[application_id])

    def _decide(self, application_id: UUID, deed: str, at: datetime) -> tuple[UUID, Body]:
        found = self.applicants[application_id]
        if deed == "accept-seat":
            found.status, found.admitted_at = "admitted", found.admitted_at or at
        else:
            found.status = "withdrawn"
            if found in self.line:
                self.line.remove(found)
        self._once(application_id, at, deed)
        return application_id, self._application(found)

    def _leave(self, member_id: UUID, at: datetime) -> tuple[UUID, Body]:
        assert self.community is not None
        found = next(
            a
            for a in self.applicants.values()
            if member_id_of(self.community, a.person_id) == member_id
        )
        if (member_id, "leave") not in self.effects:
            found.status = "left"
            if self.line:
                self.line.pop(0).status = "offered"
        return self._once(member_id, at, "leave")

    def _held(self) -> int:
        return sum(a.status in ("admitted", "offered") for a in self.applicants.values())

    def _show(self, path: str) -> Any:
        if match := re.fullmatch(r"/applications/(.+)", path):
            return self._application(self.applicants[UUID(match[1])])
        if path == f"/communities/{self.community}":
            return self._community()
        if match := re.fullmatch(r"/feedback/(.+)", path):
            state = self.feedback.get(UUID(match[1]))
            return state and {"status": state, "talk": self.talk[match[1]]}
        if path.endswith("/todo"):
            return []
        return {"items": [{"status": state} for state in self.feedback.values()], "next": None}

    def _application(self, found: Applicant) -> Body:
        member = self.community and member_id_of(self.community, found.person_id)
        admitted = found.admitted_at is not None
        return {
            "application_id": str(found.application_id),
            "status": found.status,
            "enqueued_at": found.applied_at.isoformat(),
            "member_id": str(member) if admitted else None,
            "member_position": f"{member};1" if admitted else None,
            "admitted_at": found.admitted_at and found.admitted_at.isoformat(),
        }


def mint(subject: str, roles: Iterable[Role], *, brand: UUID | None = None) -> str:
    """A token as the harness reads it."""
    who = person(subject, *roles)
    claims = {
        "iss": who.issuer,
        "sub": subject,
        "roles": sorted(who.roles),
        "brand": str(brand),
        "communities": None,
    }
    return json.dumps(claims).encode().hex()
