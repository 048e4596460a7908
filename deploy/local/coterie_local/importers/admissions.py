"""Who is let in, who waits and moves up, who leaves: the history's side of membership.

A source says when somebody came and went. That they take the seat which they waited for is
simulated, and so is that they stop waiting when they go. Times are the platform's own, so that
a second import, which finds everybody admitted already, builds the same roster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from coterie_chassis.auth import Role
from coterie_local.importers.client import CoterieClient, application_state
from coterie_local.importers.founding import HOUSE_RULES
from coterie_local.importers.journal import Journal, Outcome
from coterie_local.importers.plan import Fate, Step, Why
from coterie_local.importers.roster import Roster
from coterie_local.importers.transport import Answer, Caller, Send

ADMITTED, WAITLISTED, OFFERED = "admitted", "waitlisted", "offered"


@dataclass(slots=True)
class Admissions:
    """Applies and leaves in people's names; the platform's answers go into `roster`."""

    client: CoterieClient
    roster: Roster
    journal: Journal
    community_key: str
    community_id: UUID
    applications: dict[str, UUID] = field(default_factory=dict)
    members: dict[str, Mapping[str, str]] = field(default_factory=dict)
    waiting: dict[str, tuple[str, UUID]] = field(default_factory=dict)
    simulated: Counter[str] = field(default_factory=Counter)

    def caller(self, person: str) -> Caller:
        return Caller(
            f"{self.community_key}:{person}", (Role.APPLICANT, Role.MEMBER, Role.IMPORTER)
        )

    def position(self, person: str) -> str:
        """What another service must have seen before this member can act there."""
        return self.members[person]["position"]

    async def apply(self, step: Step) -> Outcome:
        """Apply; the outcome's facts hold what a resumed import needs to know."""
        person = step.actor or ""
        send = Send(caller=self.caller(person), at=step.at, key=step.key)
        answer = await self.client.apply(send, self.community_id, APPLICATION)
        outcome = Outcome(Fate.PLAYED, facts=_facts(answer))
        self.recall(step, outcome)
        return outcome

    def recall(self, step: Step, outcome: Outcome) -> None:
        """Take a step's outcome, of now or of an earlier run, into account."""
        person, facts = step.actor or "", outcome.facts
        if outcome.fate is not Fate.PLAYED or "application" not in facts:
            return
        self.applications[person] = UUID(facts["application"])
        seat = self.journal.get(_seat_key(person))
        known = seat.facts if seat else facts
        if "joined" in known:
            self._admit(person, known, step.at)
        elif "enqueued" in facts and facts["status"] in (WAITLISTED, OFFERED):
            self.waiting[person] = facts["enqueued"], self.applications[person]

    async def leave(self, step: Step) -> Outcome:
        """Leave, or stop waiting; whoever is next in line then takes the seat."""
        person = step.actor or ""
        if person not in self.applications:
            return Outcome(Fate.REFUSED, Why.NOT_A_MEMBER)
        send = Send(caller=self.caller(person), at=step.at, key=step.key)
        if self.roster.is_member(person, step.at):
            await self.client.leave(send, UUID(self.members[person]["member"]))
        elif person in self.waiting:
            await self.client.withdraw_application(send, self.applications[person])
        self.depart(step)
        await self._take_seats(step.at)
        return Outcome(Fate.PLAYED)

    def depart(self, step: Step) -> None:
        """Somebody is gone, in this run or an earlier one."""
        person = step.actor or ""
        self.waiting.pop(person, None)
        self.simulated["withdraw"] += not self.roster.is_member(person, step.at)
        self.roster.depart(person, step.at)

    async def _take_seats(self, at: datetime) -> None:
        """Accept what was offered, from the head of the line until nobody is offered a seat."""
        while self.waiting:
            person = min(self.waiting, key=lambda each: self.waiting[each])
            send = Send(caller=self.caller(person), at=at, key=_seat_key(person))
            application = self.applications[person]
            answer = await self.client.application(Send(caller=send.caller), application)
            status = application_state(answer).status
            if status == OFFERED:
                answer = await self.client.accept_seat(send, application)
            elif status != ADMITTED:
                return
            facts = _facts(answer)
            del self.waiting[person]
            self.journal.keep(_seat_key(person), Outcome(Fate.PLAYED, facts=facts))
            self._admit(person, facts)

    def _admit(
        self, person: str, facts: Mapping[str, str], applied_at: datetime | None = None
    ) -> None:
        """A seat that was not free on applying was accepted later, which no source says."""
        joined = datetime.fromisoformat(facts["joined"])
        self.members[person] = facts
        self.roster.admit(person, joined)
        self.simulated["accept-seat"] += applied_at is None or joined > applied_at


APPLICATION = {"agreements": [{"document": HOUSE_RULES["document"], "version": "1"}]}


def _seat_key(person: str) -> str:
    return f"seat:{person}"


def _facts(answer: Answer) -> dict[str, str]:
    """What later steps need to know, as text, so that the journal can hold it."""
    state = application_state(answer)
    facts = {
        "application": str(state.application_id),
        "status": state.status,
        "enqueued": state.enqueued_at,
        "member": state.member_id,
        "position": state.member_position,
        "joined": state.admitted_at.isoformat() if state.admitted_at else None,
    }
    return {name: value for name, value in facts.items() if value is not None}
