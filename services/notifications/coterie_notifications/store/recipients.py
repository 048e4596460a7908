"""What is known of those whom a batch of notices is for; one query a kind of fact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from coterie_chassis import circle
from coterie_chassis.circle import Community, Member
from coterie_chassis.decisions import member_id_of
from coterie_chassis.store import UnitOfWork, bulk_insert
from coterie_contracts.member import MemberStatus
from coterie_contracts.notification import NotificationClass
from coterie_notifications.domain.notice import Notice, OfferFacts, Recipient, Relation
from coterie_notifications.domain.notices import relation_of
from coterie_notifications.domain.policy import GuardPolicy, in_force
from coterie_notifications.domain.quiet_hours import QuietHours, zone_of
from coterie_notifications.store import tables

__all__ = [
    "Known",
    "audience_at",
    "erased_among",
    "load_known",
    "policies_of",
    "save_policy",
    "seated",
]


@dataclass(frozen=True, slots=True)
class Known:
    """Facts about communities and members, from which a notice's recipient is made."""

    communities: dict[UUID, Community] = field(default_factory=dict)
    members: dict[UUID, Member] = field(default_factory=dict)
    erased: set[UUID] = field(default_factory=set)
    standings: dict[UUID, list[Row[Any]]] = field(default_factory=dict)
    wishes: dict[UUID, Row[Any]] = field(default_factory=dict)
    policies: dict[UUID, list[tuple[datetime, GuardPolicy]]] = field(default_factory=dict)
    offer_facts: dict[UUID, Row[Any]] = field(default_factory=dict)

    def waits_for(self, notice: Notice) -> UUID | None:
        """The community or member that has to be seen before the guard can decide."""
        if notice.community_id not in self.communities:
            return notice.community_id
        if _is_member(notice) and notice.recipient_id not in self.members:
            return notice.recipient_id
        return None

    def is_erased(self, notice: Notice) -> bool:
        return _member_id(notice) in self.erased

    def policy(self, notice: Notice) -> GuardPolicy:
        return in_force(self.policies.get(notice.community_id, []), notice.at)

    def recipient(self, notice: Notice) -> Recipient:
        """The recipient at the notice's own time, whatever became of them since."""
        community = self.communities[notice.community_id]
        member = self.members.get(notice.recipient_id)
        wishes = self.wishes.get(notice.recipient_id)
        return Recipient(
            relation=notice.relation or self._relation_at(notice),
            zone=zone_of(member.time_zone if member else None, community.time_zone),
            quiet=QuietHours(community.quiet_from, community.quiet_until),
            unsubscribed=frozenset((wishes.unsubscribed if wishes else None) or ()),
            offers=self._offer_facts(notice, member, wishes),
        )

    def person_of(self, notice: Notice) -> UUID | None:
        member = self.members.get(notice.recipient_id)
        return member.person_id if member else notice.person_id

    def _relation_at(self, notice: Notice) -> Relation:
        history = self.standings.get(notice.recipient_id, [])
        if not history:
            return relation_of(self.members[notice.recipient_id].status)
        current = history[0]
        for row in history:
            if row.since <= notice.at:
                current = row
        return relation_of(MemberStatus(current.status))

    def _offer_facts(
        self, notice: Notice, member: Member | None, wishes: Row[Any] | None
    ) -> OfferFacts:
        if notice.notification_class is not NotificationClass.OFFER:
            return OfferFacts()
        facts = self.offer_facts.get(notice.recipient_id)
        return OfferFacts(
            member_since=member.admitted_at if member else None,
            open_look_again=bool(facts and facts.open_look_again),
            bad_news_at=wishes.bad_news_at if wishes else None,
            not_useful_at=tuple(facts.not_useful_at) if facts else (),
            resumed_at=wishes.resumed_at if wishes else None,
        )


async def load_known(uow: UnitOfWork, notices: Sequence[Notice]) -> Known:
    """Everything the guard asks about `notices`' recipients; seven statements at most."""
    if not notices:
        return Known()
    communities = {notice.community_id for notice in notices}
    people = {member_id for notice in notices if (member_id := _member_id(notice))}
    members = {notice.recipient_id for notice in notices if _is_member(notice)}
    offered = [n for n in notices if n.notification_class is NotificationClass.OFFER]
    return Known(
        communities=await circle.communities(uow, sorted(communities)),
        members=await circle.members(uow, sorted(members)),
        erased=await erased_among(uow, people),
        standings=_grouped(await _rows(uow, _STANDINGS, members)),
        wishes={row.member_id: row for row in await _rows(uow, _WISHES, members)},
        policies=await policies_of(uow, communities),
        offer_facts=await _offer_facts(uow, offered),
    )


async def erased_among(uow: UnitOfWork, member_ids: Collection[UUID]) -> set[UUID]:
    """Those of `member_ids` that were erased, now or ever."""
    return {row.member_id for row in await _rows(uow, _ERASED, member_ids)}


