"""A small season that gives every rule of the audit facts and breaks none."""

from __future__ import annotations

from collections import Counter
from datetime import time, timedelta
from uuid import UUID

from coterie_contracts import community, feedback, member, notification, reward
from coterie_contracts.envelope import Event
from coterie_contracts.model import EventBody
from coterie_local.log import Record

from .builder import LogBuilder, named

Admission = member.Admission


class Season(LogBuilder):
    """The loop from the first application to the thanks, with the services' own arithmetic."""

    def __init__(self, name: str = "circle") -> None:
        super().__init__(name)
        self.capacity, self.held, self.seats = 2, 0, 0
        self.funded, self.reserved, self.spent, self.entries = 0, 0, 0, 0
        self.told: Counter[str] = Counter()
        self.feedback_id = named("feedback", name)
        self.admitted: dict[str, Event[EventBody]] = {}

    def play(self) -> list[Record]:
        self.open()
        self._admissions()
        self._loop()
        self._offers()
        return self.records

    def seat(self, moved: int) -> dict[str, int]:
        self.seats, self.held = self.seats + 1, self.held + moved
        return {"seat_sequence": self.seats, "capacity": self.capacity, "seats_held": self.held}

    def entry(self, amount: int, *, funded: int = 0, reserved: int = 0, spent: int = 0):  # type: ignore[no-untyped-def]  # keyword arguments of a Ledgered body
        self.funded, self.reserved = self.funded + funded, self.reserved + reserved
        self.spent, self.entries = self.spent + spent, self.entries + 1
        return {
            "budget_id": named("budget"),
            "ledger_sequence": self.entries,
            "amount_minor": amount,
            "currency": "USD",
            "funded_minor": self.funded,
            "reserved_minor": self.reserved,
            "spent_minor": self.spent,
        }

    def open(self) -> None:
        facts = {
            "community_id": self.community_id,
            "name": "Brew circle",
            "status": community.CommunityStatus.OPEN,
            "time_zone": "Europe/Berlin",
            "quiet_from": time(21),
            "quiet_until": time(8),
            "clock": community.ClockMode.DRIVEN,
            "objectives": (community.Objective(objective_id=named("o"), title="Better brews"),),
            "requirements_version": 1,
        }
        opened = community.CommunityOpened(capacity=2, **facts)
        self.publish(self.community_id, opened)

    def _applicant(self, name: str) -> dict[str, UUID]:
        return {
            "application_id": named("application", name),
            "community_id": self.community_id,
            "person_id": named("person", name),
        }

    def apply(self, name: str, invitation: UUID | None = None) -> Event[EventBody]:
        who = self._applicant(name)
        return self.publish(
            who["application_id"],
            member.ApplicationSubmitted(requirements_version=1, invitation_id=invitation, **who),
            actor=f"person:{who['person_id']}",
        )

    def _facts(self, name: str, status: member.MemberStatus) -> dict[str, object]:
        return {
            "member_id": self.member_id(name),
            "community_id": self.community_id,
            "person_id": named("person", name),
            "status": status,
            "admitted_at": self.at,
            "time_zone": "Europe/Berlin",
            "locale": "de-DE",
        }

    def admit(self, name: str, via: member.Admission, moved: int) -> None:
        body = member.MemberAdmitted(
            via=via,
            application_id=named("application", name),
            requirements_version=1,
            **self._facts(name, member.MemberStatus.ACTIVE),
            **self.seat(moved),
        )
        self.admitted[name] = self.publish(self.member_id(name), body)
        contact = member.MemberContact(
            member_id=self.member_id(name),
            community_id=self.community_id,
            email=f"{name}@example.org",
        )
        self.publish(self.member_id(name), contact, cause=self.admitted[name].causation_id)

    def _admissions(self) -> None:
        for name in ("ana", "ben"):
            self.apply(name)
            self.admit(name, Admission.APPLICATION, 1)
        for name in ("cem", "dua"):
            self.apply(name)
            who = self._applicant(name)
            waiting = member.ApplicationWaitlisted(priority=0, enqueued_at=self.at, **who)
            self.publish(who["application_id"], waiting)
        left = member.MemberLeft(**self._facts("ben", member.MemberStatus.LEFT), **self.seat(-1))
        self.publish(self.member_id("ben"), left)
        self._offer_seat("cem")
        self.wait(hours=72)
        lapsed = member.SeatLapsed(
            reason=member.SeatLapse.EXPIRED, final=False, **self._applicant("cem"), **self.seat(-1)
        )
        self.publish(named("application", "cem"), lapsed)
        self._offer_seat("dua")
        self.admit("dua", Admission.SEAT_OFFER, 0)
        self._change_capacity(4)
        self._invite("eli")
        self._change_capacity(1)

    def _offer_seat(self, name: str) -> None:
        offered = member.SeatOffered(
            expires_at=self.at + timedelta(hours=72), **self._applicant(name), **self.seat(1)
        )
        self.publish(named("application", name), offered)

    def _change_capacity(self, capacity: int) -> None:
        previous, self.capacity = self.capacity, capacity
        changed = community.CapacityChanged(
            community_id=self.community_id, previous_capacity=previous, **self.seat(0)
        )
        self.publish(self.community_id, changed)

    def _invite(self, name: str) -> None:
        invitation = {"invitation_id": named("invitation"), "community_id": self.community_id}
        issued = member.InvitationIssued(
            max_uses=1,
            expires_at=self.at + timedelta(days=14),
            reserves_seat=True,
            **invitation,
            **self.seat(1),
        )
        self.publish(named("invitation"), issued)
        self.apply(name, named("invitation"))
        redeemed = member.InvitationRedeemed(
            application_id=named("application", name), uses=1, **invitation
        )
        self.publish(named("invitation"), redeemed)
        self.admit(name, Admission.INVITATION, 0)

    def _loop(self) -> None:
        item = {
            "feedback_id": self.feedback_id,
            "community_id": self.community_id,
            "author_id": self.member_id("ana"),
            "objective_id": named("o"),
        }
        self.publish(self.feedback_id, feedback.FeedbackSubmitted(**item))
        self._voices()
        label = "Filter that does not drip"
        self.publish(self.feedback_id, feedback.FeedbackAccepted(label=label, **item))
        self.publish(self.feedback_id, feedback.FeedbackPlanned(label=label, **item))
        self.wait(days=20)
        done = {"implementation_id": named("implementation"), "round": 1}
        told = {"label": label, "what_changed": "A new gasket", "see_it_at": "in your next order"}
        built = self.publish(self.feedback_id, feedback.FeedbackImplemented(**item, **done, **told))
        self._look_again(built, "ana", feedback.AskedAs.AUTHOR, {**done, **told})
        self._look_again(built, "dua", feedback.AskedAs.SUPPORTER, {**done, **told})
        verified = feedback.FeedbackVerified(
            implemented_at=built.time, by=feedback.VerifiedBy.AUTHOR, **item, **done
        )
        self._rewards(built, self.publish(self.feedback_id, verified))

    def _voices(self) -> None:
        contribution = {
            "contribution_id": self.feedback_id,
            "contribution_kind": feedback.ContributionKind.FEEDBACK,
            "community_id": self.community_id,
            "author_id": self.member_id("ana"),
            "contributed_at": self.at,
        }
        support = feedback.FeedbackSupported(
            support_id=named("support"),
            feedback_id=self.feedback_id,
            community_id=self.community_id,
            member_id=self.member_id("dua"),
            importance=2,
        )
        self.publish(named("support"), support)
        comment = feedback.CommentPosted(
            comment_id=named("comment"),
            feedback_id=self.feedback_id,
            community_id=self.community_id,
            author_id=self.member_id("dua"),
        )
        self.publish(named("comment"), comment)
        rated = feedback.ContributionRated(
            rating_id=named("rating"),
            rater_id=self.member_id("dua"),
            value=0.7,
            rated_at=self.at,
            **contribution,
        )
        self.publish(named("rating"), rated)

    def _look_again(
        self,
        built: Event[EventBody],
        name: str,
        asked_as: feedback.AskedAs,
        about: dict[str, object],
    ) -> None:
        asked = {
            "look_again_id": named("look-again", name),
            "implementation_id": about["implementation_id"],
            "feedback_id": self.feedback_id,
            "community_id": self.community_id,
            "member_id": self.member_id(name),
            "round": 1,
            "asked_as": asked_as,
        }
        told = {key: about[key] for key in ("label", "what_changed", "see_it_at")}
        requested = feedback.LookAgainRequested(
            due_at=self.at + timedelta(days=14), **asked, **told
        )
        event = self.publish(named("look-again", name), requested, cause=built.causation_id)
        self.tell(name, "personal", "look_again", event)
        answered = feedback.LookAgainAnswered(satisfied=True, **asked)
        self.publish(named("look-again", name), answered)

    def _rewards(self, built: Event[EventBody], verified: Event[EventBody]) -> None:
        funding = reward.BudgetFunded(
            community_id=self.community_id, **self.entry(1000, funded=1000)
        )
        self.publish(named("budget"), funding)
        merit = reward.MeritChanged(
            member_id=self.member_id("ana"),
            community_id=self.community_id,
            season="2026-Q1",
            merit=0.72,
            band=None,
            provisional=False,
            algorithm="merit/1",
        )
        self.publish(named("merit", "ana"), merit)
        self._reward("ana", "coffee", built)
        self._reward("dua", "thanks-card", verified)

    def _reward(self, name: str, item: str, cause: Event[EventBody]) -> None:
        reward_id = named("reward", name, item)
        facts = {
            "reward_id": reward_id,
            "cause_id": self.feedback_id,
            "member_id": self.member_id(name),
            "community_id": self.community_id,
            "feedback_id": self.feedback_id,
            "policy_id": named("policy", item),
            "policy_version": 1,
            "item_kind": reward.ItemKind.GIFT_CODE,
            "item_name": "Coffee card",
        }
        proposed = reward.RewardProposed(
            amount_minor=500, currency="USD", needs_approval=False, **facts
        )
        self.publish(reward_id, proposed, cause=cause)
        approved = reward.RewardApproved(
            approved_by="policy", **facts, **self.entry(500, reserved=500)
        )
        event = self.publish(reward_id, approved, cause=cause)
        self.tell(name, "account", "reward_approved", event)
        issued = reward.RewardIssued(**facts, **self.entry(500, reserved=-500, spent=500))
        self.publish(reward_id, issued)
        if item == "coffee":
            self.publish(reward_id, reward.RewardDelivered(**facts))
        else:
            undone = reward.RewardReversed(**facts, **self.entry(500, spent=-500))
            self.publish(reward_id, undone)

    def tell(
        self, name: str, kind: str, template: str, cause: Event[EventBody] | None, **figures: object
    ) -> UUID:
        self.wait(minutes=5)
        cause_id = cause.id if cause else named("news", self.at)
        notification_id = named("notification", name, template, cause_id)
        body = notification.NotificationSent(
            notification_id=notification_id,
            community_id=self.community_id,
            recipient_id=self.member_id(name),
            person_id=named("person", name),
            notification_class=notification.NotificationClass(kind),
            template=template,
            cause_id=cause_id,
            channel=notification.Channel.INBOX,
            sent_at=self.at,
            time_zone="Europe/Berlin",
            recipient_sequence=None if kind == "account" else self._next_of(name),
            **{"policy_version": 1} | figures,
        )
        self.publish(notification_id, body, cause=cause)
        return notification_id

    def _next_of(self, name: str) -> int:
        self.told[name] += 1
        return self.told[name]

    def offer(self, name: str, before: int, value: int, **other: object) -> UUID:
        figures = {
            "window_days": 28,
            "count_before": before,
            "cap": 2,
            "offers_before": before,
            "value_count": value,
            "ratio_limit": 0.25,
            "ratio_window_days": 28,
        }
        return self.tell(name, "offer", "offer", None, **figures | other)

    def _offers(self) -> None:
        self.tell("ana", "account", "welcome", self.admitted["ana"])
        for number in range(3):
            self.tell("ana", "personal", f"note_{number}", self.admitted["ana"])
        self.tell("ana", "community", "news", None)
        self.tell("ana", "community", "news", None)
        self.offer("ana", 0, 5)
        self.wait(days=11)
        for _ in range(3):
            self.tell("ana", "community", "news", None)
            self.wait(days=1)
        self.offer("ana", 1, 8)
        self.wait(days=28)
        for number in range(4, 8):
            self.tell("ana", "personal", f"note_{number}", self.admitted["ana"])
        self.offer("ana", 0, 4)


def clean_log() -> list[Record]:
    return Season().play()
