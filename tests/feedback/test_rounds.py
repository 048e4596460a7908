"""What a round comes to, for each way in which people answer or do not."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie_chassis.decisions import Refusal
from coterie_contracts.feedback import (
    AskedAs,
    FeedbackReopened,
    FeedbackUnconfirmed,
    FeedbackVerified,
    LookAgainAnswered,
    LookAgainLapsed,
    LookAgainRequested,
    RoundFacts,
    VerifiedBy,
)
from coterie_feedback.domain import rounds
from coterie_feedback.domain.decision import Decision
from coterie_feedback.domain.look_agains import Invitee, LookState, What, asked, who_to_ask
from coterie_feedback.domain.quiet_hours import QuietHours
from coterie_feedback.domain.rounds import Round
from coterie_feedback.domain.suggestion import Status

from .building import NOON, QUIET, again, begun, cause, invited, look_of, planned

DAY = timedelta(days=1)
AUTHOR, TWIN, ANN, BOB, CEM = (uuid4() for _ in range(5))


def answered(
    round_: Round, who: UUID, satisfied: bool, at: datetime = NOON
) -> tuple[Round, Decision]:
    return rounds.answer(round_, look_of(round_, who), cause(at), satisfied=satisfied)


def lapsed(round_: Round, *who: UUID) -> tuple[Round, Decision]:
    decision = Decision(cause=cause())
    for one in who:
        round_, decision = rounds.lapse(round_, look_of(round_, one), cause(NOON + 15 * DAY))
    return round_, decision


def outcome(decision: Decision) -> RoundFacts | None:
    bodies = [d.body for d in decision.drafts if isinstance(d.body, RoundFacts)]
    assert len(bodies) < 2
    return bodies[0] if bodies else None


def everybody() -> Round:
    people = invited(AUTHOR, duplicates=(TWIN,), supporters=(ANN, BOB, CEM))
    return begun(planned(AUTHOR), people)


def test_the_author_satisfied_verifies_at_once() -> None:
    _, decision = answered(everybody(), AUTHOR, True)

    body = outcome(decision)
    assert isinstance(body, FeedbackVerified)
    assert (body.by, body.round) == (VerifiedBy.AUTHOR, 1)
    assert body.implemented_at == NOON
    assert body.duplicate_author_ids == (TWIN,)


def test_the_author_unsatisfied_reopens() -> None:
    after, decision = answered(everybody(), AUTHOR, False)

    assert isinstance(outcome(decision), FeedbackReopened)
    assert after.suggestion.status is Status.REOPENED


def test_an_unsatisfied_duplicate_author_does_not_reopen() -> None:
    round_, decision = answered(everybody(), TWIN, False)
    assert outcome(decision) is None
    assert round_.suggestion.status is Status.LOOKING_AGAIN

    round_, _ = answered(round_, ANN, True)
    round_, _ = answered(round_, BOB, True)
    round_, decision = lapsed(round_, CEM, AUTHOR)

    body = outcome(decision)
    assert isinstance(body, FeedbackVerified)
    assert body.by is VerifiedBy.SUPPORTERS


def test_supporters_do_not_decide_before_the_authors_deadline() -> None:
    round_ = everybody()
    for one in (ANN, BOB, CEM):
        round_, decision = answered(round_, one, True)
        assert outcome(decision) is None


@pytest.mark.parametrize(
    ("answers", "expected", "by"),
    [
        ((True, True, None), FeedbackVerified, VerifiedBy.SUPPORTERS),
        ((True, True, False), FeedbackVerified, VerifiedBy.SUPPORTERS),
        ((True, False, None), FeedbackUnconfirmed, VerifiedBy.SUPPORTERS),
        ((False, False, True), FeedbackUnconfirmed, VerifiedBy.SUPPORTERS),
        ((True, None, None), FeedbackUnconfirmed, VerifiedBy.DEADLINE),
        ((None, None, None), FeedbackUnconfirmed, VerifiedBy.DEADLINE),
    ],
)
def test_without_the_author_at_least_two_supporters_and_most_of_them_satisfied_verify(
    answers: tuple[bool | None, ...], expected: type[RoundFacts], by: VerifiedBy
) -> None:
    round_ = everybody()
    silent = [AUTHOR, TWIN]
    for who, satisfied in zip((ANN, BOB, CEM), answers, strict=True):
        if satisfied is None:
            silent.append(who)
        else:
            round_, _ = answered(round_, who, satisfied)
    round_, decision = lapsed(round_, *silent)

    body = outcome(decision)
    assert isinstance(body, expected)
    assert body.by is by


def test_a_round_that_can_ask_nobody_is_unconfirmed_at_once() -> None:
    round_ = begun(planned(AUTHOR), invited(AUTHOR, gone=(AUTHOR,)))

    assert round_.suggestion.status is Status.UNCONFIRMED
    assert [one.state for one in round_.look_agains] == [LookState.NOT_ASKABLE]


def test_a_round_whose_people_all_go_does_not_wait_for_ever() -> None:
    round_ = begun(planned(AUTHOR), invited(AUTHOR, supporters=(ANN,)))
    round_, decision = rounds.mark_gone(round_, ANN, cause(), sequence=2)
    assert outcome(decision) is None

    round_, decision = rounds.mark_gone(round_, AUTHOR, cause(), sequence=2)

    body = outcome(decision)
    assert isinstance(body, FeedbackUnconfirmed)
    assert body.not_askable
    lapse = next(d.body for d in decision.drafts if isinstance(d.body, LookAgainLapsed))
    assert lapse.not_askable


def test_a_member_who_goes_twice_goes_once() -> None:
    round_ = begun(planned(AUTHOR), invited(AUTHOR, supporters=(ANN,)))
    round_, _ = rounds.mark_gone(round_, ANN, cause(), sequence=2)

    _, decision = rounds.mark_gone(round_, ANN, cause(), sequence=2)

    assert decision.drafts == ()


def test_who_returned_before_they_were_asked_is_waited_for() -> None:
    round_ = begun(planned(AUTHOR), invited(AUTHOR))

    same, decision = rounds.mark_gone(round_, AUTHOR, cause(), sequence=1)
    assert (same, decision.drafts) == (round_, ())

    gone, _ = rounds.mark_gone(round_, AUTHOR, cause(), sequence=None)
    assert gone.look_agains[0].state is LookState.NOT_ASKABLE


def test_who_goes_after_their_deadline_is_left_to_it() -> None:
    round_ = begun(planned(AUTHOR), invited(AUTHOR))

    round_, decision = rounds.mark_gone(round_, AUTHOR, cause(NOON + 14 * DAY), sequence=2)

    assert (decision.look_agains, decision.drafts) == ((), ())
    round_, decision = lapsed(round_, AUTHOR)
    body = outcome(decision)
    assert isinstance(body, FeedbackUnconfirmed)
    assert not body.not_askable, "there was somebody to ask"


@pytest.mark.parametrize(
    ("satisfied", "expected"), [(True, FeedbackVerified), (False, FeedbackReopened)]
)
def test_a_late_answer_of_the_author_counts(satisfied: bool, expected: type[RoundFacts]) -> None:
    round_, _ = lapsed(everybody(), AUTHOR, TWIN, ANN, BOB, CEM)
    assert round_.suggestion.status is Status.UNCONFIRMED

    _, decision = answered(round_, AUTHOR, satisfied, NOON + 80 * DAY)

    assert isinstance(outcome(decision), expected)
    spoken = next(d.body for d in decision.drafts if isinstance(d.body, LookAgainAnswered))
    assert spoken.late


def test_a_late_answer_counts_until_day_ninety() -> None:
    round_, _ = lapsed(everybody(), AUTHOR, TWIN, ANN, BOB, CEM)
    limit = round_.of(look_of(round_, AUTHOR)).late_until
    assert limit == NOON + 90 * DAY
    _, on_the_day = answered(round_, AUTHOR, True, limit)
    assert outcome(on_the_day) is not None

    with pytest.raises(Refusal, match="too-late"):
        answered(round_, AUTHOR, True, limit + timedelta(seconds=1))


def test_a_late_answer_counts_only_until_the_next_round() -> None:
    first, _ = answered(everybody(), AUTHOR, False)
    second = begun(again(first.suggestion), invited(AUTHOR, supporters=(ANN,)))
    stale = Round(
        suggestion=second.suggestion,
        implementation=first.implementation,
        look_agains=first.look_agains,
    )

    with pytest.raises(Refusal, match="too-late"):
        answered(stale, ANN, True)


def test_the_next_round_ends_what_was_open_of_the_one_before() -> None:
    first, _ = answered(everybody(), AUTHOR, False)
    still_open = [one for one in first.look_agains if one.state is LookState.REQUESTED]
    assert len(still_open) == 4

    decision = rounds.implement(
        again(first.suggestion),
        cause(NOON + DAY),
        What(what_changed="Better", see_it_at="here"),
        implementation_id=uuid4(),
        duplicate_author_ids=[],
        invitees=invited(AUTHOR),
        quiet=QUIET,
        still_open=still_open,
    )

    ended = [d for d in decision.drafts if isinstance(d.body, LookAgainLapsed)]
    assert {d.subject for d in ended} == {one.look_again_id for one in still_open}


def test_late_supporters_can_still_confirm_and_never_undo() -> None:
    round_, _ = lapsed(everybody(), AUTHOR, TWIN, ANN, BOB, CEM)
    round_, first = answered(round_, ANN, True, NOON + 20 * DAY)
    assert outcome(first) is None
    round_, second = answered(round_, BOB, True, NOON + 21 * DAY)
    assert isinstance(outcome(second), FeedbackVerified)

    round_, third = answered(round_, CEM, False, NOON + 22 * DAY)

    assert outcome(third) is None
    assert round_.suggestion.status is Status.VERIFIED


def test_the_author_answering_late_stands_above_the_supporters() -> None:
    round_ = everybody()
    for one in (ANN, BOB):
        round_, _ = answered(round_, one, True)
    round_, _ = lapsed(round_, AUTHOR, TWIN, CEM)
    assert round_.suggestion.status is Status.VERIFIED

    _, decision = answered(round_, AUTHOR, False, NOON + 20 * DAY)

    assert isinstance(outcome(decision), FeedbackReopened)


def test_after_three_rounds_only_a_manager_reopens() -> None:
    item = planned(AUTHOR)
    for number in (1, 2):
        round_ = begun(item, invited(AUTHOR))
        round_, decision = answered(round_, AUTHOR, False)
        assert isinstance(outcome(decision), FeedbackReopened), number
        item = again(round_.suggestion)
    third = begun(item, invited(AUTHOR))

    third, decision = answered(third, AUTHOR, False)

    body = outcome(decision)
    assert isinstance(body, FeedbackUnconfirmed)
    assert (body.by, body.round) == (VerifiedBy.AUTHOR, 3)
    reopened = rounds.reopen(third.suggestion, third.implementation, cause())
    by_manager = outcome(reopened)
    assert isinstance(by_manager, FeedbackReopened)
    assert by_manager.by is VerifiedBy.MANAGER


def test_a_second_answer_is_refused() -> None:
    round_, _ = answered(everybody(), ANN, True)

    with pytest.raises(Refusal, match="already-answered"):
        answered(round_, ANN, False)


def test_either_answer_has_the_same_form() -> None:
    bodies = [
        answered(everybody(), ANN, satisfied)[1].drafts[0].body for satisfied in (True, False)
    ]

    assert {type(body) for body in bodies} == {LookAgainAnswered}


def test_authors_of_duplicates_and_three_supporters_are_asked_once_each() -> None:
    dee, eve = uuid4(), uuid4()

    people = who_to_ask(AUTHOR, [TWIN, AUTHOR], [TWIN, ANN, AUTHOR, BOB, CEM, dee, eve])

    assert people == [
        (AUTHOR, AskedAs.AUTHOR),
        (TWIN, AskedAs.DUPLICATE_AUTHOR),
        (ANN, AskedAs.SUPPORTER),
        (BOB, AskedAs.SUPPORTER),
        (CEM, AskedAs.SUPPORTER),
    ]


@given(
    answers=st.permutations([AUTHOR, TWIN, ANN, BOB, CEM]),
    satisfied=st.lists(st.sampled_from([True, False, None]), min_size=5, max_size=5),
)
def test_every_round_settles_once_all_deadlines_came(
    answers: list[UUID], satisfied: list[bool | None]
) -> None:
    round_, settled = everybody(), 0
    for who, how in zip(answers, satisfied, strict=True):
        if how is not None:
            round_, decision = answered(round_, who, how)
            settled += outcome(decision) is not None
    for who in (AUTHOR, TWIN, ANN, BOB, CEM):
        round_, decision = lapsed(round_, who)
        settled += outcome(decision) is not None

    assert settled == 1
    assert round_.suggestion.status in (Status.VERIFIED, Status.REOPENED, Status.UNCONFIRMED)


def question(at: datetime, zone: str, quiet: QuietHours = QUIET) -> datetime:
    round_ = begun(planned(AUTHOR), invited(AUTHOR), at=at)
    return asked(
        round_.implementation, Invitee(AUTHOR, AskedAs.AUTHOR, True, (zone,), 1), quiet
    ).starts_at


@pytest.mark.parametrize(
    ("at", "zone", "starts"),
    [
        (NOON, "Europe/Berlin", NOON),
        (
            datetime(2026, 3, 4, 20, tzinfo=UTC),
            "Europe/Berlin",
            datetime(2026, 3, 5, 7, tzinfo=UTC),
        ),
        (datetime(2026, 3, 4, 6, tzinfo=UTC), "Europe/Berlin", datetime(2026, 3, 4, 7, tzinfo=UTC)),
        (NOON, "Asia/Tokyo", datetime(2026, 3, 4, 23, tzinfo=UTC)),
        (NOON, "Atlantis/Nowhere", NOON),
    ],
)
def test_the_deadline_starts_at_the_first_instant_outside_quiet_hours(
    at: datetime, zone: str, starts: datetime
) -> None:
    assert question(at, zone) == starts


def test_quiet_hours_end_at_the_first_instant_on_both_clock_changes() -> None:
    berlin, nap = ZoneInfo("Europe/Berlin"), QuietHours(time(1), time(2, 30))

    spring = nap.first_decent(datetime(2026, 3, 29, 0, 30, tzinfo=UTC), berlin)
    autumn = nap.first_decent(datetime(2026, 10, 25, 0, 10, tzinfo=UTC), berlin)

    assert spring == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert autumn == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(
    minutes=st.integers(0, 366 * 24 * 60),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"]),
)
def test_the_start_is_never_quiet_and_never_more_than_a_night_away(minutes: int, zone: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    starts = QUIET.first_decent(at, ZoneInfo(zone))
    local = starts.astimezone(ZoneInfo(zone)).time()

    assert time(8) <= local < time(21)
    assert timedelta(0) <= starts - at <= timedelta(hours=12)


def test_a_request_says_what_changed_and_until_when() -> None:
    item = planned(AUTHOR)
    decision = rounds.implement(
        item,
        cause(),
        What(what_changed="New lights", see_it_at="in your next order", release="2.1"),
        implementation_id=uuid4(),
        duplicate_author_ids=[],
        invitees=invited(AUTHOR),
        quiet=QUIET,
    )

    body = next(d.body for d in decision.drafts if isinstance(d.body, LookAgainRequested))
    assert (body.label, body.what_changed) == ("Lights", "New lights")
    assert body.due_at == NOON + 14 * DAY
