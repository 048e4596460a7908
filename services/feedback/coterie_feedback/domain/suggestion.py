"""A suggestion's way, step by step; a step that `NEXT` does not name is refused.

"Implemented" is no resting state: the look-agains begin in the same transaction. Duplicates form
a star of depth one, so a root is never a duplicate and a duplicate never a root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from coterie_chassis.decisions import Cause, Draft, Refusal
from coterie_contracts.feedback import (
    FeedbackAccepted,
    FeedbackDeclined,
    FeedbackFacts,
    FeedbackMerged,
    FeedbackPlanned,
    FeedbackSubmitted,
    FeedbackUnmerged,
    FeedbackWithdrawn,
)
from coterie_feedback.domain.decision import Change, Decision, Deed, Hand

__all__ = [
    "NEXT",
    "Status",
    "Suggestion",
    "accept",
    "check",
    "decline",
    "labelled",
    "merge",
    "moved",
    "plan",
    "submit",
    "unmerge",
    "withdraw",
]


class Status(StrEnum):
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PLANNED = "planned"
    LOOKING_AGAIN = "looking_again"
    VERIFIED = "verified"
    REOPENED = "reopened"
    UNCONFIRMED = "unconfirmed"
    DECLINED = "declined"
    DUPLICATE = "duplicate"
    WITHDRAWN = "withdrawn"


# Late answers count: they turn an unconfirmed round, and the author's one the supporters' verdict.
NEXT: Final[dict[Status, frozenset[Status]]] = {
    Status.SUBMITTED: frozenset(
        {Status.ACCEPTED, Status.DECLINED, Status.DUPLICATE, Status.WITHDRAWN}
    ),
    Status.DUPLICATE: frozenset({Status.SUBMITTED}),
    Status.ACCEPTED: frozenset({Status.PLANNED}),
    Status.PLANNED: frozenset({Status.LOOKING_AGAIN}),
    Status.LOOKING_AGAIN: frozenset({Status.VERIFIED, Status.REOPENED, Status.UNCONFIRMED}),
    Status.VERIFIED: frozenset({Status.REOPENED, Status.UNCONFIRMED}),
    Status.UNCONFIRMED: frozenset({Status.VERIFIED, Status.REOPENED}),
    Status.REOPENED: frozenset({Status.PLANNED}),
    Status.DECLINED: frozenset(),
    Status.WITHDRAWN: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """`round` counts implementations; `implementation_id` is the latest one.

    `version` counts changes, `sequence` those that were published.
    """

    feedback_id: UUID
    community_id: UUID
    author_id: UUID
    objective_id: UUID | None
    campaign_id: UUID | None = None
    status: Status = Status.SUBMITTED
    label: str | None = None
    reason: str | None = None
    root_id: UUID | None = None
    round: int = 0
    implementation_id: UUID | None = None
    submitted_at: datetime
    changed_at: datetime
    version: int = 1
    sequence: int = 1

    @property
    def facts(self) -> dict[str, Any]:
        """What every event about it carries."""
        return {
            "feedback_id": self.feedback_id,
            "community_id": self.community_id,
            "author_id": self.author_id,
            "objective_id": self.objective_id,
        }


def submit(
    cause: Cause,
    *,
    feedback_id: UUID,
    community_id: UUID,
    author_id: UUID,
    objective_id: UUID | None,
    campaign_id: UUID | None = None,
) -> Decision:
    """A member's new suggestion. Its text is no part of the decision and of no event."""
    suggestion = Suggestion(
        feedback_id=feedback_id,
        community_id=community_id,
        author_id=author_id,
        objective_id=objective_id,
        campaign_id=campaign_id,
        submitted_at=cause.at,
        changed_at=cause.at,
    )
    body = FeedbackSubmitted(**suggestion.facts, campaign_id=campaign_id)
    return _decision(cause, suggestion, body, deed=Deed.SUBMITTED, by=Hand.AUTHOR, note=None)


def accept(suggestion: Suggestion, cause: Cause, *, label: str) -> Decision:
    """Staff take it up under a label of theirs; the label travels in events from here on."""
    body = FeedbackAccepted(**suggestion.facts, label=label)
    return moved(suggestion, cause, Status.ACCEPTED, Deed.ACCEPTED, body, note=label, label=label)


def plan(suggestion: Suggestion, cause: Cause) -> Decision:
    """Staff intend to build it, the first time or again after it was reopened."""
    check(suggestion, Status.PLANNED, Deed.PLANNED)
    body = FeedbackPlanned(**suggestion.facts, label=labelled(suggestion))
    return moved(suggestion, cause, Status.PLANNED, Deed.PLANNED, body)


