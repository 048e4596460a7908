"""What each event says in a story, in plain words; members by pseudonym, staff as the team."""

from __future__ import annotations

from functools import singledispatch
from uuid import UUID

from coterie_contracts import feedback, notification, reward
from coterie_contracts.model import EventBody, as_written

__all__ = ["sentence"]


def _member(member_id: UUID | None) -> str:
    return "the team" if member_id is None else f"member {member_id.hex[:6]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@singledispatch
def sentence(data: EventBody) -> str | None:
    """What happened, in plain words; None where it adds nothing to a story."""
    return None


@sentence.register
def _(data: feedback.FeedbackSubmitted) -> str:
    return f"{_capital(_member(data.author_id))} made a suggestion."


@sentence.register
def _(data: feedback.FeedbackAccepted) -> str:
    return f"The team took it up and called it “{data.label}”."


@sentence.register
def _(data: feedback.FeedbackPlanned) -> str:
    return "The team planned to build it."


@sentence.register
def _(data: feedback.FeedbackDeclined) -> str:
    return f"The team decided against it; {_member(data.author_id)} can read why."


@sentence.register
def _(data: feedback.FeedbackWithdrawn) -> str:
    return f"{_capital(_member(data.author_id))} took it back."


@sentence.register
def _(data: feedback.FeedbackMerged) -> str:
    return f"{_capital(_member(data.author_id))} had wished for the same: the two became one."


@sentence.register
def _(data: feedback.FeedbackUnmerged) -> str:
    return f"What {_member(data.author_id)} wished for turned out to be something else."


@sentence.register
def _(data: feedback.FeedbackSupported) -> str:
    wish = {1: "would like", 2: "really wants", 3: "cannot do without"}[data.importance]
    return f"{_capital(_member(data.member_id))} {wish} this too."


@sentence.register
def _(data: feedback.FeedbackUnsupported) -> str:
    return f"{_capital(_member(data.member_id))} no longer needs it."


@sentence.register
def _(data: feedback.FeedbackImplemented) -> str:
    again = "" if data.round == 1 else f" again (round {data.round})"
    what_changed = data.what_changed.rstrip(".")
    return f"It was built{again}: {what_changed}. To be seen: {data.see_it_at}."


@sentence.register
def _(data: feedback.FeedbackVerified) -> str:
    by = {
        feedback.VerifiedBy.AUTHOR: _member(data.author_id),
        feedback.VerifiedBy.SUPPORTERS: "those who supported it",
    }.get(data.by, "the team")
    return f"It is there and does what was wanted, says {by}."


@sentence.register
def _(data: feedback.FeedbackReopened) -> str:
    return f"Not there yet, says {_member(data.author_id)}: it was opened again."


@sentence.register
def _(data: feedback.FeedbackUnconfirmed) -> str:
    why = "there was nobody to ask" if data.not_askable else "nobody answered in time"
    return f"It stands without a confirmation: {why}."


@sentence.register
def _(data: feedback.CommentPosted) -> str:
    return f"{_capital(_member(data.author_id))} commented."


@sentence.register
def _(data: feedback.ContributionRated) -> str:
    return f"Somebody said how much {_what(data.contribution_kind)} helped: {data.value:.2f} of 1."


@sentence.register
def _(data: feedback.ContributionAppreciated) -> str:
    deed = "marked" if data.appreciated else "no longer marks"
    return f"The team {deed} {_what(data.contribution_kind)} as appreciated."


def _what(kind: feedback.ContributionKind) -> str:
    return "a comment" if kind is feedback.ContributionKind.COMMENT else "it"


@sentence.register
def _(data: feedback.LookAgainRequested) -> str:
    return f"{_capital(_member(data.member_id))} was asked to look again by {data.due_at:%d %b}."


@sentence.register
def _(data: feedback.LookAgainAnswered) -> str:
    answer = "it is good now" if data.satisfied else "it is not there yet"
    return f"{_capital(_member(data.member_id))} looked again: {answer}."


@sentence.register
def _(data: feedback.LookAgainLapsed) -> str:
    if data.not_askable:
        return f"{_capital(_member(data.member_id))} could no longer be asked."
    return f"{_capital(_member(data.member_id))} did not look again in time."


@sentence.register
def _(data: reward.BadgeAwarded) -> str:
    return f"{_capital(_member(data.member_id))} earned the badge “{_words(data.badge)}”."


@sentence.register
def _(data: reward.MeritChanged) -> str:
    return f"The merit of {_member(data.member_id)} is now {data.merit:.2f}."


@sentence.register
def _(data: reward.RewardProposed) -> str:
    waits = ", for a manager to decide" if data.needs_approval else ""
    return f"{_capital(_member(data.member_id))} earned a reward: {data.item_name}{waits}."


@sentence.register
def _(data: reward.RewardHeld) -> str:
    return f"The {data.item_name} for {_member(data.member_id)} waits ({_words(data.reason)})."


@sentence.register
def _(data: reward.RewardApproved) -> str:
    worth = ""
    if data.amount_minor:
        worth = f", {as_written(data.amount_minor, data.currency)} {data.currency}"
    return f"The {data.item_name} for {_member(data.member_id)} was approved{worth}."


@sentence.register
def _(data: reward.RewardRejected) -> str:
    return f"A manager decided against the {data.item_name} for {_member(data.member_id)}."


@sentence.register
def _(data: reward.RewardIssued) -> str:
    return f"The {data.item_name} became {_member(data.member_id)}’s own."


@sentence.register
def _(data: reward.RewardDelivered) -> str:
    return f"{_capital(_member(data.member_id))} took the {data.item_name}."


@sentence.register
def _(data: reward.RewardFacts) -> str:
    what = data.topic.removeprefix("reward.")
    return f"The {data.item_name} for {_member(data.member_id)}: {what}."


@sentence.register
def _(data: notification.NotificationSent) -> str:
    return f"{_capital(_told(data))} was told ({_words(data.template)})."


@sentence.register
def _(data: notification.NotificationSuppressed) -> str:
    return f"{_capital(_told(data))} was left in peace ({_words(data.reason)})."


def _told(data: notification.NotificationFacts) -> str:
    return "the team" if data.person_id is None else _member(data.recipient_id)


def _words(name: str) -> str:
    return str(name).replace("_", " ").replace("-", " ")
