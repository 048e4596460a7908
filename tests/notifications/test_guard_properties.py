"""The guard under random notices at random times, entered in any order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from coterie_contracts.notification import Channel, GuardReason, NotificationClass
from coterie_notifications.domain.decision import Decision
from coterie_notifications.domain.ledger import Ledger
from coterie_notifications.domain.notice import Notice, Priority
from coterie_notifications.domain.policy import GuardPolicy

from .building import MEMBER_ID, NIGHT, OFFER, PERSONAL, ledger_of, notice, put, recipient

SPRING, AUTUMN = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)

times = st.tuples(st.sampled_from([SPRING, AUTUMN]), st.integers(0, 70 * 24 * 60)).map(
    lambda drawn: drawn[0] + timedelta(minutes=drawn[1])
)
kinds = st.sampled_from([OFFER, OFFER, PERSONAL, PERSONAL, *NotificationClass])
notices = st.builds(notice, kinds, times, priority=st.sampled_from(Priority))
ELSEWHERE = UUID("33333333-3333-4333-8333-333333333333")
"""The same person as a member of the brand's other community."""
offers_of_a_brand = st.builds(
    notice,
    st.just(OFFER),
    st.integers(0, 20 * 24).map(lambda hours: SPRING + timedelta(hours=hours)),
    recipient_id=st.sampled_from([MEMBER_ID, ELSEWHERE]),
)
VALUE = [
    notice(PERSONAL, SPRING - timedelta(hours=6 * n), recipient_id=who)
    for n in range(1, 31)
    for who in (MEMBER_ID, ELSEWHERE)
]
many_offers = st.builds(
    GuardPolicy,
    offer_cap=st.integers(1, 4),
    offer_window_days=st.integers(2, 15),
    offer_ratio=st.just(1.0),
    offer_ratio_window_days=st.just(60),
    offer_gap_days=st.integers(0, 2),
)
policies = st.builds(
    GuardPolicy,
    offer_cap=st.integers(0, 4),
    offer_window_days=st.integers(1, 40),
    offer_ratio=st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0]),
    offer_ratio_window_days=st.integers(1, 40),
    offer_gap_days=st.integers(0, 12),
    offer_after_days=st.just(14),
    community_cap=st.integers(0, 4),
    community_window_days=st.integers(1, 10),
    personal_cap_per_day=st.integers(1, 5),
)
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])


def run(
    wanted: list[Notice], policy: GuardPolicy, zone: str
) -> tuple[Ledger, list[tuple[Ledger, Decision]]]:
    """Every decision with the ledger that it saw."""
    ledger, taken = Ledger(MEMBER_ID), []
    for one in wanted:
        before = ledger
        ledger, decision = put(ledger, one, recipient(time_zone=zone), policy)
        taken.append((before, decision))
    return ledger, taken


def times_of(ledger: Ledger, kind: NotificationClass) -> list[datetime]:
    return [e.sent_at for e in ledger.entries if e.notification_class is kind]


@settings(max_examples=150, deadline=None)
@given(st.lists(notices, max_size=60), policies, zones)
def test_at_no_instant_are_offers_above_the_cap_in_any_order_of_entry(
    wanted: list[Notice], policy: GuardPolicy, zone: str
) -> None:
    ledger, _ = run(wanted, policy, zone)
    window = timedelta(days=policy.offer_window_days)
    sent = times_of(ledger, OFFER)
    for t in sent:
        assert sum(1 for other in sent if t - window < other <= t) <= policy.offer_cap
    community = times_of(ledger, NotificationClass.COMMUNITY)
    window = timedelta(days=policy.community_window_days)
    for t in community:
        assert sum(1 for o in community if t - window < o <= t) <= policy.community_cap


@settings(max_examples=100, deadline=None)
@given(st.lists(offers_of_a_brand, min_size=3, max_size=25), many_offers)
def test_a_person_in_two_communities_of_a_brand_has_one_cap_and_one_gap_for_offers(
    wanted: list[Notice], policy: GuardPolicy
) -> None:
    ledger = ledger_of(*VALUE, policy=policy)
    for one in wanted:
        ledger, _ = put(ledger, one, policy=policy)
    window, gap = timedelta(days=policy.offer_window_days), timedelta(days=policy.offer_gap_days)
    sent = sorted(times_of(ledger, OFFER))
    assert sent
    for t in sent:
        assert sum(1 for other in sent if t - window < other <= t) <= policy.offer_cap
    assert all(later - earlier >= gap for earlier, later in pairwise(sent))


@settings(max_examples=150, deadline=None)
@given(st.lists(notices, max_size=60), policies, zones)
def test_offers_are_within_the_ratio_at_each_send_and_keep_their_gap(
    wanted: list[Notice], policy: GuardPolicy, zone: str
) -> None:
    ledger, taken = run(wanted, policy, zone)
    window = timedelta(days=policy.offer_ratio_window_days)
    limit = Fraction(str(policy.offer_ratio))
    for _, decision in taken:
        if decision.notice.notification_class is not OFFER or not decision.sent:
            continue
        at = decision.notice.at
        assert ledger.offers(at, window, at) <= limit * ledger.value(MEMBER_ID, at, window, at)
        figures = decision.figures
        assert figures.offers_before is not None
        assert figures.value_count is not None
        assert figures.offers_before + 1 <= limit * figures.value_count
    sent = sorted(times_of(ledger, OFFER))
    gap = timedelta(days=policy.offer_gap_days)
    assert all(later - earlier >= gap for earlier, later in pairwise(sent))


@settings(max_examples=100, deadline=None)
@given(st.lists(notices, max_size=40), policies, zones)
def test_outward_channels_keep_quiet_hours_and_the_inbox_never_waits(
    wanted: list[Notice], policy: GuardPolicy, zone: str
) -> None:
    _, taken = run(wanted, policy, zone)
    for _, decision in taken:
        for delivery in decision.deliveries:
            at = delivery.not_before or decision.notice.at
            if delivery.channel is Channel.INBOX:
                assert delivery.not_before is None
                continue
            assert NIGHT.not_before(at, decision.zone) is None
            local = at.astimezone(decision.zone.info)
            assert 8 <= local.hour < 21


@settings(max_examples=100, deadline=None)
@given(st.lists(notices, max_size=60), policies, zones)
def test_personal_and_account_messages_are_never_dropped(
    wanted: list[Notice], policy: GuardPolicy, zone: str
) -> None:
    _, taken = run(wanted, policy, zone)
    for before, decision in taken:
        kind = decision.notice.notification_class
        if kind is PERSONAL:
            around = before.most_of_class_around(PERSONAL, MEMBER_ID, decision.notice.at, DAY)
            full = around >= policy.personal_cap_per_day
            assert decision.sent
            assert (decision.reason is GuardReason.BUNDLED) == full
        if kind is NotificationClass.ACCOUNT:
            assert decision.sent


@settings(max_examples=50, deadline=None)
@given(st.lists(notices, max_size=30), policies, zones)
def test_the_same_history_gives_the_same_decisions(
    wanted: list[Notice], policy: GuardPolicy, zone: str
) -> None:
    assert run(wanted, policy, zone) == run(wanted, policy, zone)
