"""What every command promises, whatever the service."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import func, select

from coterie_chassis.auth import Role
from coterie_chassis.store import Database
from coterie_chassis.tables import idempotency
from coterie_chassis.testing import Harness, person
from coterie_contracts.feedback import FeedbackSubmitted

from . import sample

ANN = person("ann", Role.MEMBER)
BOB = person("bob", Role.MEMBER)


def note(community: UUID, text: str = "hello", **more: object) -> dict[str, object]:
    return {"community_id": community, "text": text, **more}


async def notes(h: Harness) -> int:
    async with h.database.begin() as uow:
        return int((await uow.execute(select(func.count()).select_from(sample.note))).scalar_one())


async def test_state_and_event_commit_together(h: Harness, community: UUID) -> None:
    answer = await h.post("/notes", note(community), as_=ANN)

    assert answer.status_code == 201
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Coterie-Position"] == f"{answer.json()['note_id']};1"
    (event,) = await h.published(FeedbackSubmitted)
    assert str(event.subject) == answer.json()["note_id"]
    assert event.actor == f"person:{ANN.person_id}"
    assert event.community_id == community


async def test_a_refused_command_leaves_nothing(h: Harness, community: UUID) -> None:
    answer = await h.post("/notes", note(community, "forbidden"), as_=ANN, key="k")

    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:coterie:problem:forbidden-text"
    assert answer.json()["detail"] == "This text is not wanted here."
    assert await notes(h) == 0
    assert await h.published() == []


async def test_same_key_and_body_give_the_first_outcome(h: Harness, community: UUID) -> None:
    first = await h.post("/notes", note(community), as_=ANN, key="k")
    second = await h.post("/notes", note(community), as_=ANN, key="k")

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert second.headers["ETag"] == first.headers["ETag"]
    assert len(await h.published()) == 1


async def test_same_key_at_once_takes_effect_once(h: Harness, community: UUID) -> None:
    answers = await asyncio.gather(
        *(h.post("/notes", note(community), as_=ANN, key="k") for _ in range(8))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["note_id"] for answer in answers}) == 1
    assert await notes(h) == 1


async def test_a_replayed_answer_is_rendered_afresh(h: Harness, community: UUID) -> None:
    first = await h.post("/notes", note(community), as_=ANN, key="k")
    path = f"/notes/{first.json()['note_id']}"
    assert (await h.put(path, note(community, "changed"), as_=ANN)).status_code == 200

    second = await h.post("/notes", note(community), as_=ANN, key="k")

    assert second.json()["text"] == "changed"


async def test_same_key_with_another_body_is_refused(h: Harness, community: UUID) -> None:
    await h.post("/notes", note(community), as_=ANN, key="k")

    answer = await h.post("/notes", note(community, "other"), as_=ANN, key="k")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:coterie:problem:idempotency-key-reused"


async def test_same_key_of_two_people_is_two_commands(h: Harness, community: UUID) -> None:
    first = await h.post("/notes", note(community), as_=ANN, key="k")
    second = await h.post("/notes", note(community), as_=BOB, key="k")

    assert first.json()["note_id"] != second.json()["note_id"]
    assert len({event.id for event in await h.published()}) == 2


async def test_a_key_whose_record_is_gone_derives_the_same_ids(h: Harness, community: UUID) -> None:
    first = await h.post("/notes", note(community), as_=ANN, key="k")
    async with h.database.begin() as uow:
        await uow.execute(sample.note.delete())
        await uow.execute(idempotency.delete())

    second = await h.post("/notes", note(community), as_=ANN, key="k")

    assert second.json()["note_id"] == first.json()["note_id"]


async def test_a_lost_race_answers_412(h: Harness, community: UUID) -> None:
    path = f"/notes/{(await h.post('/notes', note(community), as_=ANN)).json()['note_id']}"
    assert (await h.put(path, note(community, "two"), as_=ANN, if_match=1)).status_code == 200

    answer = await h.put(path, note(community, "three"), as_=ANN, if_match=1)

    assert answer.status_code == 412
    assert answer.json()["type"] == "urn:coterie:problem:lost-race"
    assert (await h.get(path, as_=ANN)).json()["text"] == "two"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "x"}, "body.community_id"),
        ({"community_id": str(uuid4()), "text": "x", "surprise": 1}, "body.surprise"),
        ({"community_id": "no uuid", "text": "x"}, "body.community_id"),
        ({"community_id": str(uuid4()), "text": 7}, "body.text"),
    ],
)
async def test_bad_bodies_name_the_field(h: Harness, body: dict[str, object], field: str) -> None:
    answer = await h.post("/notes", body, as_=ANN)

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:coterie:problem:invalid-request"
    assert field in [fault["field"] for fault in answer.json()["faults"]]


async def test_an_oversize_body_is_a_problem_document(h: Harness, community: UUID) -> None:
    answer = await h.post("/notes", note(community, "x" * 70_000), as_=ANN)

    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:coterie:problem:body-too-large"
    assert await notes(h) == 0


async def test_an_oversize_event_fails_its_command_and_leaves_nothing(
    h: Harness, community: UUID
) -> None:
    answer = await h.post("/notes", note(community, "huge"), as_=ANN, key="k")

    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:coterie:problem:event-too-large"
    assert "900000" in answer.json()["detail"]
    assert await notes(h) == 0
    assert await h.published() == []


LOSE_IT = """
CREATE FUNCTION lose_the_connection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.text LIKE 'lost%' AND nextval('losses') <= 1 THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
    RETURN NULL;
