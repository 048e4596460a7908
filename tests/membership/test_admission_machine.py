"""Whatever happens in whatever order: the held seats are those that somebody really holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from coterie_chassis.decisions import Draft, Refusal, derived_id, member_id_of
from coterie_contracts.community import ClockMode, CommunityStatus
from coterie_contracts.member import MemberAdmitted, MemberStatus, SeatLapse
from coterie_contracts.model import Seated
from coterie_membership.domain import admission, belonging, founding, seating
from coterie_membership.domain.decision import Decision
from coterie_membership.domain.people import (
    Application,
    ApplicationStatus,
    Community,
    Goal,
    Invitation,
    InvitationStatus,
    Member,
)
from coterie_membership.domain.requirements import (
    Agreement,
    AllOf,
    AnyOf,
    Dossier,
    ManagerApproval,
    judge,
)
from coterie_membership.domain.requirements import Invitation as Invited
from coterie_membership.domain.seats import Seats

HERE = derived_id("a circle")
PEOPLE = [derived_id("person", number) for number in range(9)]
RULES = Agreement(document="rules")
TREE = AnyOf(of=(AllOf(of=(Invited(), RULES)), ManagerApproval()))
LIVE = tuple(status for status in ApplicationStatus if status.live)
IN = (ApplicationStatus.ADMITTED, ApplicationStatus.WAITLISTED, ApplicationStatus.OFFERED)
AGREED = {"agreements": {"rules": "1"}}


@dataclass
class World:
    """What a database would hold, and the log."""

    community: Community
    applications: dict[UUID, Application] = field(default_factory=dict)
    members: dict[UUID, Member] = field(default_factory=dict)
    invitations: dict[UUID, Invitation] = field(default_factory=dict)
    log: list[Draft] = field(default_factory=list)

    def live(self, person: UUID) -> Application | None:
        own = [a for a in self.applications.values() if a.person_id == person and a.status.live]
        assert len(own) <= 1, "one live application per person"
        return own[0] if own else None

    def member(self, person: UUID) -> Member | None:
        return self.members.get(member_id_of(HERE, person))

    def at(self, *statuses: ApplicationStatus) -> list[Application]:
        """Applications in one of `statuses`, in a fixed order."""
        found = [a for a in self.applications.values() if a.status in statuses]
        return sorted(found, key=lambda a: a.application_id)

    def seated(self) -> list[Member]:
        return sorted((m for m in self.members.values() if m.seated), key=lambda m: m.member_id)

    def line(self) -> list[Application]:
        waiting = [
            a for a in self.applications.values() if a.status is ApplicationStatus.WAITLISTED
        ]
        assert all(a.enqueued_at is not None for a in waiting)
        return sorted(waiting, key=lambda a: (-a.priority, a.enqueued_at, a.application_id))

    def save(self, decision: Decision) -> None:
        self.community = decision.community
        self.applications |= decision.applications
        self.members |= decision.members
        self.invitations |= decision.invitations
        self.log += decision.drafts


class Circle(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        community = Community(
            community_id=HERE,
            brand_id=derived_id("a brand"),
            name="Glow",
            purpose="",
            audience="",
            member_promise="",
            status=CommunityStatus.OPEN,
            time_zone="Europe/Berlin",
            quiet_from=time(21),
            quiet_until=time(8),
            clock=ClockMode.DRIVEN,
            seats=Seats(2, 2, 0, 0),
            requirements_version=1,
            objectives=(Goal(objective_id=derived_id("goal"), title="a goal"),),
        )
        self.world = World(community)
        self.at = datetime(2010, 3, 2, 12, tzinfo=UTC)
        self.ids = count()

    @initialize(waiting=st.integers(0, 3))
    def fill(self, waiting: int) -> None:
        """Begin where it is interesting: both seats taken, and a line."""
        for person in PEOPLE[: 2 + waiting]:
            self.apply(person, invited=False, agrees=False)
            application = self.world.live(person)
            assert application is not None
            self.settle(application, approvals=("mia",))
        assert len(self.world.line()) == waiting

    def decide(self) -> Decision:
        self.at += timedelta(minutes=1)
        return Decision(self.world.community)

    def done(self, decision: Decision, passed_over: Application | None = None) -> None:
        self.move_up(decision, passed_over)
        self.world.save(decision)

    def move_up(self, decision: Decision, passed_over: Application | None = None) -> None:
        """As the store does it: the line in its order, whoever let a seat lapse last."""
        line = [a for a in self.world.line() if a.application_id not in decision.applications]
        for each in [*line, *([passed_over] if passed_over else [])]:
            if decision.community.seats.free and each.status is ApplicationStatus.WAITLISTED:
                judgement = judge(TREE, each.dossier, at=self.at)
                seating.offer_if_ready(decision, each, judgement, at=self.at)

    def invitation(self) -> Invitation | None:
        usable = [i for i in self.world.invitations.values() if i.usable_at(self.at)]
        return usable[0] if usable else None

    @rule(person=st.sampled_from(PEOPLE), invited=st.booleans(), agrees=st.booleans())
    def somebody_applies(self, person: UUID, invited: bool, agrees: bool) -> None:
        self.apply(person, invited=invited, agrees=agrees)

    def apply(self, person: UUID, *, invited: bool, agrees: bool) -> None:
        decision, member = self.decide(), self.world.member(person)
        invitation = self.invitation() if invited else None
        live = self.world.live(person)
        try:
            admission.may_apply(decision.community, live, None, member, None, at=self.at)
        except Refusal:
            return
        application = Application(
            application_id=derived_id("application", next(self.ids)),
            community_id=HERE,
            person_id=person,
            status=ApplicationStatus.SUBMITTED,
            requirements_version=1,
            dossier=Dossier(
                invited_by="manager" if invitation else None,
                agreements={"rules": "1"} if agrees else {},
            ),
            verdicts=(),
            submitted_at=self.at,
            time_zone="Europe/Berlin",
            locale="en",
            invitation_id=invitation.invitation_id if invitation else None,
        )
        admission.submit(
            decision,
            application,
            judge(TREE, application.dossier, at=self.at),
            member,
            invitation,
            member_id=member_id_of(HERE, person),
            seat_is_left=not self.world.line(),
            at=self.at,
        )
        self.done(decision)

    def settle(self, application: Application, **known: Any) -> None:
        decision = self.decide()
        person = application.person_id
        invitation = self.world.invitations.get(application.invitation_id or HERE)
        dossier = application.dossier.model_copy(update=known)
        dossier = admission.standing(application, dossier, invitation, at=self.at)
        admission.settle(
            decision,
            application.with_dossier(dossier),
            judge(TREE, dossier, at=self.at),
            self.world.member(person),
            invitation,
            member_id=member_id_of(HERE, person),
            seat_is_left=not self.world.line(),
            at=self.at,
        )
        self.done(decision)

    @precondition(lambda self: self.world.at(ApplicationStatus.SUBMITTED))
    @rule(data=st.data(), agrees=st.booleans())
    def learn_more(self, data: st.DataObject, agrees: bool) -> None:
        application = data.draw(st.sampled_from(self.world.at(ApplicationStatus.SUBMITTED)))
        self.settle(application, **(AGREED if agrees else {"approvals": ("mia",)}))

    @precondition(lambda self: self.world.at(*LIVE))
    @rule(data=st.data(), declined=st.booleans())
    def end(self, data: st.DataObject, declined: bool) -> None:
        application = data.draw(st.sampled_from(self.world.at(*LIVE)))
        decision = self.decide()
        if declined:
            admission.decline(decision, application, "no", at=self.at)
        else:
            admission.withdraw(decision, application)
        self.done(decision)

    @precondition(lambda self: self.world.at(ApplicationStatus.OFFERED))
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        application = data.draw(st.sampled_from(self.world.at(ApplicationStatus.OFFERED)))
        decision = self.decide()
        held = decision.community.seats.held
        person = application.person_id
        seating.accept_seat(
            decision,
            application,
            self.world.member(person),
            member_id=member_id_of(HERE, person),
            at=self.at,
        )
        assert decision.community.seats.held == held, "accepting takes no new seat"
        self.done(decision)

    @precondition(lambda self: self.world.at(ApplicationStatus.OFFERED))
    @rule(data=st.data())
    def lapse(self, data: st.DataObject) -> None:
        application = data.draw(st.sampled_from(self.world.at(ApplicationStatus.OFFERED)))
        decision = self.decide()
        lapsed = seating.lapse(decision, application, SeatLapse.EXPIRED)
        first = application.lapses == 0
        assert (lapsed.status is ApplicationStatus.WAITLISTED) is first
        assert lapsed.enqueued_at == application.enqueued_at, "the place is kept"
        self.done(decision, lapsed if first else None)

    @precondition(lambda self: self.world.seated())
    @rule(
        data=st.data(),
        ending=st.sampled_from([MemberStatus.LEFT, MemberStatus.RELEASED, MemberStatus.REMOVED]),
    )
    def go(self, data: st.DataObject, ending: MemberStatus) -> None:
        decision = self.decide()
        member = data.draw(st.sampled_from(self.world.seated()))
        belonging.end(decision, member, ending, at=self.at)
        self.done(decision)

    @precondition(lambda self: self.world.seated())
    @rule(data=st.data())
    def suspend_or_reinstate(self, data: st.DataObject) -> None:
        decision = self.decide()
        held = decision.community.seats.held
        member = data.draw(st.sampled_from(self.world.seated()))
        if member.status is MemberStatus.ACTIVE:
            belonging.suspend(decision, member, None, at=self.at)
        else:
            belonging.reinstate(decision, member)
        assert decision.community.seats.held == held
        self.done(decision)

    @precondition(lambda self: self.invitation() is None)
    @rule(uses=st.integers(1, 2))
    def invite(self, uses: int) -> None:
        decision = self.decide()
        invitation = Invitation(
            invitation_id=derived_id("invitation", next(self.ids)),
            community_id=HERE,
            issuer="manager",
            max_uses=uses,
            reserves_seat=False,
            expires_at=self.at + timedelta(days=14),
        )
        founding.invite(decision, invitation)
        self.done(decision)

    @precondition(lambda self: self.invitation() is not None and self.at.minute % 3 == 0)
    @rule()
    def revoke(self) -> None:
        invitation = self.invitation()
        assert invitation is not None
        decision = self.decide()
        founding.end_invitation(decision, invitation, InvitationStatus.REVOKED)
        self.done(decision)

    @precondition(lambda self: self.at.minute % 4 == 0)
    @rule(capacity=st.integers(1, 4))
    def resize(self, capacity: int) -> None:
        decision = self.decide()
        founding.resize(decision, capacity)
        assert decision.community.seats.held == self.world.community.seats.held, "no eviction"
        self.done(decision)

    @invariant()
    def held_is_what_is_held(self) -> None:
        seats = self.world.community.seats
        held = sum(member.seated for member in self.world.members.values())
        held += sum(a.status is ApplicationStatus.OFFERED for a in self.world.applications.values())
        held += sum(i.holds_seat for i in self.world.invitations.values())
        assert seats.held == held
        assert seats.limit == max(seats.capacity, held)

    @invariant()
    def the_seat_log_is_gapless_and_never_takes_when_full(self) -> None:
        seated = [draft.body for draft in self.world.log if isinstance(draft.body, Seated)]
        assert [body.seat_sequence for body in seated] == list(range(1, len(seated) + 1))
        before = 0
        for body in seated:
            assert body.seats_held <= before or before < body.capacity
            before = body.seats_held

    @invariant()
    def every_published_sequence_is_gapless(self) -> None:
        counts: dict[UUID, int] = {}
        for draft in self.world.log:
            assert draft.sequence is not None
            last = counts.get(draft.subject, 0)
            assert draft.sequence in {last, last + 1}, draft.body.topic
            assert draft.sequence > 0
            counts[draft.subject] = draft.sequence

    @invariant()
    def nobody_ready_waits_by_a_free_seat(self) -> None:
        assert not (self.world.community.seats.free and self.world.line())

    @invariant()
    def an_invitation_lets_in_no_more_than_it_says(self) -> None:
        for invitation in self.world.invitations.values():
            assert invitation.uses <= invitation.max_uses
            came = [
                a
                for a in self.world.at(*IN)
                if a.invitation_id == invitation.invitation_id and not a.dossier.approvals
            ]
            assert len(came) <= invitation.max_uses

    @invariant()
    def nobody_is_in_unless_the_tree_was_satisfied(self) -> None:
        for draft in self.world.log:
            if isinstance(draft.body, MemberAdmitted):
                application = self.world.applications[draft.body.application_id]
                assert judge(TREE, application.dossier, at=self.at).satisfied


TestCircle = Circle.TestCase
TestCircle.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
