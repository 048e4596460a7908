"""A service small enough to see the chassis through: notes in, what was heard out.

Tests plant defects in it: `POISON` fails its event or deadline, `REFUSED` is refused, `UNWRITABLE`
schedules what no table takes, `CANCELLED` leaks a cancellation, `PASSING` fails as a database does
for a while, `HUGE` publishes what no broker takes. In an
`ECHOING` community each submission is answered with a comment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Integer, MetaData, Table, Text, Uuid, select

from coterie_chassis.auth import Role
from coterie_chassis.circle import (
    PROJECTIONS,
    copy_communities,
    copy_members,
    follow_clock,
    forget_members,
)
from coterie_chassis.consumer import Batch, Fold, handles
from coterie_chassis.decisions import Cause, Draft, NotFound, Refusal
from coterie_chassis.http import Api, Call, CommandBody, Done, Page, View, page_of
from coterie_chassis.service import Service
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.store import UnitOfWork, bulk_insert
from coterie_chassis.sweeper import Deadline, sweeps
from coterie_contracts.feedback import (
    CommentPosted,
    FeedbackImplemented,
    FeedbackSubmitted,
    FeedbackWithdrawn,
)
from coterie_contracts.member import MemberContact
from coterie_contracts.model import EventBody

metadata = MetaData()
note = Table(
    "note",
    metadata,
    Column("note_id", Uuid, primary_key=True),
    Column("community_id", Uuid, nullable=False),
    Column("text", Text, nullable=False),
    Column("version", Integer, nullable=False),
)
heard = Table(
    "heard",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("sequence", BigInteger),
)

api = Api(tags=["notes"])
POISON: set[UUID] = set()
REFUSED: set[UUID] = set()
UNWRITABLE: set[UUID] = set()
CANCELLED: set[UUID] = set()
PASSING: set[UUID] = set()
HUGE: set[UUID] = set()
ECHOING: set[UUID] = set()


def mend() -> None:
    """Take all planted defects out."""
    for planted in (POISON, REFUSED, UNWRITABLE, CANCELLED, PASSING, HUGE, ECHOING):
        planted.clear()


def _fail_as_planted(uow: UnitOfWork, ids: set[UUID]) -> None:
    if ids & PASSING:
        raise ConnectionResetError("the database is away for a moment")
    if ids & CANCELLED:
        raise asyncio.CancelledError
    if ids & POISON:
        raise KeyError("a defect in the handler")
    for id_ in ids & UNWRITABLE:
        uow.schedule("note.remind", id_, id_, None)  # type: ignore[arg-type] # the defect


class WriteNote(CommandBody):
    community_id: UUID
    text: str
    remind_in_s: int | None = None


class NoteView(View):
    note_id: UUID
    text: str
    version: int


@api.query("/notes/{note_id}")
async def show_note(call: Call, note_id: UUID) -> NoteView:
    row = await call.uow.one_or_none(select(note).where(note.c.note_id == note_id))
    if row is None:
        raise NotFound("note")
    return NoteView.model_validate(row)


@api.query("/communities/{community_id}/notes", paged=True)
async def list_notes(call: Call, community_id: UUID) -> Page[NoteView]:
    await call.within(community_id)
    (after,) = call.page.after(note_id=UUID) or (UUID(int=0),)
    statement = (
        select(note)
        .where(note.c.community_id == community_id, note.c.note_id > after)
        .order_by(note.c.note_id)
        .limit(call.page.limit + 1)
    )
    rows = await call.uow.rows(statement)
    shown = [NoteView.model_validate(row) for row in rows[: call.page.limit]]
    more = {"note_id": shown[-1].note_id} if len(rows) > len(shown) else None
    return page_of(shown, more)


@api.command("POST", "/notes", shows=show_note, status=201)
async def write_note(call: Call, body: WriteNote) -> Done:
    """Write a note."""
    cause = await call.within(body.community_id)
    call.require(Role.MEMBER)
    if body.text == "forbidden":
        raise Refusal("forbidden-text", "This text is not wanted here.")
    note_id = call.new_id("note")
    if body.text == "huge":
        call.uow.publish(cause, _huge(note_id))
    row = {
        "note_id": note_id,
        "community_id": body.community_id,
        "text": body.text,
        "version": 1,
    }
    await bulk_insert(call.uow, note, [row])
    call.uow.publish(cause, Draft(note_id, _submitted(note_id, body.community_id), 1))
    if body.remind_in_s is not None:
        due = cause.at + timedelta(seconds=body.remind_in_s)
        call.uow.schedule("note.remind", note_id, body.community_id, due)
    return Done(note_id, 1, 1)


@api.command("PUT", "/notes/{note_id}", shows=show_note)
async def change_note(call: Call, note_id: UUID, body: WriteNote) -> Done:
    await call.within(body.community_id)
    row = await call.uow.one_or_none(
        select(note).where(note.c.note_id == note_id).with_for_update()
    )
    if row is None:
        raise NotFound("note")
    call.expect(row.version)
    version = row.version + 1
    await call.uow.execute(
        note.update().where(note.c.note_id == note_id).values(text=body.text, version=version)
    )
    return Done(note_id, version)


@handles(FeedbackSubmitted, FeedbackWithdrawn, CommentPosted, MemberContact, fold=Fold.EVERY)
async def hear(events: Batch[EventBody], uow: UnitOfWork) -> None:
    for event in events:
        if event.id in REFUSED:
            uow.refuse(event, Refusal("not-heard", "Nobody wants to hear this."))
    _fail_as_planted(uow, {event.id for event in events})
    for event in events:
        if event.id in HUGE:
            uow.publish(Cause.of(event), _huge(event.subject))
        if event.community_id in ECHOING and isinstance(event.data, FeedbackSubmitted):
            uow.publish(Cause.of(event), _echo(event.data))
    rows = [
        {"event_id": event.id, "subject": event.subject, "sequence": event.sequence}
        for event in events
        if event.id not in REFUSED
    ]
    await bulk_insert(uow, heard, rows)


@sweeps("note.remind")
async def remind(due: Sequence[Deadline], uow: UnitOfWork) -> None:
    _fail_as_planted(uow, {deadline.aggregate_id for deadline in due})
    for deadline in due:
        body = _submitted(deadline.aggregate_id, deadline.community_id)
        uow.publish(deadline.cause, Draft(deadline.aggregate_id, body, 2))


def _huge(subject: UUID) -> Draft:
    body = FeedbackImplemented(
        feedback_id=subject,
        community_id=subject,
        implementation_id=subject,
        round=1,
        objective_id=None,
        author_id=subject,
        duplicate_author_ids=[subject] * 25_000,
        label="huge",
        what_changed="everything",
        see_it_at="everywhere",
    )
    return Draft(subject, body, 1)


def _echo(submitted: FeedbackSubmitted) -> Draft:
    body = CommentPosted(
        comment_id=submitted.feedback_id,
        feedback_id=submitted.feedback_id,
        community_id=submitted.community_id,
        author_id=None,
    )
    return Draft(submitted.feedback_id, body, 1)


def _submitted(note_id: UUID, community_id: UUID) -> FeedbackSubmitted:
    return FeedbackSubmitted(
        feedback_id=note_id, community_id=community_id, author_id=note_id, objective_id=None
    )


service = Service(
    name="sample",
    settings=ChassisSettings,
    apis=[api],
    handlers=[copy_communities, copy_members, forget_members, follow_clock, hear],
    sweeps=[remind],
    projections=PROJECTIONS,
    kept={"note": "members write it", "heard": "in the order of arrival"},
    metadata=metadata,
    migrations="tests.chassis.sample_revisions",
)
