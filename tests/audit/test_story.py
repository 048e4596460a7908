"""A story tells one suggestion from the first word to the thanks, and nobody's name."""

from __future__ import annotations

import random

import pytest

from coterie_contracts.feedback import FeedbackMerged, FeedbackSubmitted
from coterie_local.story import NoStory, story, tell

from .builder import named
from .season import Season


@pytest.fixture(scope="module")
def season() -> Season:
    season = Season()
    season.play()
    return season


def test_the_story_goes_from_the_first_word_to_the_thanks(season: Season) -> None:
    lines = story(season.records, season.feedback_id)
    ana = season.member_id("ana").hex[:6]
    dua = season.member_id("dua").hex[:6]
    told = [
        ("feedback", f"Member {ana} made a suggestion."),
        ("feedback", f"Member {dua} really wants this too."),
        ("feedback", "The team took it up and called it “Filter that does not drip”."),
        ("feedback", "It was built: A new gasket. To be seen: in your next order."),
        ("feedback", f"Member {ana} was asked to look again by 11 Feb."),
        ("notifications", f"Member {ana} was told (look again)."),
        ("feedback", f"Member {ana} looked again: it is good now."),
        ("feedback", f"It is there and does what was wanted, says member {ana}."),
        ("recognition", f"The Coffee card for member {ana} was approved, 5.00 USD."),
        ("notifications", f"Member {ana} was told (reward approved)."),
        ("recognition", f"Member {ana} took the Coffee card."),
    ]
    said = [(line.service, line.text) for line in lines]
    assert [one for one in said if one in told] == told
    assert [line.at for line in lines] == sorted(line.at for line in lines)


def test_the_story_is_the_same_in_whatever_order_the_log_arrives(season: Season) -> None:
    shuffled = list(season.records)
    random.Random(7).shuffle(shuffled)
    assert story(shuffled, season.feedback_id) == story(season.records, season.feedback_id)


def test_the_story_names_nobody_who_rated(season: Season) -> None:
    rated = [line for line in story(season.records, season.feedback_id) if "helped" in line.text]
    assert [line.text for line in rated] == ["Somebody said how much it helped: 0.70 of 1."]


def test_other_suggestions_are_other_stories() -> None:
    season = Season()
    season.play()
    before = story(season.records, season.feedback_id)
    other = {
        "feedback_id": named("feedback", "other"),
        "community_id": season.community_id,
        "author_id": season.member_id("eli"),
        "objective_id": None,
    }
    season.publish(other["feedback_id"], FeedbackSubmitted(**other))
    assert story(season.records, season.feedback_id) == before
    season.publish(other["feedback_id"], FeedbackMerged(root_id=season.feedback_id, **other))
    eli = season.member_id("eli").hex[:6]
    joined = [line.text for line in story(season.records, season.feedback_id)]
    assert f"Member {eli} had wished for the same: the two became one." in joined


def test_a_suggestion_that_the_log_does_not_know_has_no_story(season: Season) -> None:
    with pytest.raises(NoStory):
        story(season.records, named("feedback", "never"))


def test_a_story_reads_as_a_line_an_event(season: Season) -> None:
    lines = story(season.records, season.feedback_id)
    text = tell(lines)
    assert len(text.splitlines()) == len(lines)
    assert text.startswith("08 Jan 2026 09:21  feedback       Member ")
