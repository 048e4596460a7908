"""Which events are told, to whom, and in which words: one function an event type.

A notice of a member's own change of standing carries that standing, because later changes may
already be known when it is decided. Two events that tell the same (a reward is approved and issued)
name one cause, so it is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import UUID

from coterie_chassis.decisions import Cause
from coterie_contracts import feedback, member, reward
from coterie_contracts.envelope import Event
from coterie_contracts.member import MemberFacts, MemberStatus
from coterie_contracts.model import EventBody, as_written
from coterie_notifications.domain.notice import Notice, Relation
from coterie_notifications.domain.templates import TEMPLATES

__all__ = ["TOLD", "notices_of", "relation_of", "to_person", "to_staff"]

_RELATIONS: Final = {
    MemberStatus.ACTIVE: Relation.ACTIVE,
    MemberStatus.SUSPENDED: Relation.SUSPENDED,
    MemberStatus.LEFT: Relation.LEFT,
    MemberStatus.RELEASED: Relation.RELEASED,
    MemberStatus.REMOVED: Relation.REMOVED,
}


def relation_of(status: MemberStatus) -> Relation:
    """An unknown status reaches as little as a removed member's."""
    return _RELATIONS.get(status, Relation.REMOVED)


def to_person(
    template: str,
    cause: Cause,
    community_id: UUID,
    recipient_id: UUID,
    person_id: UUID | None = None,
    **more: Any,
) -> Notice:
    """A notice in the words of `template`; `params` and other fields come in `more`."""
    words = TEMPLATES[template]
    return Notice(
        cause=cause,
        cause_id=more.pop("cause_id", cause.id),
        community_id=community_id,
        recipient_id=recipient_id,
        person_id=person_id,
        notification_class=words.notification_class,
        template=template,
        priority=words.priority,
        owed=words.owed,
        **more,
    )


def to_staff(template: str, cause: Cause, community_id: UUID, **more: Any) -> Notice:
    """A notice to all staff of a community, who share one inbox."""
    return to_person(template, cause, community_id, community_id, relation=Relation.STAFF, **more)


def notices_of(event: Event[EventBody]) -> list[Notice]:
    """What `event` makes the platform tell, members by id; audiences are the caller's to find."""
    for body, tell in _TELLERS.items():
        if isinstance(event.data, body):
            return list(tell(event.data, Cause.of(event)))
    return []


def _applicant(
    data: Any,
    cause: Cause,
    template: str,
    about: UUID,
    *,
    cause_id: UUID | None = None,
    **params: Any,
) -> Notice:
    return to_person(
        template,
        cause,
        data.community_id,
        data.person_id,
        data.person_id,
        relation=Relation.APPLICANT,
        about=about,
        params=params,
        **({} if cause_id is None else {"cause_id": cause_id}),
    )


def _application(template: str) -> Callable[[Any, Cause], Iterable[Notice]]:
    def tell(data: member.ApplicationFacts, cause: Cause) -> Iterable[Notice]:
        about = data.application_id
        yield _applicant(data, cause, template, about, cause_id=about)

    return tell


def _seat_offered(data: member.SeatOffered, cause: Cause) -> Iterable[Notice]:
    expires_at = data.expires_at.isoformat()
    yield _applicant(data, cause, "seat_offered", data.application_id, expires_at=expires_at)


def _seat_lapsed(data: member.SeatLapsed, cause: Cause) -> Iterable[Notice]:
    if data.reason is member.SeatLapse.EXPIRED:
        template = "seat_lapsed" if data.final else "seat_kept_waiting"
        yield _applicant(data, cause, template, data.application_id)


def _standing(data: MemberFacts, cause: Cause) -> Iterable[Notice]:
    until = getattr(data, "until", None)
    reapply_after = getattr(data, "reapply_after", None)
    moments = {"until": until, "reapply_after": reapply_after}
    yield to_person(
        data.topic.replace(".", "_"),
        cause,
        data.community_id,
        data.member_id,
        data.person_id,
        relation=relation_of(data.status),
        params={name: moment.isoformat() for name, moment in moments.items() if moment},
    )


