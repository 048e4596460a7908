"""Seats, counted anew: who holds one follows from the events, not from the counts they state.

A seat is held by an active or suspended member, an open seat offer, or an invitation that
reserves. Lowering the capacity evicts nobody, so holding more than the capacity is no fault;
taking another seat then is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Final
from uuid import UUID

from coterie_contracts.community import CapacityChanged
from coterie_contracts.envelope import Event
from coterie_contracts.member import (
    ApplicationSubmitted,
    InvitationExpired,
    InvitationIssued,
    InvitationRedeemed,
    InvitationRevoked,
    MemberAdmitted,
    MemberErased,
    MemberFacts,
    SeatLapsed,
    SeatOffered,
)
from coterie_contracts.model import Seated
from coterie_local.audit.facts import Log
from coterie_local.audit.report import Fault

__all__ = ["no_seat_is_taken_when_full", "stated_seats_are_the_held_ones"]

MEMBER: Final = "member"
OFFER: Final = "offer"
INVITATION: Final = "invitation"


@dataclass(slots=True)
class Seats:
    """The seats of one community; `invited` maps an application to the invitation behind it."""

    invited: dict[UUID, UUID]
    holders: set[tuple[str, UUID]] = field(default_factory=set)
    offered_to: dict[UUID, UUID] = field(default_factory=dict)
    capacity: int | None = None

    def apply(self, event: Event[Seated]) -> tuple[int, int]:
        """The seats held before and after `event`."""
        before = len(self.holders)
        self._move(event.data)
        return before, len(self.holders)

    @singledispatchmethod
    def _move(self, body: Seated) -> None:
        raise TypeError(f"no rule for the seat of {body.topic}")

    @_move.register
    def _(self, body: CapacityChanged) -> None:
        self.capacity = body.capacity

    @_move.register
    def _(self, body: SeatOffered) -> None:
        self.holders.add((OFFER, body.application_id))
        self.offered_to[body.application_id] = body.person_id

    @_move.register
    def _(self, body: SeatLapsed) -> None:
        self.holders.discard((OFFER, body.application_id))

    @_move.register
    def _(self, body: MemberAdmitted) -> None:
        self.holders.discard((OFFER, body.application_id))
        if (invitation := self.invited.get(body.application_id)) is not None:
            self.holders.discard((INVITATION, invitation))
        self.holders.add((MEMBER, body.member_id))

    @_move.register
    def _(self, body: MemberFacts) -> None:
        self.holders.discard((MEMBER, body.member_id))

    @_move.register
    def _(self, body: MemberErased) -> None:
        self.holders.discard((MEMBER, body.member_id))
        offers = {app for app, person in self.offered_to.items() if person == body.person_id}
        self.holders -= {(OFFER, application) for application in offers}

    @_move.register
    def _(self, body: InvitationIssued) -> None:
        if body.reserves_seat:
            self.holders.add((INVITATION, body.invitation_id))

    @_move.register(InvitationExpired)
    @_move.register(InvitationRevoked)
    def _(self, body: InvitationExpired | InvitationRevoked) -> None:
        self.holders.discard((INVITATION, body.invitation_id))


@dataclass(frozen=True, slots=True)
class Step:
    """One seat event, and the seats held around it as derived."""

    event: Event[Seated]
    before: int
    after: int
    capacity: int


def no_seat_is_taken_when_full(log: Log) -> Iterator[Fault | None]:
    """A fact is a seat taken: fewer seats than the capacity in force were held just before."""
    for steps in _steps(log):
        for step in steps:
            if step.after <= step.before:
                continue
            yield (
                Fault(
                    step.event.id,
                    f"{step.event.topic} takes a seat while {step.before} of {step.capacity} "
                    "are held",
                )
                if step.before >= step.capacity
                else None
            )


def stated_seats_are_the_held_ones(log: Log) -> Iterator[Fault | None]:
    """A fact is a seat event: `seats_held` moved as derived, `capacity` only by its own event."""
    for steps in _steps(log):
        lead = 0
        for step in steps:
            stated = step.event.data
            if stated.capacity != step.capacity:
                explanation = f"states capacity {stated.capacity}, in force is {step.capacity}"
                yield Fault(step.event.id, f"{step.event.topic} {explanation}")
            elif stated.seats_held - step.after != lead:
                lead = stated.seats_held - step.after
                explanation = f"states {stated.seats_held} seats held, derived are {step.after}"
                yield Fault(step.event.id, f"{step.event.topic} {explanation}")
            else:
                yield None


def _steps(log: Log) -> Iterator[list[Step]]:
    """Per community its seat events by `seat_sequence`."""
    invited = {
        event.data.application_id: event.data.invitation_id
        for event in log.of(ApplicationSubmitted)
        if event.data.invitation_id is not None
    } | {
        event.data.application_id: event.data.invitation_id for event in log.of(InvitationRedeemed)
    }
    communities: dict[UUID | None, list[Event[Seated]]] = defaultdict(list)
    for event in log.of(Seated):
        communities[event.community_id].append(event)
    for events in communities.values():
        seats = Seats(invited)
        yield [
            _step(seats, event)
            for event in sorted(events, key=lambda e: (e.data.seat_sequence, e.recorded_time, e.id))
        ]


def _step(seats: Seats, event: Event[Seated]) -> Step:
    before, after = seats.apply(event)
    if seats.capacity is None:
        seats.capacity = event.data.capacity
    return Step(event, before, after, seats.capacity)
