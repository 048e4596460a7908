"""The platform's commands, a method each: the one place outside the services that knows routes.

Methods return `Answer`; they raise `Refused` with the platform's rule, or `Unreachable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from coterie_chassis.decisions import derived_id
from coterie_local.importers.transport import Answer, Refused, Send, Transport

MEMBERSHIP = "membership"
FEEDBACK = "feedback"
RECOGNITION = "recognition"
NOTIFICATIONS = "notifications"
SERVICES = (MEMBERSHIP, FEEDBACK, RECOGNITION, NOTIFICATIONS)


@dataclass(frozen=True, slots=True)
class ApplicationState:
    """What membership shows of an application; times are the community clock's.

    `member_id`, `member_position` and `admitted_at` are there once somebody was admitted.
    """

    application_id: UUID
    status: str
    enqueued_at: str | None
    member_id: str | None
    member_position: str | None
    admitted_at: datetime | None


def application_state(answer: Answer) -> ApplicationState:
    body = answer.body
    admitted_at = body["admitted_at"]
    return ApplicationState(
        application_id=UUID(body["application_id"]),
        status=body["status"],
        enqueued_at=body["enqueued_at"],
        member_id=body["member_id"],
        member_position=body["member_position"],
        admitted_at=datetime.fromisoformat(admitted_at) if admitted_at else None,
    )


def created_id(answer: Answer) -> UUID:
    """The id of what a command made, which its position begins with."""
    if answer.position is None:
        raise ValueError("the answer has no position")
    return UUID(answer.position.partition(";")[0])


def page_of_board(answer: Answer) -> tuple[list[str], str | None]:
    """The states of a page of suggestions, and the cursor of the next page."""
    return [item["status"] for item in answer.body["items"]], answer.body.get("next")


class CoterieClient:
    """Commands and queries of the four services over a `Transport`."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def _do(self, service: str, method: str, path: str, send: Send, **body: Any) -> Answer:
        given = {name: value for name, value in body.items() if value is not None}
        return await self.transport.command(service, method, path, given, send)

    # --- membership

    async def create_community(self, send: Send, definition: Mapping[str, Any]) -> Answer:
        return await self.transport.command(MEMBERSHIP, "POST", "/communities", definition, send)

    async def open_community(self, send: Send, community: UUID) -> Answer:
        return await self._do(MEMBERSHIP, "POST", f"/communities/{community}/open", send)

    async def community(self, send: Send, community: UUID) -> Answer:
        return await self.transport.query(MEMBERSHIP, f"/communities/{community}", send)

    async def push_clock(self, send: Send, community: UUID, now: datetime) -> Answer:
        path = f"/communities/{community}/clock"
        return await self._do(MEMBERSHIP, "POST", path, send, now=now.isoformat())

    async def apply(self, send: Send, community: UUID, application: Mapping[str, Any]) -> Answer:
        path = f"/communities/{community}/applications"
        return await self.transport.command(MEMBERSHIP, "POST", path, application, send)

    async def approve_application(self, send: Send, application: UUID) -> Answer:
        return await self._do(MEMBERSHIP, "POST", f"/applications/{application}/approve", send)

    async def accept_seat(self, send: Send, application: UUID) -> Answer:
        return await self._do(MEMBERSHIP, "POST", f"/applications/{application}/accept-seat", send)

    async def withdraw_application(self, send: Send, application: UUID) -> Answer:
        return await self._do(MEMBERSHIP, "POST", f"/applications/{application}/withdraw", send)

    async def application(self, send: Send, application: UUID) -> Answer:
        return await self.transport.query(MEMBERSHIP, f"/applications/{application}", send)

    async def leave(self, send: Send, member: UUID) -> Answer:
        return await self._do(MEMBERSHIP, "POST", f"/members/{member}/leave", send)

    # --- feedback

    async def submit(
        self, send: Send, community: UUID, text: str, *, objective: UUID | None = None
    ) -> Answer:
        return await self._do(
            FEEDBACK,
            "POST",
            "/feedback",
            send,
            community_id=str(community),
            text=text,
            objective_id=objective and str(objective),
        )

    def made_by(self, send: Send, path: str, kind: str) -> UUID:
        """The id of what a command with the key of `send` makes at `path`."""
        who = (self.transport.issuer, send.caller.subject)
        return derived_id(derived_id(*who, "POST", path, send.key), kind)

    async def submitted_before(self, send: Send, reader: Send) -> UUID | None:
        """The suggestion that `submit` made with the key of `send`; None if it was refused.

        A refusal leaves nothing behind, so asking again with the key would be judged anew.
        """
        made = self.made_by(send, "/feedback", "feedback")
        try:
            await self.transport.query(FEEDBACK, f"/feedback/{made}", reader)
        except Refused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
            return None
        return made

    async def commented_before(self, send: Send, reader: Send, feedback: UUID) -> UUID | None:
        """The comment that `comment` made with the key of `send`; None if it was refused."""
        made = self.made_by(send, f"/feedback/{feedback}/comments", "comment")
        answer = await self.transport.query(FEEDBACK, f"/feedback/{feedback}", reader)
        said = {item["comment_id"] for item in answer.body["talk"]}
        return made if str(made) in said else None

    async def comment(self, send: Send, feedback: UUID, text: str) -> Answer:
        return await self._do(FEEDBACK, "POST", f"/feedback/{feedback}/comments", send, text=text)

    async def accept(self, send: Send, feedback: UUID, label: str) -> Answer:
        return await self._do(FEEDBACK, "POST", f"/feedback/{feedback}/accept", send, label=label)

    async def plan(self, send: Send, feedback: UUID) -> Answer:
        return await self._do(FEEDBACK, "POST", f"/feedback/{feedback}/plan", send)

    async def decline(self, send: Send, feedback: UUID, reason: str) -> Answer:
        return await self._do(
            FEEDBACK, "POST", f"/feedback/{feedback}/decline", send, reason=reason
        )

    async def implement(
        self, send: Send, feedback: UUID, what_changed: str, see_it_at: str
    ) -> Answer:
        return await self._do(
            FEEDBACK,
            "POST",
            f"/feedback/{feedback}/implement",
            send,
            what_changed=what_changed,
            see_it_at=see_it_at,
        )

    async def rate(self, send: Send, contribution: UUID, value: float) -> Answer:
        return await self._do(
            FEEDBACK, "PUT", f"/contributions/{contribution}/rating", send, value=value
        )

    async def board(
        self, send: Send, community: UUID, *, limit: int, cursor: str | None = None
    ) -> Answer:
        given: dict[str, str | int] = {"limit": limit}
        if cursor is not None:
            given["cursor"] = cursor
        return await self.transport.query(
            FEEDBACK, f"/communities/{community}/board", send, **given
        )

    async def todo(self, service: str, send: Send, community: UUID) -> Answer:
        return await self.transport.query(service, f"/communities/{community}/todo", send)
