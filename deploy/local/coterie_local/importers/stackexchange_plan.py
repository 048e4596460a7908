"""The plan of a Stack Exchange history, and the fate of each row that is not in it.

Whoever ever posts or comments applies on joining, and leaves when their last sign is over a year
before the end of the data. Questions with a feedback tag are feedback; answers and comments are
comments on their question's feedback. A vote is anonymous and dated to the day, so it takes
effect at the later of the day's start and its post, plus one second, and has no actor: the
player picks a stand-in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from coterie_local.importers import stackexchange as dump
from coterie_local.importers.plan import (
    Accounting,
    BrokenHistory,
    CommunityPlan,
    Fate,
    Plan,
    RowRef,
    Step,
    StepKind,
    Why,
    in_order,
)
from coterie_local.importers.statuses import Suggestion, Unplayed, deeds
from coterie_local.importers.texts import clean, plain, shorten

DEFAULT_CAPACITY = 100
FEEDBACK_TAGS = frozenset({"feature-request", "bug", "discussion", "support"})
QUESTION, ANSWER = 1, 2
RATING_OF_VOTE = {2: 1.0, 3: 0.0}
AWAY_AFTER = timedelta(days=365)
VOTE_DELAY = timedelta(seconds=1)
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)

_Row = TypeVar("_Row")


def plan_stackexchange(folder: Path, *, capacity: int = DEFAULT_CAPACITY) -> Plan:
    """Read the dump in `folder`. Raises BrokenHistory that names file and row."""
    dump.check_complete(folder)
    return _Planner(folder).plan(capacity)


@dataclass(slots=True)
class _Place:
    """A post without its words: when it takes effect, who made it, why it is not played."""

    key: str
    at: datetime
    owner_id: int | None
    tags: frozenset[str]
    post_type: int
    parent_id: int | None
    last_activity_at: datetime
    why: Why | None
    feedback: str = ""


@dataclass(slots=True)
class _Signs:
    """When somebody was first and last seen to write."""

    first: datetime
    last: datetime


@dataclass(slots=True)
class _Planner:
    folder: Path
    accounting: Accounting = field(default_factory=Accounting)
    steps: list[Step] = field(default_factory=list)
    places: dict[int, _Place] = field(default_factory=dict)
    signs: dict[int, _Signs] = field(default_factory=dict)
    users: dict[int, dump.User] = field(default_factory=dict)
    shortened: int = 0
    ends_at: datetime = BEFORE_ALL

    def plan(self, capacity: int) -> Plan:
        self._read_users()
        self._place_posts()
        self._see_comments()
        self._plan_posts()
        self._plan_comments()
        self._plan_statuses()
        self._plan_votes()
        self._plan_people()
        self._skip("Tags", Why.PLATFORM_DECIDES)
        self._skip("PostLinks", Why.LINKS_UNUSED)
        self._skip("Badges", Why.PLATFORM_DECIDES)
        steps = in_order(self.steps)
        if not steps:
            raise BrokenHistory(f"{self.folder} holds nothing that could be played")
        return Plan(
            community=CommunityPlan(
                key=f"stackexchange:{self.folder.name}",
                name=self.folder.name,
                purpose="A question-and-answer site's own community, as it happened.",
                objective="A site that serves those who use it",
                capacity=capacity,
            ),
            steps=steps,
            accounting=self.accounting,
            starts_at=steps[0].at,
            ends_at=max(self.ends_at, steps[-1].at),
            notes={"texts shortened": self.shortened},
        )

    def _rows(self, name: str, read: Callable[[dump.RawRow], _Row]) -> Iterator[_Row]:
        """Typed rows, each counted once; a file that is read twice goes through `dump`."""
        self.accounting.saw_file(f"{name}.xml")
        for raw in dump.raw_rows(self.folder, name):
            self.accounting.saw(raw.ref)
            yield read(raw)

    def _settle(self, ref: RowRef, why: Why) -> None:
        self.accounting.settle(ref, Fate.SKIPPED, why)

    def _skip(self, name: str, why: Why) -> None:
        for ref in self._rows(name, lambda raw: raw.ref):
            self._settle(ref, why)

    def _note_time(self, *moments: datetime | None) -> None:
        self.ends_at = max(self.ends_at, *(each for each in moments if each), self.ends_at)

    # --- people

    def _read_users(self) -> None:
        for user in self._rows("Users", dump.user):
            self._note_time(user.created_at, user.last_access_at)
            if user.user_id in self.users:
                self._settle(user.ref, Why.DUPLICATE_ID)
            else:
                self.users[user.user_id] = user

    def _saw(self, user_id: int | None, at: datetime | None) -> None:
        if user_id is None or at is None:
            return
        signs = self.signs.setdefault(user_id, _Signs(at, at))
        signs.first, signs.last = min(signs.first, at), max(signs.last, at)

    def _plan_people(self) -> None:
        for user in self.users.values():
            signs = self.signs.get(user.user_id)
            if user.user_id == dump.SITE_ACCOUNT:
                self._settle(user.ref, Why.SITE_ACCOUNT)
            elif signs is None:
                self._settle(user.ref, Why.NEVER_TOOK_PART)
            else:
                self.steps.extend(self._membership(user, signs))

    def _membership(self, user: dump.User, signs: _Signs) -> Iterator[Step]:
        actor = f"user:{user.user_id}"
        yield Step(
            at=min(user.created_at or signs.first, signs.first),
            kind=StepKind.APPLY,
            key=f"{actor}:apply",
            actor=actor,
            row=user.ref,
            settles=True,
            simulated=user.created_at is None,
        )
        last_sign = max(user.last_access_at or signs.last, signs.last)
        if last_sign < self.ends_at - AWAY_AFTER:
            yield Step(
                at=last_sign,
                kind=StepKind.LEAVE,
                key=f"{actor}:leave",
                actor=actor,
                row=user.ref,
            )

    # --- contributions

    def _place_posts(self) -> None:
        """Where every post belongs, before anything refers to one."""
        self.accounting.saw_file("Posts.xml")
        for raw in dump.raw_rows(self.folder, "Posts"):
            post = dump.post(raw)
            self.accounting.saw(post.ref)
            if post.post_id in self.places:
                self._settle(post.ref, Why.DUPLICATE_ID)
                continue
            self._note_time(post.created_at, post.last_activity_at)
            self._saw(post.owner_id, post.created_at)
            at = post.created_at or NEVER
            self.places[post.post_id] = _Place(
                key=f"post:{post.post_id}",
                at=at,
                owner_id=post.owner_id,
                tags=post.tags,
                post_type=post.post_type,
                parent_id=post.parent_id,
                last_activity_at=post.last_activity_at or at,
                why=self._why_unwritten(post.owner_id, post.created_at, post_text(post)),
            )
        for place in self.places.values():
            self._root(place)

    def _why_unwritten(self, writer: int | None, at: datetime | None, text: str) -> Why | None:
        if writer is None:
            return Why.NO_AUTHOR
        if writer == dump.SITE_ACCOUNT:
            return Why.SITE_ACCOUNT
        if writer not in self.users:
            return Why.UNKNOWN_AUTHOR
        if at is None:
            return Why.NO_TIME
        return None if text else Why.NO_TEXT

    def _root(self, place: _Place) -> None:
        """Join a post to the feedback it belongs to; what it is counts before who wrote it."""
        if place.post_type == QUESTION:
            place.feedback = place.key
            if not place.tags & FEEDBACK_TAGS:
                place.why = Why.NOT_FEEDBACK
            return
        if place.post_type != ANSWER:
            place.why = Why.NOT_A_CONTRIBUTION
            return
        question = self.places.get(place.parent_id) if place.parent_id is not None else None
        if question is None or question.post_type != QUESTION:
            place.why = Why.UNKNOWN_TARGET
        elif not question.tags & FEEDBACK_TAGS:
            place.why = Why.NOT_FEEDBACK
        else:
            place.feedback = question.key
            place.at = max(place.at, question.at)
            if place.why is None and question.why is not None:
                place.why = Why.TARGET_NOT_PLAYED

    def _fit(self, text: str) -> str:
        short = shorten(text)
        self.shortened += short is not text
        return short

    def _plan_posts(self) -> None:
        for raw in dump.raw_rows(self.folder, "Posts"):
            if self.accounting.settled(raw.ref):
                continue
            post = dump.post(raw)
            place = self.places[post.post_id]
            if place.why is not None:
                self._settle(post.ref, place.why)
                continue
            question = place.post_type == QUESTION
            self._saw(post.owner_id, place.at)
            self.steps.append(
                Step(
                    at=place.at,
                    kind=StepKind.SUBMIT if question else StepKind.COMMENT,
                    key=place.key,
                    actor=f"user:{post.owner_id}",
                    target=place.feedback,
                    payload={"text": self._fit(post_text(post))},
                    row=post.ref,
                    settles=True,
                )
            )

    def _see_comments(self) -> None:
        for raw in dump.raw_rows(self.folder, "Comments"):
            comment = dump.comment(raw)
            self._note_time(comment.created_at)
            self._saw(comment.user_id, comment.created_at)

    def _plan_comments(self) -> None:
        seen: set[int] = set()
        for comment in self._rows("Comments", dump.comment):
            text = clean(comment.text)
            place, why = self._discussed(comment.post_id)
            why = why or self._why_unwritten(comment.user_id, comment.created_at, text)
            if comment.comment_id in seen:
                why = Why.DUPLICATE_ID
            seen.add(comment.comment_id)
            if why is not None or place is None or comment.created_at is None:
                self._settle(comment.ref, why or Why.UNKNOWN_TARGET)
                continue
            at = max(comment.created_at, place.at)
            self._saw(comment.user_id, at)
            self.steps.append(
                Step(
                    at=at,
                    kind=StepKind.COMMENT,
                    key=f"comment:{comment.comment_id}",
                    actor=f"user:{comment.user_id}",
                    target=place.feedback,
                    payload={"text": self._fit(text)},
                    row=comment.ref,
                    settles=True,
                )
            )

    def _discussed(self, post_id: int) -> tuple[_Place | None, Why | None]:
        """The question that a comment belongs to; an answer between them need not be played."""
        place, why = self._target(post_id)
        if place is None or why is not Why.TARGET_NOT_PLAYED or place.post_type != ANSWER:
            return place, why
        return self._target(place.parent_id) if place.parent_id is not None else (None, why)

    def _target(self, post_id: int) -> tuple[_Place | None, Why | None]:
        """The post that an edit or a vote is about, or why it cannot be."""
        place = self.places.get(post_id)
        if place is None:
            return None, Why.UNKNOWN_TARGET
        if place.why in (Why.NOT_FEEDBACK, Why.NOT_A_CONTRIBUTION, None):
            return place, place.why
        return place, Why.TARGET_NOT_PLAYED

    # --- statuses and votes

    def _plan_statuses(self) -> None:
        edits: dict[int, list[dump.TagEdit]] = defaultdict(list)
        for edit in self._rows("PostHistory", dump.tag_edit):
            self._note_time(edit.created_at)
            place, why = self._target(edit.post_id)
            if edit.history_type not in dump.TAG_HISTORY or not edit.tags:
                why = Why.NO_STATUS
            elif edit.created_at is None:
                why = why or Why.NO_TIME
            elif place is not None and place.post_type != QUESTION:
                why = Why.NOT_FEEDBACK
            if why is None:
                edits[edit.post_id].append(edit)
            else:
                self._settle(edit.ref, why)
        for post_id, place in self.places.items():
            if place.post_type != QUESTION or place.why is not None:
                continue
            suggestion = Suggestion(
                post_id=post_id,
                target=place.key,
                submitted_at=place.at,
                completed="status-completed" in place.tags,
                settled_by=place.last_activity_at,
            )
            for outcome in deeds(suggestion, edits[post_id]):
                if isinstance(outcome, Unplayed):
                    self._settle(outcome.ref, outcome.why)
                else:
                    self.steps.append(outcome)

    def _plan_votes(self) -> None:
        seen: set[int] = set()
        for vote in self._rows("Votes", dump.vote):
            self._note_time(vote.day)
            place, why = self._target(vote.post_id)
            if vote.vote_type not in RATING_OF_VOTE:
                why = Why.NOT_A_RATING
            elif vote.vote_id in seen:
                why = Why.DUPLICATE_ID
            elif vote.day is None:
                why = why or Why.NO_TIME
            seen.add(vote.vote_id)
            if why is not None or place is None or vote.day is None:
                self._settle(vote.ref, why or Why.UNKNOWN_TARGET)
                continue
            self.steps.append(
                Step(
                    at=max(vote.day, place.at) + VOTE_DELAY,
                    kind=StepKind.RATE,
                    key=f"vote:{vote.vote_id}",
                    actor=None,
                    target=place.key,
                    author=f"user:{place.owner_id}",
                    payload={"value": RATING_OF_VOTE[vote.vote_type]},
                    row=vote.ref,
                    settles=True,
                )
            )


def post_text(post: dump.Post) -> str:
    """Title and body of a post as plain text."""
    return "\n".join(part for part in (clean(post.title), plain(post.body)) if part)
