"""A platform that stays up, and what its tests put into it: a circle, a dead letter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import httpx2
from aiokafka import AIOKafkaProducer

from coterie_chassis.auth import Role
from coterie_chassis.testing import event_of
from coterie_contracts.envelope import encode
from coterie_contracts.feedback import FeedbackImplemented
from coterie_local.data_folder import DataFolder, running_in
from coterie_local.status.asking import look
from coterie_local.status.judging import troubles
from coterie_local.status.watching import source_of
from coterie_local.tokens import TokenIssuer
from coterie_local.welcome import LOCAL_BRAND
from coterie_recognition.store.desks import DUE
from coterie_replay.brokers.blocking import block_on

__all__ = ["Operated", "eventually"]

_PATIENCE_S: Final = 60.0
_NOT_YET: Final = (403, 404, 503)


@dataclass
class Operated:
    """A running platform on `data`, from the outside."""

    data: Path
    known: dict[str, str] = field(default_factory=dict)
    """What stands for an id in documents."""

    @property
    def urls(self) -> dict[str, str]:
        running = running_in(self.data)
        assert running is not None
        return running.services

    def token(self, role: Role, name: str = "mia") -> str:
        return TokenIssuer(self.data / "tokens").mint(name, [role], brand=LOCAL_BRAND)

    def ask(
        self, method: str, service: str, path: str, role: Role, name: str, /, **body: Any
    ) -> dict[str, Any]:
        """What a service answers, once it knows what it is asked about."""
        headers = {"Authorization": f"Bearer {self.token(role, name)}"}

        def answer() -> httpx2.Response | None:
            told = httpx2.request(
                method, self.urls[service] + path, json=body or None, headers=headers
            )
            return None if told.status_code in _NOT_YET else told

        told = eventually(answer)
        assert told.is_success, told.text
        return dict(told.json())

    def manage(self, service: str, path: str, /, **body: Any) -> dict[str, Any]:
        return self.ask("POST", service, path, Role.MANAGER, "mia", **body)

    def begin(self) -> None:
        """A community of three seats with a budget of 120; Ada is in it and has said something."""
        made = self.manage(
            "membership",
            "/communities",
            name="Riders [bold]",
            time_zone="Europe/Berlin",
            objective="A pump that does not drip",
            capacity=3,
            requirements={"kind": "agreement", "document": "house-rules"},
        )
        community = str(made["community_id"])
        home = f"/communities/{community}"
        self.manage("membership", f"{home}/open")
        terms = {"community_id": community, "name": "Rewards", "currency": "USD"}
        budget = self.manage("recognition", "/budgets", **terms)["budget_id"]
        self.manage("recognition", f"/budgets/{budget}/fund", amount_minor=12_000)
        agreed = [{"document": "house-rules"}]
        ada = (Role.MEMBER, "ada")
        self.ask(
            "POST", "membership", f"{home}/applications", Role.APPLICANT, "ada", agreements=agreed
        )
        said = self.ask(
            "POST", "feedback", "/feedback", *ada, community_id=community, text="It drips."
        )

        def notice() -> str | None:
            told = self.ask("GET", "notifications", f"{home}/inbox", *ada)["items"]
            return str(told[0]["id"]) if told else None

        self.known = {
            "COMMUNITY_ID": community,
            "FEEDBACK_ID": str(said["feedback_id"]),
            "NOTIFICATION_ID": eventually(notice),
        }

    def filled_in(self, command: str) -> str:
        """A command of a document with what stands for an id or an address there put in."""
        command = command.replace("http://127.0.0.1:8000", self.urls["recognition"])
        for name, value in self.known.items():
            command = command.replace(name, value)
        return command

    def troubles(self) -> list[str]:
        """What needs somebody, as `coterie status` says it."""
        source = source_of(self.data, [], None)
        glance = block_on(look(source.places(), source.token()))
        return [str(trouble) for trouble in troubles(glance, source.command)]

    def plant_failed_deadline(self) -> None:
        """A deadline of recognition whose handler once failed."""
        url = DataFolder(self.data).environment("recognition")["COTERIE_DATABASE_URL"]

        async def insert() -> None:
            database = await asyncpg.connect(url)
            await database.execute(
                "INSERT INTO failed_deadline (kind, aggregate_id, community_id, due_at, error) "
                "VALUES ($1, $2, $3, now(), 'it failed once')",
                DUE,
                uuid4(),
                self.known["COMMUNITY_ID"],
            )
            await database.close()

        block_on(insert())

    def plant_dead_letter(self) -> None:
        """An event of a version that recognition cannot read, and one of the same key behind it."""
        running = running_in(self.data)
        assert running is not None
        body = FeedbackImplemented(
            feedback_id=uuid4(),
            community_id=uuid4(),
            author_id=uuid4(),
            objective_id=None,
            implementation_id=uuid4(),
            round=1,
            label="A pump that does not drip",
            what_changed="The seal is new",
            see_it_at="in your next order",
        )

        async def send() -> None:
            async with AIOKafkaProducer(bootstrap_servers=running.kafka) as producer:
                for version in ("v99", None):
                    message = encode(event_of(body, body.feedback_id))
                    headers = [
                        (name, f"coterie.{body.topic}.{version}".encode())
                        if version and name == "ce_type"
                        else (name, value)
                        for name, value in message.headers
                    ]
                    await producer.send_and_wait(
                        message.topic, message.value, key=message.key, headers=headers
                    )

        block_on(send())


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` returns once that is something."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return seen
