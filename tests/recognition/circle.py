"""One community in a test: events as the other services would send them, and its people."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, time, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4, uuid5

import httpx2
from sqlalchemy import select

from coterie_chassis.auth import Principal, Role
from coterie_chassis.decisions import member_id_of
from coterie_chassis.outbox import message_of
from coterie_chassis.tables import outbox
from coterie_chassis.testing import Harness, event_of, person
from coterie_contracts.community import (
    ClockAdvanced,
    ClockMode,
    CommunityChanged,
    CommunityOpened,
    CommunityStatus,
)
from coterie_contracts.envelope import Event
from coterie_contracts.feedback import (
    AskedAs,
    ContributionAppreciated,
    ContributionKind,
    ContributionRated,
    FeedbackImplemented,
    FeedbackReopened,
    FeedbackSubmitted,
    FeedbackUnconfirmed,
    FeedbackVerified,
    FeedbackWithdrawn,
    LookAgainAnswered,
    VerifiedBy,
)
from coterie_contracts.member import (
    Admission,
    MemberAdmitted,
    MemberErased,
    MemberFacts,
    MemberLeft,
    MemberReinstated,
    MemberReleased,
    MemberRemoved,
    MemberStatus,
    MemberSuspended,
)
from coterie_contracts.model import EventBody
from coterie_local.audit.facts import Log
from coterie_local.audit.registry import RULES
from coterie_local.log import Record

B = TypeVar("B", bound=EventBody)
STATUS = {
    MemberAdmitted: MemberStatus.ACTIVE,
    MemberReinstated: MemberStatus.ACTIVE,
    MemberSuspended: MemberStatus.SUSPENDED,
    MemberLeft: MemberStatus.LEFT,
    MemberReleased: MemberStatus.RELEASED,
    MemberRemoved: MemberStatus.REMOVED,
}


class Circle:
    """A community with helpers to make what happens in it; `now` is its driven clock."""

    def __init__(
        self,
        h: Harness,
        now: datetime,
        clock: ClockMode = ClockMode.DRIVEN,
        ids: tuple[UUID, UUID] | None = None,
    ) -> None:
        self.h = h
        self.now = now
        self.clock = clock
        self.community_id, self.brand_id = ids or (uuid4(), uuid4())
        self.manager = person("manager", Role.MANAGER, brand=self.brand_id)
        self.importer = person("importer", Role.IMPORTER, Role.MANAGER, brand=self.brand_id)
        self._sequences: Counter[UUID] = Counter()
        self._people: dict[UUID, Principal] = {}

    def event(
        self, body: B, subject: UUID, at: datetime | None = None, sequence: int | None = None
    ) -> Event[B]:
        if sequence is None:
            self._sequences[subject] += 1
            sequence = self._sequences[subject]
        return event_of(
            body,
            subject,
            sequence=sequence,
            at=at or self.now,
            community_id=self.community_id,
            brand_id=self.brand_id,
            clock=self.clock,
        )

    def opened(self, zone: str = "Europe/Berlin") -> Event[CommunityOpened]:
        return self.event(CommunityOpened(**self._community(time_zone=zone)), self.community_id)

    def changed(self, **facts: Any) -> Event[CommunityChanged]:
        return self.event(CommunityChanged(**self._community(**facts)), self.community_id)

    def _community(self, **facts: Any) -> dict[str, Any]:
        return {
            "community_id": self.community_id,
            "name": "Riders",
            "status": CommunityStatus.OPEN,
            "time_zone": "Europe/Berlin",
            "quiet_from": time(21),
            "quiet_until": time(8),
            "clock": self.clock,
            "capacity": 200,
            "objectives": (),
            "requirements_version": 1,
            **facts,
        }

    def clock_advanced(self, now: datetime) -> Event[ClockAdvanced]:
        body = ClockAdvanced(community_id=self.community_id, mode=self.clock, now=now)
        return self.event(body, self.community_id, at=now)

    async def open(self) -> None:
        await self.h.deliver(self.opened())

    def someone(self, name: str) -> UUID:
        """A person's member id here, whether or not they were admitted."""
        principal = person(name, Role.MEMBER)
        member_id = member_id_of(self.community_id, principal.person_id)
        self._people[member_id] = principal
        return member_id

    def as_(self, member_id: UUID) -> Principal:
        return self._people[member_id]

    def membership(
        self, body: type[MemberFacts], member_id: UUID, **more: Any
    ) -> Event[MemberFacts]:
        seated = {"seat_sequence": 1, "capacity": 200, "seats_held": 1}
        extra: dict[str, Any] = {
            MemberAdmitted: {
                "via": Admission.APPLICATION,
                "application_id": uuid4(),
                "requirements_version": 1,
            },
            MemberSuspended: {"until": self.now + timedelta(days=14)},
            MemberRemoved: {"reapply_after": self.now},
        }.get(body, {})
        facts = body(
            member_id=member_id,
            community_id=self.community_id,
            person_id=self._people[member_id].person_id,
            status=STATUS[body],
            admitted_at=self.now,
            time_zone="Europe/Berlin",
            locale="en",
            **seated,
            **extra,
            **more,
        )
        return self.event(facts, member_id)

    async def admit(self, *names: str) -> list[UUID]:
        members = [self.someone(name) for name in names]
        await self.h.deliver(*(self.membership(MemberAdmitted, m) for m in members))
        return members

    def erased(self, member_id: UUID) -> Event[MemberErased]:
        body = MemberErased(
            member_id=member_id,
            community_id=self.community_id,
            person_id=self._people[member_id].person_id,
            seat_sequence=2,
            capacity=200,
            seats_held=0,
        )
        return self.event(body, member_id)

    def submitted(self, feedback_id: UUID, author: UUID) -> Event[FeedbackSubmitted]:
        return self.event(FeedbackSubmitted(**self._item(feedback_id, author)), feedback_id)

    def withdrawn(self, feedback_id: UUID, author: UUID) -> Event[FeedbackWithdrawn]:
        return self.event(FeedbackWithdrawn(**self._item(feedback_id, author)), feedback_id)

    def implemented(
        self, feedback_id: UUID, author: UUID, round_: int = 1, duplicates: tuple[UUID, ...] = ()
    ) -> Event[FeedbackImplemented]:
        body = FeedbackImplemented(
            **self._item(feedback_id, author),
            implementation_id=self.implementation(feedback_id, round_),
            round=round_,
            duplicate_author_ids=duplicates,
            label="Longer opening hours",
            what_changed="We open at seven",
            see_it_at="At the shop",
        )
        return self.event(body, feedback_id)

    def verified(self, feedback_id: UUID, author: UUID, **more: Any) -> Event[FeedbackVerified]:
        return self._round(FeedbackVerified, feedback_id, author, **more)

    def reopened(self, feedback_id: UUID, author: UUID, **more: Any) -> Event[FeedbackReopened]:
        return self._round(FeedbackReopened, feedback_id, author, **more)

    def unconfirmed(
        self, feedback_id: UUID, author: UUID, **more: Any
    ) -> Event[FeedbackUnconfirmed]:
        return self._round(
            FeedbackUnconfirmed, feedback_id, author, **{"by": VerifiedBy.DEADLINE, **more}
        )

    def answered(self, feedback_id: UUID, member_id: UUID, *, satisfied: bool = True) -> Event[Any]:
        look_again = uuid5(self.implementation(feedback_id, 1), str(member_id))
        body = LookAgainAnswered(
            look_again_id=look_again,
            implementation_id=self.implementation(feedback_id, 1),
            feedback_id=feedback_id,
            community_id=self.community_id,
            member_id=member_id,
            round=1,
            asked_as=AskedAs.AUTHOR,
            satisfied=satisfied,
        )
        return self.event(body, look_again)

    def rated(
        self,
        contribution: UUID,
        author: UUID,
        rater: UUID,
        value: float,
        *,
        at: datetime | None = None,
        contributed_at: datetime | None = None,
    ) -> Event[ContributionRated]:
        rating = uuid5(contribution, str(rater))
        body = ContributionRated(
            rating_id=rating,
            contribution_id=contribution,
            contribution_kind=ContributionKind.FEEDBACK,
            community_id=self.community_id,
            author_id=author,
            rater_id=rater,
            value=value,
            rated_at=at or self.now,
            contributed_at=contributed_at or self.now,
        )
        return self.event(body, rating, at)

    def appreciated(
        self, contribution: UUID, author: UUID, *, yes: bool = True
    ) -> Event[ContributionAppreciated]:
        body = ContributionAppreciated(
            contribution_id=contribution,
            contribution_kind=ContributionKind.FEEDBACK,
            community_id=self.community_id,
            author_id=author,
            appreciated=yes,
            contributed_at=self.now,
        )
        return self.event(body, contribution)

    async def published(self, *bodies: type[B]) -> list[Event[B]]:
        return await self.h.published(*bodies)

    async def audited(self) -> None:
        """Hold what was published so far to the auditor's rules.

        Not to those about partitions and causes, which want the other services' events too.
        """
        async with self.h.database.begin() as uow:
            rows = await uow.rows(select(outbox).order_by(outbox.c.id))
        records = [
            Record(m.topic, 0, offset, 0, m.key, m.headers, m.value)
            for offset, m in enumerate(message_of(r.topic, r.key, r.headers, r.value) for r in rows)
        ]
        log = Log(records)
        elsewhere = {"partitions", "causation"}
        for rule in RULES:
            faults = [fault.explanation for fault in rule.check(log) if fault is not None]
            assert rule.name in elsewhere or faults == [], rule.name

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        options.setdefault("as_", self.manager)
        return await self.h.post(path, body, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        options.setdefault("as_", self.manager)
        return await self.h.get(path, **options)

    async def budget(self, amount: int, currency: str = "USD") -> str:
        """A funded budget's id; the first adopts the templates."""
        body = {"community_id": self.community_id, "name": "Rewards", "currency": currency}
        opened = await self.post("/budgets", body)
        assert opened.status_code == 201, opened.text
        budget_id = opened.json()["budget_id"]
        if amount:
            funded = await self.post(f"/budgets/{budget_id}/fund", {"amount_minor": amount})
            assert funded.status_code == 200, funded.text
        return str(budget_id)

    async def fill(self, pool: str, *codes: str) -> str:
        """Put codes into the template pool of that name; its id."""
        pools = (await self.get(f"/communities/{self.community_id}/pools")).json()
        pool_id = next(p["pool_id"] for p in pools if p["name"] == pool)
        answer = await self.post(f"/pools/{pool_id}/codes", {"codes": list(codes)})
        assert answer.status_code == 200, answer.text
        return str(pool_id)

    async def policy(self, name: str) -> dict[str, Any]:
        found = (await self.get(f"/communities/{self.community_id}/policies")).json()
        return next(policy for policy in found if policy["name"] == name)

    async def rewards(self, name: str | None = None) -> list[dict[str, Any]]:
        """All rewards, or those for one item, newest first, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            params = {"limit": 40} | ({"cursor": cursor} if cursor else {})
            answer = await self.get(f"/communities/{self.community_id}/rewards", params=params)
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            if (cursor := answer.json()["next"]) is None:
                break
        assert len({r["reward_id"] for r in found}) == len(found)
        return [r for r in found if name in {None, r["item_name"]}]

    async def advance(self, days: float) -> None:
        """Move the driven clock with a command of the importer."""
        self.now += timedelta(days=days)
        body = {"community_id": self.community_id, "name": f"to {self.now}", "currency": "USD"}
        answer = await self.post("/budgets", body, as_=self.importer, at=self.now)
        assert answer.status_code == 201, answer.text

    @staticmethod
    def implementation(feedback_id: UUID, round_: int) -> UUID:
        return uuid5(feedback_id, f"round {round_}")

    def _item(self, feedback_id: UUID, author: UUID) -> dict[str, Any]:
        return {
            "feedback_id": feedback_id,
            "community_id": self.community_id,
            "author_id": author,
            "objective_id": None,
        }

    def _round(
        self,
        body: type[B],
        feedback_id: UUID,
        author: UUID,
        *,
        round_: int = 1,
        duplicates: tuple[UUID, ...] = (),
        by: VerifiedBy = VerifiedBy.AUTHOR,
    ) -> Event[B]:
        facts = body(
            **self._item(feedback_id, author),
            implementation_id=self.implementation(feedback_id, round_),
            round=round_,
            duplicate_author_ids=duplicates,
            implemented_at=self.now,
            by=by,
        )
        return self.event(facts, feedback_id)
