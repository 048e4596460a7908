"""Each step of the guard, in its order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from coterie_contracts.community import ClockMode
from coterie_contracts.notification import Channel, GuardReason, NotificationClass
from coterie_notifications.domain.decision import Step
from coterie_notifications.domain.guard import decide
from coterie_notifications.domain.ledger import Ledger
from coterie_notifications.domain.notice import Priority, Relation, in_order
from coterie_notifications.domain.policy import GuardPolicy

from .building import (
    ACCOUNT,
    ALL_CHANNELS,
    COMMUNITY,
    LONG_AGO,
    MEMBER_ID,
    OFFER,
    PERSONAL,
    ledger_of,
    notice,
    put,
    recipient,
)

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EMPTY = Ledger(MEMBER_ID)


def of_value(count: int) -> Ledger:
    """A ledger with `count` personal messages, a day apart, before NOON."""
    return ledger_of(*(notice(PERSONAL, NOON - DAY * (n + 1)) for n in range(count)))


REACHED = {
    ACCOUNT: {Relation.APPLICANT, Relation.ACTIVE, Relation.SUSPENDED, Relation.STAFF},
    PERSONAL: {Relation.ACTIVE, Relation.SUSPENDED},
    COMMUNITY: {Relation.ACTIVE},
    OFFER: {Relation.ACTIVE},
}


@pytest.mark.parametrize("relation", Relation)
@pytest.mark.parametrize("kind", NotificationClass)
def test_each_class_reaches_exactly_its_relations(
    kind: NotificationClass, relation: Relation
) -> None:
    _, decision = put(of_value(8), notice(kind, NOON), recipient(relation))
    assert decision.sent == (relation in REACHED[kind])
    if not decision.sent:
        assert decision.reason is GuardReason.RELATION


@pytest.mark.parametrize("relation", [Relation.LEFT, Relation.RELEASED, Relation.REMOVED])
def test_who_is_gone_still_hears_of_what_is_owed(relation: Relation) -> None:
    assert put(EMPTY, notice(ACCOUNT, NOON, owed=True), recipient(relation))[1].sent
    assert not put(EMPTY, notice(PERSONAL, NOON, owed=True), recipient(relation))[1].sent


def test_the_erased_get_one_last_confirmation_and_nothing_else() -> None:
    erased = recipient(Relation.ERASED)
    assert put(EMPTY, notice(ACCOUNT, NOON, parting=True), erased)[1].sent
    assert not put(EMPTY, notice(ACCOUNT, NOON, owed=True), erased)[1].sent


def test_an_unsubscribed_channel_drops_out_and_the_next_is_used() -> None:
    who = recipient(unsubscribed=frozenset({"personal/inbox"}))
    decision = put(EMPTY, notice(PERSONAL, NOON), who)[1]
    assert [d.channel for d in decision.deliveries] == [Channel.EMAIL, Channel.WEBHOOK]


def test_a_dead_endpoint_drops_out_like_an_unsubscribed_one() -> None:
    who = recipient(unreachable=frozenset({Channel.EMAIL}))
    decision = put(EMPTY, notice(ACCOUNT, NOON), who)[1]
    assert Channel.EMAIL not in [d.channel for d in decision.deliveries]


def test_account_cannot_be_unsubscribed() -> None:
    who = recipient(unsubscribed=frozenset(f"account/{channel}" for channel in Channel))
    assert put(EMPTY, notice(ACCOUNT, NOON), who)[1].sent


def test_without_a_channel_it_is_withheld_as_unsubscribed() -> None:
    who = recipient(unsubscribed=frozenset({"community/inbox"}))
    decision = put(EMPTY, notice(COMMUNITY, NOON), who, channels=(Channel.INBOX,))[1]
    assert decision.reason is GuardReason.UNSUBSCRIBED


@pytest.mark.parametrize("extra", [{"replayed": True}, {"clock": ClockMode.DRIVEN}])
def test_a_replayed_cause_and_a_driven_clock_never_leave_the_platform(
    extra: dict[str, object],
) -> None:
    for kind in (ACCOUNT, PERSONAL, COMMUNITY):
        decision = put(EMPTY, notice(kind, NOON, **extra))[1]
        assert [d.channel for d in decision.deliveries] == [Channel.INBOX]


def test_a_duplicate_is_withheld() -> None:
    decision = decide(
        notice(PERSONAL, NOON),
        recipient(),
        EMPTY,
        GuardPolicy(),
        channels=ALL_CHANNELS,
        duplicate=True,
    )
    assert decision.reason is GuardReason.DUPLICATE


def test_it_expires_at_the_instant_that_it_names() -> None:
    assert put(EMPTY, notice(PERSONAL, NOON, expires_at=NOON + HOUR))[1].sent
    decision = put(EMPTY, notice(PERSONAL, NOON, expires_at=NOON))[1]
    assert decision.reason is GuardReason.EXPIRED


def test_community_messages_above_the_cap_are_withheld_and_the_window_excludes_its_start() -> None:
    week = timedelta(days=7)
    full = ledger_of(*(notice(COMMUNITY, NOON + HOUR * n) for n in range(3)))
    assert put(full, notice(COMMUNITY, NOON + week - HOUR))[1].reason is GuardReason.CAP
    assert put(full, notice(COMMUNITY, NOON + week))[1].sent


def test_personal_messages_above_the_cap_are_bundled_and_never_dropped() -> None:
    full = ledger_of(*(notice(PERSONAL, NOON + HOUR * n) for n in range(4)))
    for n in range(5):
        full, decision = put(full, notice(PERSONAL, NOON + HOUR * (4 + n)))
        assert decision.reason is GuardReason.BUNDLED
        assert [d.channel for d in decision.deliveries] == [Channel.INBOX]


def test_account_messages_pass_every_cap() -> None:
    policy = GuardPolicy(community_cap=0, personal_cap_per_day=1, offer_cap=0)
    for n in range(20):
        assert put(EMPTY, notice(ACCOUNT, NOON + HOUR * n), policy=policy)[1].sent


def test_an_offer_needs_four_messages_of_value() -> None:
    assert put(of_value(3), notice(OFFER, NOON))[1].reason is GuardReason.RATIO
    decision = put(of_value(4), notice(OFFER, NOON))[1]
    assert decision.sent
    figures = decision.figures
    assert (figures.offers_before, figures.value_count, figures.ratio_limit) == (0, 4, 0.25)
    assert (figures.window_days, figures.count_before, figures.cap) == (28, 0, 2)


def test_many_community_messages_on_one_local_day_are_worth_one() -> None:
    policy = GuardPolicy(community_cap=50)
    same_day = ledger_of(*(notice(COMMUNITY, NOON + HOUR * n) for n in range(8)), policy=policy)
    later = NOON + DAY
    assert put(same_day, notice(OFFER, later))[1].reason is GuardReason.RATIO
    four_days = ledger_of(*(notice(COMMUNITY, NOON - DAY * n) for n in range(4)), policy=policy)
    assert put(four_days, notice(OFFER, later))[1].sent


def test_a_ratio_that_binary_fractions_cannot_hold_is_kept_exactly() -> None:
    policy = GuardPolicy(offer_ratio=0.1, offer_cap=9, offer_gap_days=0)
    ledger = ledger_of(*(notice(PERSONAL, NOON - HOUR * 5 * (n + 1)) for n in range(30)))
    for n in range(3):
        ledger, decision = put(ledger, notice(OFFER, NOON + HOUR * n), policy=policy)
        assert decision.sent, n
    assert put(ledger, notice(OFFER, NOON + HOUR * 3), policy=policy)[1].reason is GuardReason.RATIO


def test_what_the_reader_called_an_advert_counts_as_an_offer_and_not_as_value() -> None:
    ledger = of_value(5)
    marked = ledger.entries[0]
    ledger = Ledger(
        ledger.id,
        tuple(
            type(e)(
                notification_id=e.notification_id,
                recipient_id=e.recipient_id,
                notification_class=e.notification_class,
                sent_at=e.sent_at,
                local_day=e.local_day,
                advert_at=NOON - HOUR if e is marked else None,
            )
            for e in ledger.entries
        ),
    )
    window = timedelta(days=28)
    assert ledger.offers(NOON, window, NOON) == 1
    assert ledger.value(MEMBER_ID, NOON, window, NOON) == 4
    assert ledger.offers(NOON, window, NOON - HOUR * 2) == 0
    assert put(ledger, notice(OFFER, NOON))[1].reason is GuardReason.RATIO


def test_no_offer_in_the_first_fourteen_days_of_membership() -> None:
    new = recipient(offers={"member_since": NOON - timedelta(days=14) + HOUR})
    assert put(of_value(4), notice(OFFER, NOON), new)[1].reason is GuardReason.TOO_NEW
    assert put(of_value(4), notice(OFFER, NOON + HOUR), new)[1].sent


def test_offers_keep_their_gap() -> None:
    ledger, first = put(of_value(12), notice(OFFER, NOON))
    assert first.sent
    early = NOON + timedelta(days=10) - HOUR
    assert put(ledger, notice(OFFER, early))[1].reason is GuardReason.GAP
    assert put(ledger, notice(OFFER, early + HOUR))[1].sent


def test_no_offer_while_a_look_again_is_open() -> None:
    asked = recipient(offers={"open_look_again": True})
    assert put(of_value(4), notice(OFFER, NOON), asked)[1].reason is GuardReason.OPEN_LOOK_AGAIN


def test_no_offer_for_a_day_after_bad_news() -> None:
    told = recipient(offers={"bad_news_at": NOON - DAY + HOUR})
    assert put(of_value(4), notice(OFFER, NOON), told)[1].reason is GuardReason.BAD_NEWS
    assert put(of_value(4), notice(OFFER, NOON + HOUR), told)[1].sent


def test_not_useful_pauses_offers_for_thirty_days() -> None:
    said = recipient(offers={"not_useful_at": (NOON - timedelta(days=29),)})
    assert put(of_value(4), notice(OFFER, NOON), said)[1].reason is GuardReason.NOT_USEFUL
    assert put(of_value(4), notice(OFFER, NOON + DAY), said)[1].sent


def test_not_useful_twice_turns_offers_off_until_the_member_turns_them_on() -> None:
    twice = (NOON - timedelta(days=400), NOON - timedelta(days=300))
    said = recipient(offers={"not_useful_at": twice})
    assert put(of_value(4), notice(OFFER, NOON), said)[1].reason is GuardReason.NOT_USEFUL
    on_again = recipient(offers={"not_useful_at": twice, "resumed_at": NOON - DAY})
    assert put(of_value(4), notice(OFFER, NOON), on_again)[1].sent
    far_apart = (NOON - timedelta(days=400), NOON - timedelta(days=219))
    calm = recipient(offers={"not_useful_at": far_apart})
    assert put(of_value(4), notice(OFFER, NOON), calm)[1].sent


def test_at_night_outward_channels_wait_and_the_inbox_does_not() -> None:
    late = datetime(2026, 5, 20, 22, tzinfo=UTC)
    decision = put(EMPTY, notice(PERSONAL, late))[1]
    waits = {d.channel: d.not_before for d in decision.deliveries}
    assert waits[Channel.INBOX] is None
    assert waits[Channel.EMAIL] == datetime(2026, 5, 21, 6, tzinfo=UTC)


def test_low_priority_goes_to_the_inbox_only_until_digests_exist() -> None:
    decision = put(EMPTY, notice(PERSONAL, NOON, priority=Priority.LOW))[1]
    assert decision.reason is GuardReason.DIGEST_PENDING
    assert [d.channel for d in decision.deliveries] == [Channel.INBOX]


def test_an_offer_of_low_priority_waits_for_no_digest_and_counts_as_an_offer() -> None:
    ledger, decision = put(of_value(4), notice(OFFER, NOON, priority=Priority.LOW))
    assert decision.reason is GuardReason.DIGEST_PENDING
    assert [d.channel for d in decision.deliveries] == [Channel.INBOX]
    assert ledger.offers(NOON, DAY, NOON) == 1


def test_what_is_sent_has_answered_every_step_in_order() -> None:
    decision = put(of_value(4), notice(OFFER, NOON))[1]
    assert [answer.step for answer in decision.answers] == list(Step)
    assert all(answer.passed for answer in decision.answers)


def test_what_is_withheld_names_the_step_that_failed_last() -> None:
    decision = put(of_value(3), notice(OFFER, NOON))[1]
    assert [a.step for a in decision.answers] == list(Step)[:5]
    assert [a.passed for a in decision.answers] == [True] * 4 + [False]


def test_those_who_compete_go_by_class_priority_time_and_id() -> None:
    offer = notice(OFFER, NOON)
    low = notice(PERSONAL, NOON - DAY, priority=Priority.LOW)
    late = notice(PERSONAL, NOON, priority=Priority.HIGH)
    early = notice(PERSONAL, NOON - HOUR, priority=Priority.HIGH)
    account = notice(ACCOUNT, NOON + DAY)
    assert in_order([offer, low, late, early, account]) == [account, early, late, low, offer]


def test_one_cause_has_one_notification_id() -> None:
    cause = uuid4()
    first = notice(PERSONAL, NOON, cause_id=cause)
    again = notice(PERSONAL, NOON + DAY, cause_id=cause)
    assert first.id == again.id
    assert first.id != notice(PERSONAL, NOON, cause_id=cause, template="other").id


def test_there_is_no_switch_by_which_an_offer_skips_the_guard() -> None:
    """Whatever a notice says of itself, an offer to a member of a day is withheld."""
    new = recipient(offers={"member_since": NOON - DAY})
    offer = notice(OFFER, NOON, owed=True, parting=True, priority=Priority.HIGH)
    assert not put(of_value(8), offer, new)[1].sent
    assert LONG_AGO < NOON


def test_an_offer_entered_late_must_not_break_the_cap_of_a_later_one() -> None:
    policy = GuardPolicy(
        offer_cap=2, offer_window_days=10, offer_ratio=1.0, offer_gap_days=0, community_cap=50
    )
    value = [notice(COMMUNITY, NOON - DAY * n) for n in range(1, 6)]
    later = [notice(OFFER, NOON + DAY * n) for n in (1, 2)]
    ledger = ledger_of(*value, *later, policy=policy)
    assert ledger.offers(NOON, timedelta(days=10), NOON) == 0
    decision = put(ledger, notice(OFFER, NOON), policy=policy)[1]
    assert decision.reason is GuardReason.CAP
    assert decision.figures.count_before == 0
    before_their_window = put(ledger, notice(OFFER, NOON + DAY - DAY * 10), policy=policy)[1]
    assert before_their_window.reason is not GuardReason.CAP


def test_an_offer_entered_late_must_not_break_the_ratio_of_a_later_one() -> None:
    policy = GuardPolicy(offer_cap=9, offer_gap_days=0)
    ledger = ledger_of(*(notice(PERSONAL, NOON - DAY * n) for n in range(1, 5)))
    alone = put(ledger, notice(OFFER, NOON), policy=policy)[1]
    assert alone.sent
    ledger, later = put(ledger, notice(OFFER, NOON + DAY), policy=policy)
    assert later.sent
    late = put(ledger, notice(OFFER, NOON), policy=policy)[1]
    assert late.reason is GuardReason.RATIO
    assert late.figures.offers_before == 0
