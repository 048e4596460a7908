"""A community on a driven clock, as the notifications service hears of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from coterie_chassis.auth import Principal, Role
from coterie_chassis.decisions import member_id_of
from coterie_chassis.testing import Harness, event_of, person
from coterie_contracts import community, feedback, member, reward
from coterie_contracts.community import ClockMode
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody, Seated

START = datetime(2024, 3, 4, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class World:
    """Builds events of one community; `h` delivers them."""

    h: Harness
    brand_id: UUID = field(default_factory=uuid4)
    community_id: UUID = field(default_factory=uuid4)
    clock: ClockMode = ClockMode.DRIVEN
    sequences: dict[UUID, int] = field(default_factory=dict)
    seats: Any = field(default_factory=lambda: count(1))
    held: int = 0

    @property
    def manager(self) -> Principal:
        return person("mona", Role.MANAGER, Role.IMPORTER, brand=self.brand_id)

    def who(self, name: str) -> Principal:
        return person(name, Role.MEMBER, Role.APPLICANT, Role.IMPORTER)

    def member_id(self, name: str) -> UUID:
        return member_id_of(self.community_id, self.who(name).person_id)

    def event(self, body: EventBody, subject: UUID, at: datetime) -> Event[EventBody]:
        self.sequences[subject] = self.sequences.get(subject, 0) + 1
        return event_of(
            body,
            subject,
            sequence=self.sequences[subject],
            at=at,
            community_id=self.community_id,
            brand_id=self.brand_id,
            clock=self.clock,
        )

    def opened(
        self,
        at: datetime = START,
        body: type[community.CommunityFacts] = community.CommunityOpened,
        **fields: Any,
    ) -> Event[EventBody]:
        facts = {
            "community_id": self.community_id,
            "name": "The Bike Kitchen",
            "status": community.CommunityStatus.OPEN,
            "time_zone": "Europe/Berlin",
            "quiet_from": time(21),
            "quiet_until": time(8),
            "clock": self.clock,
            "capacity": 10,
            "objectives": (),
            "requirements_version": 1,
        }
        return self.event(body(**{**facts, **fields}), self.community_id, at)

    def _seats(self, change: int) -> dict[str, int]:
        self.held = max(0, self.held + change)
        return {"seat_sequence": next(self.seats), "capacity": 10, "seats_held": self.held}

    def _facts(self, name: str, status: str, admitted_at: datetime) -> dict[str, Any]:
        return {
            "member_id": self.member_id(name),
            "community_id": self.community_id,
            "person_id": self.who(name).person_id,
            "status": status,
            "admitted_at": admitted_at,
            "time_zone": "Europe/Berlin",
            "locale": "en",
        }

    def admitted(self, name: str, at: datetime = START, **fields: Any) -> Event[EventBody]:
        facts = {
            **self._seats(1),
            **self._facts(name, "active", at),
            "via": member.Admission.APPLICATION,
            "application_id": uuid4(),
            "requirements_version": 1,
        }
        return self.event(member.MemberAdmitted(**{**facts, **fields}), self.member_id(name), at)

    def standing(
        self, body: type[member.MemberFacts], name: str, status: str, at: datetime, **more: Any
    ) -> Event[EventBody]:
        """A change of standing; one that frees a seat says so."""
        freed = self._seats(-1) if issubclass(body, Seated) else {}
        facts = self._facts(name, status, START)
        return self.event(body(**freed, **facts, **more), self.member_id(name), at)

    def seated(self, body: type[Seated], subject: UUID, at: datetime, **facts: Any) -> Event[Any]:
        """An event that counts seats and changes none."""
        community_id = self.community_id
        return self.event(body(**self._seats(0), community_id=community_id, **facts), subject, at)

    def suspended(self, name: str, at: datetime) -> Event[EventBody]:
        body = member.MemberSuspended(**self._facts(name, "suspended", START), until=at + 14 * DAY)
        return self.event(body, self.member_id(name), at)

    def left(self, name: str, at: datetime) -> Event[EventBody]:
        body = member.MemberLeft(**self._seats(-1), **self._facts(name, "left", START))
        return self.event(body, self.member_id(name), at)

    def erased(self, name: str, at: datetime) -> Event[EventBody]:
        body = member.MemberErased(
            **self._seats(-1),
            member_id=self.member_id(name),
            community_id=self.community_id,
            person_id=self.who(name).person_id,
        )
        return self.event(body, self.member_id(name), at)

    def application(
        self, body: type[member.ApplicationFacts], name: str, at: datetime, id_: UUID, **more: Any
    ) -> Event[EventBody]:
        facts = {
            "application_id": id_,
            "community_id": self.community_id,
            "person_id": self.who(name).person_id,
        }
        return self.event(body(**facts, **more), id_, at)

    def suggestion(
        self,
        body: type[feedback.FeedbackFacts],
        name: str,
        at: datetime,
        id_: UUID | None = None,
        **more: Any,
    ) -> Event[EventBody]:
        id_ = id_ or uuid4()
        facts = {
            "feedback_id": id_,
            "community_id": self.community_id,
            "author_id": self.member_id(name),
            "objective_id": None,
        }
        return self.event(body(**facts, **more), id_, at)

    def accepted(self, name: str, at: datetime) -> Event[EventBody]:
        return self.suggestion(feedback.FeedbackAccepted, name, at, label="Louder bells")

    def look_again(
        self, body: type[feedback.LookAgainFacts], name: str, at: datetime, id_: UUID, **more: Any
    ) -> Event[EventBody]:
        facts = {
            "look_again_id": id_,
            "implementation_id": uuid4(),
            "feedback_id": uuid4(),
            "community_id": self.community_id,
            "member_id": self.member_id(name),
            "round": 1,
            "asked_as": feedback.AskedAs.AUTHOR,
        }
        return self.event(body(**facts, **more), id_, at)

    def asked(self, name: str, at: datetime, id_: UUID | None = None) -> Event[EventBody]:
        more = {
            "label": "Louder bells",
            "what_changed": "Bells are louder.",
            "see_it_at": "your next order",
            "due_at": at + 14 * DAY,
        }
        return self.look_again(feedback.LookAgainRequested, name, at, id_ or uuid4(), **more)

    def reward(
        self, body: type[reward.RewardFacts], name: str, at: datetime, id_: UUID, **more: Any
    ) -> Event[EventBody]:
        facts = {
            "reward_id": id_,
            "cause_id": uuid4(),
            "member_id": self.member_id(name),
            "community_id": self.community_id,
            "feedback_id": None,
            "policy_id": uuid4(),
            "policy_version": 1,
            "item_kind": reward.ItemKind.GIFT_CODE,
            "item_name": "Coffee card",
        }
        return self.event(body(**facts, **more), id_, at)

    def campaign(self, at: datetime, id_: UUID | None = None) -> Event[EventBody]:
        id_ = id_ or uuid4()
        body = feedback.CampaignLaunched(
            campaign_id=id_,
            community_id=self.community_id,
            objective_id=uuid4(),
            title="Bells",
            member_benefit="The best idea gets built.",
            closes_at=at + 14 * DAY,
            audience_size=1,
        )
        return self.event(body, id_, at)

    async def populate(self, *names: str, at: datetime = START) -> None:
        await self.h.deliver(self.opened(at), *(self.admitted(name, at) for name in names))
        letters = [letter.error for letter in await self.h.dead_letters()]
        assert letters == [], letters

    async def give_value(self, name: str, messages: int, until: datetime) -> None:
        """Personal messages, six hours apart, the last one six hours before `until`."""
        await self.h.deliver(
            *(self.accepted(name, until - 6 * HOUR * (n + 1)) for n in reversed(range(messages)))
        )

    async def offer(self, at: datetime, key: str | None = None, **fields: Any) -> dict[str, Any]:
        body = {"title": "Ten off", "member_benefit": "Ten percent off.", **fields}
        path = f"/communities/{self.community_id}/offers"
        answer = await self.h.post(path, body, as_=self.manager, at=at, key=key)
        assert answer.status_code == 201, answer.text
        result: dict[str, Any] = answer.json()
        return result

    async def inbox(self, name: str) -> list[dict[str, Any]]:
        path = f"/communities/{self.community_id}/inbox"
        answer = await self.h.get(path, as_=self.who(name), params={"limit": 100})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def templates(self, name: str) -> list[str]:
        """What a person was told, oldest first."""
        return [item["template"] for item in reversed(await self.inbox(name))]


def ledgered(amount: int = 500) -> dict[str, Any]:
    return {
        "budget_id": uuid4(),
        "ledger_sequence": 1,
        "amount_minor": amount,
        "currency": "USD",
        "funded_minor": amount,
        "reserved_minor": amount,
        "spent_minor": 0,
    }