def decline(suggestion: Suggestion, cause: Cause, *, reason: str) -> Decision:
    """Staff decide against it. The author can read the reason; no event carries it."""
    if not reason.strip():
        raise Refusal("reason-needed", "Declining needs a reason that the author can read.")
    body = FeedbackDeclined(**suggestion.facts)
    return moved(
        suggestion, cause, Status.DECLINED, Deed.DECLINED, body, note=reason, reason=reason
    )


def withdraw(
    suggestion: Suggestion,
    cause: Cause,
    duplicates: Sequence[Suggestion],
    root: Suggestion | None = None,
) -> Decision:
    """The author takes it back before acceptance; its duplicates stand on their own again.

    A duplicate shares the fate of its `root`: it can be taken back until that one is accepted.
    """
    if suggestion.status is Status.DUPLICATE and root is not None:
        if root.status is not Status.SUBMITTED:
            raise Refusal("wrong-state", f"What it was joined to is {_words(root.status)} already.")
        alone = unmerge(suggestion, cause)
        return alone.then(withdraw(alone.suggestions[-1], cause, ()))
    body = FeedbackWithdrawn(**suggestion.facts)
    decision = moved(suggestion, cause, Status.WITHDRAWN, Deed.WITHDRAWN, body, by=Hand.AUTHOR)
    for duplicate in duplicates:
        decision = decision.then(unmerge(duplicate, cause))
    return decision


def merge(duplicate: Suggestion, root: Suggestion, cause: Cause, *, is_root: bool) -> Decision:
    """Join a duplicate to its root. Nothing of the duplicate is copied, so unmerging is exact."""
    if duplicate.feedback_id == root.feedback_id:
        raise Refusal("own-duplicate", "A suggestion cannot be a duplicate of itself.")
    if root.status is Status.DUPLICATE:
        raise Refusal(
            "root-is-duplicate", "That one is a duplicate itself; merge into its root instead."
        )
    if root.status in (Status.WITHDRAWN, Status.DECLINED):
        raise Refusal("root-is-closed", f"That one is {root.status.value}; nothing can follow it.")
    if is_root:
        raise Refusal("has-duplicates", "Others were merged into this one; unmerge them first.")
    body = FeedbackMerged(**duplicate.facts, root_id=root.feedback_id)
    return moved(duplicate, cause, Status.DUPLICATE, Deed.MERGED, body, root_id=root.feedback_id)


def unmerge(duplicate: Suggestion, cause: Cause) -> Decision:
    """Let a duplicate stand on its own again, as it was before."""
    if duplicate.status is not Status.DUPLICATE or duplicate.root_id is None:
        raise Refusal("not-merged", "This suggestion was not merged into another one.")
    body = FeedbackUnmerged(**duplicate.facts, root_id=duplicate.root_id)
    return moved(duplicate, cause, Status.SUBMITTED, Deed.UNMERGED, body, root_id=None)


def moved(
    suggestion: Suggestion,
    cause: Cause,
    status: Status,
    deed: Deed,
    body: FeedbackFacts,
    *,
    by: Hand = Hand.TEAM,
    note: str | None = None,
    **changed: Any,
) -> Decision:
    """One published step. Raises `Refusal` `wrong-state` where `NEXT` does not allow it."""
    check(suggestion, status, deed)
    after = replace(
        suggestion,
        status=status,
        changed_at=cause.at,
        version=suggestion.version + 1,
        sequence=suggestion.sequence + 1,
        **changed,
    )
    return _decision(cause, after, body, deed=deed, by=by, note=note)


def labelled(suggestion: Suggestion) -> str:
    """The label that acceptance gave it."""
    if suggestion.label is None:
        raise Refusal("not-labelled", "This suggestion was never accepted, so it has no label.")
    return suggestion.label


def check(suggestion: Suggestion, status: Status, deed: Deed) -> None:
    """Raises `Refusal` `wrong-state` unless `status` may follow."""
    if status in NEXT[suggestion.status]:
        return
    before = ", ".join(s.value for s in Status if status in NEXT[s])
    raise Refusal(
        "wrong-state",
        f"This suggestion is {_words(suggestion.status)}; "
        f"only one that is {before.replace('_', ' ')} can be {deed.value}.",
    )


def _words(status: Status) -> str:
    return status.value.replace("_", " ")


def _decision(
    cause: Cause,
    after: Suggestion,
    body: FeedbackFacts,
    *,
    deed: Deed,
    by: Hand,
    note: str | None,
) -> Decision:
    change = Change(
        feedback_id=after.feedback_id,
        version=after.version,
        community_id=after.community_id,
        deed=deed,
        by=by,
        at=cause.at,
        cause_id=cause.id,
        note=note,
    )
    draft = Draft(after.feedback_id, body, after.sequence)
    return Decision(cause=cause, suggestions=(after,), changes=(change,), drafts=(draft,))
