"""A broker that lost its data learns again how members are reached, and who must not be."""

from __future__ import annotations

from uuid import UUID

import pytest

from coterie_chassis.outbox import headers_of, row_of
from coterie_chassis.testing import Harness
from coterie_contracts.envelope import Event, decode
from coterie_contracts.member import MemberContact
from coterie_membership.service import service
from coterie_membership.store import current_contacts

from .conftest import AGREED, Circle, Founder, applicant


async def tell(h: Harness) -> dict[UUID, Event[MemberContact] | None]:
    """What is told again of each member, page by page; None is a tombstone."""
    found: dict[UUID, Event[MemberContact] | None] = {}
    after = None
    while True:
        async with h.database.begin() as uow:
            if not (page := await current_contacts(uow, after)):
                return found
            for cause, draft in page:
                row = row_of(draft, cause, service="membership", now=uow.now)
                headers = headers_of(row["headers"], row["key"])
                assert draft.subject not in found, "pages do not overlap"
                found[draft.subject] = (
                    None if row["value"] is None else decode(row["topic"], headers, row["value"])  # type: ignore[assignment]
                )
        after = page[-1][1].subject


async def admit(circle: Circle, name: str, email: str | None) -> UUID:
    body = AGREED if email is None else {**AGREED, "email": email}
    return UUID((await circle.apply(name, body)).json()["member_id"])


@pytest.mark.parametrize("size", [1, 500])
async def test_members_are_told_by_address_and_the_erased_as_tombstones(
    h: Harness, found: Founder, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("coterie_membership.store.contacts._PAGE", size)
    circle, other = await found(capacity=10), await found(capacity=10)
    ann = await admit(circle, "ann", "ann@example.com")
    bob = await admit(circle, "bob", None)
    eve = await admit(circle, "eve", "eve@example.com")
    abroad = await admit(other, "ann", "ann@elsewhere.example")
    await h.post(f"/members/{eve}/erase", as_=applicant("eve"))

    contacts = await tell(h)

    assert set(contacts) == {ann, eve, abroad}
    assert bob not in contacts
    assert contacts[eve] is None
    reached = {id_: event.data.email for id_, event in contacts.items() if event is not None}
    assert reached == {ann: "ann@example.com", abroad: "ann@elsewhere.example"}
    ours = contacts[ann]
    assert ours is not None
    assert ours.community_id == circle.id
    assert ours.brand_id is not None


async def test_the_address_of_the_latest_admission_counts(h: Harness, found: Founder) -> None:
    circle = await found(capacity=2)
    ann = await admit(circle, "ann", "old@example.com")
    await h.post(f"/members/{ann}/leave", as_=applicant("ann"))
    assert await admit(circle, "ann", "new@example.com") == ann

    (event,) = (await tell(h)).values()

    assert event is not None
    assert event.data.email == "new@example.com"


def test_the_service_tells_its_compacted_topic() -> None:
    assert [(state.topic, state.page) for state in service.current_state] == [
        (MemberContact.topic, current_contacts)
    ]