END $$;
CREATE SEQUENCE losses;
CREATE CONSTRAINT TRIGGER lose_the_connection AFTER INSERT ON note
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lose_the_connection()
"""


@pytest.fixture
async def losing(h: Harness) -> None:
    """The first commit of a note that says `lost` loses its connection."""
    url = h.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    await connection.execute(LOSE_IT)
    await connection.close()


async def test_a_commit_that_is_lost_is_tried_again_with_a_key(
    h: Harness, community: UUID, losing: None
) -> None:
    answer = await h.post("/notes", note(community, "lost"), as_=ANN, key="k")

    assert answer.status_code == 201
    assert await notes(h) == 1


async def test_a_commit_that_is_lost_is_not_tried_again_without_a_key(
    h: Harness, community: UUID, losing: None
) -> None:
    answer = await h.post("/notes", note(community, "lost"), as_=ANN)

    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:coterie:problem:outcome-unknown"
    assert answer.headers["Retry-After"] == "1"
    assert (await h.post("/notes", note(community, "lost"), as_=ANN)).status_code == 201


async def test_a_database_that_is_away_is_503_and_no_defect(
    h: Harness, community: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none", service="sample")
    monkeypatch.setattr(h.runtime, "database", away)

    for answer in (
        await h.post("/notes", note(community), as_=ANN),
        await h.get(f"/communities/{community}/notes", as_=ANN, after=f"{community};1"),
    ):
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:coterie:problem:temporarily-unavailable"
        assert answer.headers["Retry-After"] == "1"


async def test_an_unknown_community_is_not_found(h: Harness) -> None:
    answer = await h.post("/notes", note(uuid4()), as_=ANN)

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:coterie:problem:not-found"


async def test_without_a_token_nothing_is_told(h: Harness, community: UUID) -> None:
    answer = await h.post("/notes", note(community), as_=None)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_without_the_role_it_is_forbidden(h: Harness, community: UUID) -> None:
    answer = await h.post("/notes", note(community), as_=person("eve", Role.APPLICANT))

    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:coterie:problem:missing-role"


async def test_an_unknown_path_is_a_problem_document(h: Harness) -> None:
    answer = await h.get("/nothing-here", as_=ANN)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_command_costs_a_constant_number_of_statements(h: Harness, community: UUID) -> None:
    with h.statements() as counter:
        assert (await h.post("/notes", note(community), as_=ANN, key="k")).status_code == 201

    assert counter.count == 5, counter.statements
