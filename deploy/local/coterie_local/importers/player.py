"""Play a plan against a running platform, over its public interfaces alone.

Order is the invariant: steps of one instant run kind by kind, and an instant begins when the one
before it has been answered, since a driven clock only moves forward. Inside a kind, steps on
contributions are independent of each other and run together, a bounded number at a time;
applications and departures decide about seats and run one by one.

A step is sent only when this history's own record says that it can be: its author is a member at
that instant, its target was played. The record is made of the platform's answers and times.

Playing again changes nothing, even where the platform has forgotten the keys: what lies before
the community's clock has been answered. What it made is looked up, never asked for anew.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from uuid import UUID

from coterie_local.importers.admissions import Admissions
from coterie_local.importers.client import CoterieClient, created_id
from coterie_local.importers.closing import close_history, feedback_by_state
from coterie_local.importers.founding import found, staff_of
from coterie_local.importers.journal import Journal, Outcome, digest_of
from coterie_local.importers.plan import Accounting, Fate, Plan, Step, StepKind, Why
from coterie_local.importers.report import Report
from coterie_local.importers.roster import Roster
from coterie_local.importers.transport import Answer, Refused, Send, Unreachable

Progress = Callable[[int, int], None]
_AT_ONCE = 16
_ONE_BY_ONE = frozenset({StepKind.APPLY, StepKind.LEAVE})
_MAKE_SOMETHING = frozenset({StepKind.SUBMIT, StepKind.COMMENT})
_STAFF_DEEDS = frozenset({StepKind.ACCEPT, StepKind.PLAN, StepKind.DECLINE, StepKind.IMPLEMENT})


def _nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(slots=True)
class Player:
    """Plays one plan. `play` may be called once."""

    plan: Plan
    client: CoterieClient
    journal_path: Path | None = None
    progress: Progress = _nothing
    at_once: int = _AT_ONCE
    roster: Roster = field(default_factory=Roster)
    contributions: dict[str, UUID] = field(default_factory=dict)
    simulated: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    _accounting: Accounting = field(init=False)
    _journal: Journal = field(init=False)
    _admissions: Admissions = field(init=False)
    _answered_until: datetime = field(init=False)
    _introduced: set[str] = field(default_factory=set)

    async def play(self) -> Report:
        """Play every step. Raises Unreachable; what was played so far is kept in the journal."""
        started, commands = time.monotonic(), self.client.transport.commands
        self._accounting = self.plan.accounting.copy()
        founded = await found(self.client, self.plan)
        community_id, self._answered_until = founded.community_id, founded.now
        with Journal(
            self.journal_path,
            plan=digest_of(self.plan),
            community=str(community_id),
            anew=founded.now < self.plan.starts_at,
        ) as self._journal:
            self._admissions = Admissions(
                client=self.client,
                roster=self.roster,
                journal=self._journal,
                community_key=self.plan.community.key,
                community_id=community_id,
            )
            await self._play_instants()
        await close_history(self.client, self.plan, community_id)
        return Report(
            community_id=community_id,
            community=self.plan.community.name,
            accounting=self._accounting,
            simulated=founded.simulated + self.simulated + self._admissions.simulated,
            refused_steps=self.refused,
            notes=self.plan.notes,
            commands=self.client.transport.commands - commands,
            resumed=self.resumed,
            seconds=time.monotonic() - started,
            members_at_most=self.roster.most_at_once(),
            feedback_by_state=await feedback_by_state(self.client, self.plan, community_id),
        )

    async def _play_instants(self) -> None:
        done, total = 0, len(self.plan.steps)
        for (_, kind), group in groupby(self.plan.steps, key=lambda step: (step.at, step.kind)):
            steps = list(group)
            if kind in _ONE_BY_ONE:
                for step in steps:
                    await self._play(step)
            else:
                await self._play_together(steps)
            done += len(steps)
            self.progress(done, total)

    async def _play_together(self, steps: list[Step]) -> None:
        """Steps of one kind and instant, `at_once` at a time, stand-ins chosen in order."""
        turns = asyncio.Semaphore(self.at_once)

        async def play(step: Step) -> None:
            async with turns:
                await self._play(step)

        try:
            async with asyncio.TaskGroup() as together:
                for step in [self._cast(step) for step in steps]:
                    together.create_task(play(step))
        except* Unreachable as trouble:
            raise trouble.exceptions[0] from None

    def _cast(self, step: Step) -> Step:
        """An anonymous vote gets its stand-in: the rating is real, the rater is simulated."""
        if step.kind is not StepKind.RATE or step.actor is not None:
            return step
        actor = self.roster.stand_in(step.key, step.target or "", step.author, step.at)
        return replace(step, actor=actor, simulated=True)

    async def _play(self, step: Step) -> None:
        known = self._journal.get(step.key)
        if known is None:
            outcome = await self._attempt(step)
            self._journal.keep(step.key, outcome)
        else:
            self.resumed += 1
            outcome = known
            self._recall(step, known)
        self._count(step, outcome)

    def _count(self, step: Step, outcome: Outcome) -> None:
        if step.settles and step.row is not None:
            self._accounting.settle(step.row, outcome.fate, outcome.reason)
        if outcome.fate is Fate.REFUSED:
            self.refused[f"{step.kind.name.lower()}: {outcome.reason}"] += 1
        elif step.simulated:
            label = "stand-in" if step.kind is StepKind.RATE else step.kind.name.lower()
            self.simulated[label] += 1

    def _recall(self, step: Step, outcome: Outcome) -> None:
        if step.kind is StepKind.APPLY:
            self._admissions.recall(step, outcome)
        elif step.kind is StepKind.LEAVE:
            self._admissions.depart(step)
        elif "id" in outcome.facts:
            self.contributions[step.key] = UUID(outcome.facts["id"])

    async def _attempt(self, step: Step) -> Outcome:
        try:
            if step.kind is StepKind.APPLY:
                return await self._admissions.apply(step)
            if step.kind is StepKind.LEAVE:
                return await self._admissions.leave(step)
            return await self._contribute(step)
        except Refused as refusal:
            return Outcome(Fate.REFUSED, refusal.rule)

    async def _contribute(self, step: Step) -> Outcome:
        """A member's or staff's deed in feedback, if its own record allows it."""
        writes = step.kind is StepKind.SUBMIT
        target = None if writes else self.contributions.get(step.target or "")
        if target is None and not writes:
            return Outcome(Fate.REFUSED, Why.TARGET_NOT_PLAYED)
        if step.kind in _STAFF_DEEDS:
            send = Send(caller=staff_of(self.plan.community, step.actor), at=step.at, key=step.key)
        elif step.actor is None:
            return Outcome(Fate.REFUSED, Why.NO_STAND_IN)
        elif not self.roster.is_member(step.actor, step.at):
            return Outcome(Fate.REFUSED, Why.NOT_A_MEMBER)
        else:
            send = self._as_member(step, step.actor)
        if step.at < self._answered_until:
            return await self._answered_before(step, send, target)
        answer = await self._send(step, send, target)
        if step.actor is not None and step.kind not in _STAFF_DEEDS:
            self._introduced.add(step.actor)
        if step.kind not in _MAKE_SOMETHING:
            return Outcome(Fate.PLAYED)
        return self._made(step, created_id(answer))

    async def _answered_before(self, step: Step, send: Send, target: UUID | None) -> Outcome:
        """What an earlier import made is looked up; what it did to something was done."""
        if step.kind not in _MAKE_SOMETHING:
            return Outcome(Fate.PLAYED)
        reader = Send(caller=staff_of(self.plan.community))
        if target is None:
            made = await self.client.submitted_before(send, reader)
        else:
            made = await self.client.commented_before(send, reader, target)
        return self._made(step, made) if made else Outcome(Fate.REFUSED, Why.REFUSED_BEFORE)

    def _made(self, step: Step, made: UUID) -> Outcome:
        self.contributions[step.key] = made
        return Outcome(Fate.PLAYED, facts={"id": str(made)})

    def _as_member(self, step: Step, person: str) -> Send:
        """The first time that somebody acts, feedback must have heard of them."""
        known = person in self._introduced
        return Send(
            caller=self._admissions.caller(person),
            at=step.at,
            key=step.key,
            after=None if known else self._admissions.position(person),
        )

    async def _send(self, step: Step, send: Send, target: UUID | None) -> Answer:
        client, words = self.client, step.payload
        if target is None:
            return await client.submit(send, self._admissions.community_id, str(words["text"]))
        match step.kind:
            case StepKind.COMMENT:
                answer = client.comment(send, target, str(words["text"]))
            case StepKind.ACCEPT:
                answer = client.accept(send, target, str(words["label"]))
            case StepKind.PLAN:
                answer = client.plan(send, target)
            case StepKind.DECLINE:
                answer = client.decline(send, target, str(words["reason"]))
            case StepKind.IMPLEMENT:
                what, where = str(words["what_changed"]), str(words["see_it_at"])
                answer = client.implement(send, target, what, where)
            case StepKind.RATE:
                answer = client.rate(send, target, float(words["value"]))
            case _:
                raise AssertionError(f"{step.kind.name} is no contribution")
        return await answer
