"""Who is let in, who waits and moves up, who leaves: the history's side of membership.

A source says when somebody came and went. That they take the seat which they waited for is
simulated, and so is that they stop waiting when they go. Times are the platform's own, so that
a second import, which finds everybody admitted already, builds the same roster.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_chassis.decisions import member_id_of
from coterie_local.importers.client import CoterieClient, application_state
from coterie_local.importers.founding import HOUSE_RULES
from coterie_local.importers.journal import Journal, Outcome
from coterie_local.importers.plan import Fate, Step, Why
from coterie_local.importers.roster import Roster
from coterie_local.importers.transport import Answer, Caller, Send

ADMITTED, WAITLISTED, OFFERED = "admitted", "waitlisted", "offered"
_NOT_WAITING_ANY_MORE = frozenset({"withdrawn", "declined", "lapsed"})


@dataclass(slots=True)
class Admissions:
    """Applies and leaves in people's names; the platform's answers go into `roster`."""

    client: CoterieClient
    roster: Roster
    journal: Journal
    community_key: str
    community_id: UUID
    applications: dict[str, UUID] = field(default_factory=dict)
    people: dict[str, UUID] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    simulated: Counter[str] = field(default_factory=Counter)

    def caller(self, person: str) -> Caller:
        return Caller(
            f"{self.community_key}:{person}", (Role.APPLICANT, Role.MEMBER, Role.IMPORTER)
        )

    def position(self, person: str) -> str | None:
        """What another service must have seen before this member can act there."""
        person_id = self.people.get(person)
        if person_id is None:
            return None
        return f"{member_id_of(self.community_id, person_id)};1"

    async def apply(self, step: Step) -> Outcome:
        """Apply; the outcome's facts hold what a resumed import needs to know."""
        person = step.actor or ""
        send = Send(caller=self.caller(person), at=step.at, key=step.key)
        answer = await self.client.apply(send, self.community_id, APPLICATION)
        outcome = Outcome(Fate.PLAYED, facts=_facts(answer, step.at))
        self.recall(step, outcome)
        return outcome

    def recall(self, step: Step, outcome: Outcome) -> None:
        """Take a step's outcome, of now or of an earlier run, into account."""
        person, facts = step.actor or "", outcome.facts
        if outcome.fate is not Fate.PLAYED or "application" not in facts:
            return
        self.applications[person] = UUID(facts["application"])
        self.people[person] = UUID(facts["person"])
        seat = self.journal.get(_seat_key(person))
        joined = seat.facts["joined"] if seat else facts.get("joined")
        if joined is not None:
            self._admit(person, datetime.fromisoformat(joined), step.at)
        elif facts["status"] not in _NOT_WAITING_ANY_MORE:
            self.waiting.append(person)

    async def leave(self, step: Step) -> Outcome:
        """Leave, or stop waiting; whoever is next in line then takes the seat."""
        person = step.actor or ""
        if person not in self.applications:
            return Outcome(Fate.REFUSED, Why.NOT_A_MEMBER)
        send = Send(caller=self.caller(person), at=step.at, key=step.key)
        if self.roster.is_member(person, step.at):
            member_id = member_id_of(self.community_id, self.people[person])
            await self.client.leave(send, member_id)
        elif person in self.waiting:
            await self.client.withdraw_application(send, self.applications[person])
        self.depart(step)
        await self._take_seats(step.at)
        return Outcome(Fate.PLAYED)

    def depart(self, step: Step) -> None:
        """Somebody is gone, in this run or an earlier one."""
        person = step.actor or ""
        if person in self.waiting:
            self.waiting.remove(person)
        self.simulated["withdraw"] += not self.roster.is_member(person, step.at)
        self.roster.depart(person, step.at)

    async def _take_seats(self, at: datetime) -> None:
        """Accept what was offered, from the head of the line until nobody is offered a seat."""
        while self.waiting:
            person = self.waiting[0]
            send = Send(caller=self.caller(person), at=at, key=_seat_key(person))
            application = self.applications[person]
            answer = await self.client.application(Send(caller=send.caller), application)
            status = application_state(answer).status
            if status == OFFERED:
                answer = await self.client.accept_seat(send, application)
            elif status != ADMITTED:
                return
            facts = _facts(answer, at)
            self.waiting.pop(0)
            self.journal.keep(_seat_key(person), Outcome(Fate.PLAYED, facts=facts))
            self._admit(person, datetime.fromisoformat(facts["joined"]))

    def _admit(self, person: str, at: datetime, applied_at: datetime | None = None) -> None:
        """A seat that was not free on applying was accepted later, which no source says."""
        self.roster.admit(person, at)
        self.simulated["accept-seat"] += applied_at is None or at > applied_at


APPLICATION = {"agreements": [{"document": HOUSE_RULES["document"], "version": "1"}]}


def _seat_key(person: str) -> str:
    return f"seat:{person}"


def _facts(answer: Answer, at: datetime) -> dict[str, str]:
    """An admission without a time of its own took place when the command did."""
    state = application_state(answer)
    facts = {
        "application": str(state.application_id),
        "person": str(state.person_id),
        "status": state.status,
    }
    if state.admitted_at is not None or state.status == ADMITTED:
        facts["joined"] = (state.admitted_at or at).isoformat()
    return facts