def _author(template: str) -> Callable[[Any, Cause], Iterable[Notice]]:
    def tell(data: feedback.FeedbackFacts, cause: Cause) -> Iterable[Notice]:
        yield to_person(
            template,
            cause,
            data.community_id,
            data.author_id,
            about=data.feedback_id,
            params={"label": getattr(data, "label", None)},
        )

    return tell


def _verified(data: feedback.FeedbackVerified, cause: Cause) -> Iterable[Notice]:
    for author in dict.fromkeys((data.author_id, *data.duplicate_author_ids)):
        yield to_person(
            "feedback_verified",
            cause,
            data.community_id,
            author,
            cause_id=data.implementation_id,
            about=data.feedback_id,
        )


def _look_again(data: feedback.LookAgainRequested, cause: Cause) -> Iterable[Notice]:
    yield to_person(
        "look_again",
        cause,
        data.community_id,
        data.member_id,
        cause_id=data.look_again_id,
        about=data.look_again_id,
        expires_at=data.due_at,
        params={
            "label": data.label,
            "what_changed": data.what_changed,
            "see_it_at": data.see_it_at,
            "due_at": data.due_at.isoformat(),
        },
    )


def _reward(data: reward.RewardFacts, cause: Cause) -> Iterable[Notice]:
    yield to_person(
        "reward",
        cause,
        data.community_id,
        data.member_id,
        cause_id=data.reward_id,
        about=data.reward_id,
        params={"item_name": data.item_name},
    )


def _badge(data: reward.BadgeAwarded, cause: Cause) -> Iterable[Notice]:
    yield to_person(
        "badge",
        cause,
        data.community_id,
        data.member_id,
        cause_id=data.badge_id,
        about=data.badge_id,
        params={"badge": data.badge.value},
    )


def _held(data: reward.RewardHeld, cause: Cause) -> Iterable[Notice]:
    yield to_staff(
        "reward_held",
        cause,
        data.community_id,
        cause_id=data.reward_id,
        about=data.reward_id,
        params={"item_name": data.item_name, "reason": data.reason.value},
    )


def _exhausted(data: reward.BudgetExhausted, cause: Cause) -> Iterable[Notice]:
    yield to_staff(
        "budget_exhausted",
        cause,
        data.community_id,
        about=data.budget_id,
        params={
            "available": as_written(data.available_minor, data.currency),
            "currency": data.currency,
        },
    )


_TELLERS: Final[dict[type[EventBody], Callable[[Any, Cause], Iterable[Notice]]]] = {
    member.ApplicationSubmitted: _application("application_received"),
    member.ApplicationDeclined: _application("application_declined"),
    member.ApplicationWaitlisted: _application("application_waitlisted"),
    member.SeatOffered: _seat_offered,
    member.SeatLapsed: _seat_lapsed,
    member.MemberAdmitted: _standing,
    member.MemberSuspended: _standing,
    member.MemberReinstated: _standing,
    member.MemberLeft: _standing,
    member.MemberReleased: _standing,
    member.MemberRemoved: _standing,
    feedback.FeedbackAccepted: _author("feedback_accepted"),
    feedback.FeedbackPlanned: _author("feedback_planned"),
    feedback.FeedbackDeclined: _author("feedback_declined"),
    feedback.FeedbackMerged: _author("feedback_merged"),
    feedback.FeedbackVerified: _verified,
    feedback.LookAgainRequested: _look_again,
    reward.RewardApproved: _reward,
    reward.RewardIssued: _reward,
    reward.RewardHeld: _held,
    reward.BadgeAwarded: _badge,
    reward.BudgetExhausted: _exhausted,
}

TOLD: Final = tuple(_TELLERS)