async def policies_of(
    uow: UnitOfWork, community_ids: Collection[UUID]
) -> dict[UUID, list[tuple[datetime, GuardPolicy]]]:
    """Every published version of the communities' policies, lowest first."""
    found: dict[UUID, list[tuple[datetime, GuardPolicy]]] = defaultdict(list)
    for row in await _rows(uow, _POLICIES, community_ids):
        policy = GuardPolicy(version=row.version, **row.limits)
        found[row.community_id].append((row.since, policy))
    return found


async def save_policy(
    uow: UnitOfWork, community_id: UUID, policy: GuardPolicy, since: datetime, author: str
) -> bool:
    """False if another request published this version first."""
    row = {
        "community_id": community_id,
        "version": policy.version,
        "since": since,
        "author": author,
        "limits": policy.limits(),
    }
    saved = await bulk_insert(
        uow, tables.guard_policy, [row], on_conflict_do_nothing=True, returning=("version",)
    )
    return bool(saved)


async def seated(uow: UnitOfWork, community_id: UUID) -> list[UUID]:
    """The members who hold a seat, suspended ones too: the guard says whom it does not reach."""
    return [row.member_id for row in await uow.rows(_SEATED, {"community": community_id})]


async def audience_at(
    uow: UnitOfWork, moments: Iterable[tuple[UUID, UUID, datetime]]
) -> dict[UUID, list[UUID]]:
    """For each (id, community, moment) the members active at that moment, by id; one statement."""
    wanted = sorted(moments)
    if not wanted:
        return {}
    ids, communities, times = zip(*wanted, strict=True)
    values = {"ids": list(ids), "communities": list(communities), "moments": list(times)}
    found: dict[UUID, list[UUID]] = {id_: [] for id_ in ids}
    for row in await uow.rows(_ACTIVE_AT, values):
        if row.status == MemberStatus.ACTIVE.value:
            found[row.id].append(row.member_id)
    return found


async def _offer_facts(uow: UnitOfWork, offered: Sequence[Notice]) -> dict[UUID, Row[Any]]:
    if not offered:
        return {}
    rows = await uow.rows(
        _OFFER_FACTS,
        {"ids": sorted(n.recipient_id for n in offered), "at": max(n.at for n in offered)},
    )
    return {row.member_id: row for row in rows}


def _is_member(notice: Notice) -> bool:
    return notice.relation not in {Relation.STAFF, Relation.APPLICANT}


def _member_id(notice: Notice) -> UUID | None:
    if _is_member(notice):
        return notice.recipient_id
    return member_id_of(notice.community_id, notice.person_id) if notice.person_id else None


async def _rows(uow: UnitOfWork, statement: Any, ids: Collection[UUID]) -> Sequence[Row[Any]]:
    return await uow.rows(statement, {"ids": sorted(ids)}) if ids else ()


def _grouped(rows: Iterable[Row[Any]]) -> dict[UUID, list[Row[Any]]]:
    found: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row.member_id].append(row)
    return found


_ERASED: Final = text(
    "SELECT member_id FROM erased_member WHERE member_id = ANY(CAST(:ids AS uuid[]))"
)
_STANDINGS: Final = text(
    "SELECT member_id, since, status FROM standing "
    "WHERE member_id = ANY(CAST(:ids AS uuid[])) ORDER BY member_id, sequence"
)
_WISHES: Final = text(
    """
    SELECT who.member_id, p.unsubscribed, p.resumed_at, f.bad_news_at
    FROM unnest(CAST(:ids AS uuid[])) AS who(member_id)
    LEFT JOIN preference AS p USING (member_id) LEFT JOIN member_fact AS f USING (member_id)
    """
)
_POLICIES: Final = text(
    "SELECT community_id, version, since, limits FROM guard_policy "
    "WHERE community_id = ANY(CAST(:ids AS uuid[])) ORDER BY community_id, version"
)
_OFFER_FACTS: Final = text(
    """
    SELECT who.member_id,
        EXISTS (
            SELECT FROM look_again AS l
            WHERE l.member_id = who.member_id AND l.requested_at <= :at
            AND (l.closed_at IS NULL OR l.closed_at > :at)
        ) AS open_look_again,
        ARRAY(
            SELECT n.not_useful_at FROM notification AS n
            WHERE n.recipient_id = who.member_id AND n.not_useful_at IS NOT NULL
        ) AS not_useful_at
    FROM unnest(CAST(:ids AS uuid[])) AS who(member_id)
    """
)
_SEATED: Final = text(
    "SELECT member_id FROM member_copy WHERE community_id = :community "
    "AND status IN ('active', 'suspended') ORDER BY member_id"
)
_ACTIVE_AT: Final = text(
    """
    SELECT DISTINCT ON (wanted.id, s.member_id) wanted.id, s.member_id, s.status
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:communities AS uuid[]), CAST(:moments AS timestamptz[])
    ) AS wanted(id, community_id, moment)
    JOIN standing AS s ON s.community_id = wanted.community_id AND s.since <= wanted.moment
    ORDER BY wanted.id, s.member_id, s.sequence DESC
    """
)
