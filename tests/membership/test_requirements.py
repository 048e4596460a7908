"""The tree of requirements: three-valued, monotone, and explained."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coterie_contracts.member import Verdict
from coterie_membership.domain.explaining import explained, shown
from coterie_membership.domain.requirements import (
    Agreement,
    AllOf,
    AnyOf,
    AtLeast,
    Dossier,
    Invitation,
    ManagerApproval,
    Purchase,
    Question,
    Questionnaire,
    Requirement,
    StaffVerdict,
    default_requirements,
    faults,
    judge,
    leaves,
)

AT = datetime(2026, 5, 1, tzinfo=UTC)
RULES = Agreement(document="house-rules")


def trees() -> st.SearchStrategy[Requirement]:
    some: list[Requirement] = [RULES, Invitation(), ManagerApproval(), Purchase()]
    leaf = st.sampled_from(some)
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda of: AllOf(of=tuple(of))),
            st.lists(inner, min_size=1, max_size=3).map(lambda of: AnyOf(of=tuple(of))),
            st.lists(inner, min_size=1, max_size=3).map(lambda of: AtLeast(n=1, of=tuple(of))),
        ),
        max_leaves=6,
    )


def staff(verdict: Verdict, found_at: datetime = AT) -> StaffVerdict:
    return StaffVerdict(verdict=verdict, evidence="order 17", found_at=found_at)


def test_the_default_needs_house_rules_and_an_invitation_or_an_approval() -> None:
    tree = default_requirements()
    agreed = {"house-rules": "1"}

    assert judge(tree, Dossier(), at=AT).outcome is Verdict.UNMET
    assert judge(tree, Dossier(agreements=agreed), at=AT).outcome is Verdict.UNKNOWN
    assert judge(tree, Dossier(agreements=agreed, invited_by="manager"), at=AT).satisfied
    assert judge(tree, Dossier(agreements=agreed, approvals=("m",)), at=AT).satisfied


@given(trees())
def test_waiving_every_leaf_satisfies_any_tree(tree: Requirement) -> None:
    waived = {path: staff(Verdict.WAIVED) for path, _ in leaves(tree)}

    assert judge(tree, Dossier(verdicts=waived), at=AT).satisfied


@given(trees(), st.data())
def test_a_better_verdict_never_makes_an_application_worse(
    tree: Requirement, data: st.DataObject
) -> None:
    order = [Verdict.UNMET, Verdict.UNKNOWN, Verdict.MET]
    paths = [path for path, _ in leaves(tree)]
    before = {path: data.draw(st.sampled_from(order)) for path in paths}
    better = data.draw(st.sampled_from(paths))
    after = {**before, better: Verdict.MET}

    def outcome(verdicts: dict[str, Verdict]) -> int:
        found = {path: staff(verdict) for path, verdict in verdicts.items()}
        return order.index(judge(tree, Dossier(verdicts=found), at=AT).outcome)

    assert outcome(after) >= outcome(before)


def test_evidence_with_a_window_counts_only_inside_it() -> None:
    tree = Purchase(within_days=30)
    dossier = Dossier(verdicts={"root": staff(Verdict.MET)})

    assert judge(tree, dossier, at=AT + timedelta(days=30)).satisfied
    assert judge(tree, dossier, at=AT + timedelta(days=31)).outcome is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("answers", "rule", "met"),
    [
        ({"a?": "yes", "b?": "anything"}, None, True),
        ({"a?": " YES ", "b?": "x"}, None, True),
        ({"a?": "no", "b?": "x"}, None, False),
        ({"a?": "no", "b?": "x"}, 1, True),
        ({"a?": "no", "b?": "  "}, 1, False),
    ],
)
def test_a_questionnaire_passes_by_its_rule(
    answers: dict[str, str], rule: int | None, met: bool
) -> None:
    questions = (Question(text="a?", accepted=("yes",)), Question(text="b?"))
    tree = Questionnaire(questions=questions, pass_rule=rule)

    assert judge(tree, Dossier(answers=answers), at=AT).satisfied is met


def test_the_same_manager_approves_once() -> None:
    tree = ManagerApproval(n=2)

    assert not judge(tree, Dossier(approvals=("m", "m")), at=AT).satisfied
    assert judge(tree, Dossier(approvals=("m", "n")), at=AT).satisfied


def test_an_agreement_to_another_version_is_none() -> None:
    tree = Agreement(document="house-rules", version="2")

    assert not judge(tree, Dossier(agreements={"house-rules": "1"}), at=AT).satisfied


@given(trees())
def test_every_verdict_is_explained(tree: Requirement) -> None:
    found = judge(tree, Dossier(), at=AT).leaves

    said = explained(tree, found)

    assert len(said) == len(found)
    assert all(one.endswith(".") and ": is " in one for one in said)


def test_an_explanation_says_what_is_asked_for_and_how_much_of_it_is_enough() -> None:
    questions = (Question(text="a?", accepted=("yes",)), Question(text="b?"))
    tree = AllOf(
        of=(
            Purchase(min_orders=2, min_amount=5_000, currency="EUR", within_days=90),
            Agreement(document="house-rules", version="2"),
            AnyOf(of=(Invitation(issuer="manager"), ManagerApproval(n=2))),
            AtLeast(n=2, of=(Questionnaire(questions=questions), Purchase(), RULES)),
        )
    )
    dossier = Dossier(agreements={"house-rules": "2"}, verdicts={"root/3/1": staff(Verdict.WAIVED)})

    said = explained(tree, judge(tree, dossier, at=AT).leaves)

    assert said == [
        "At least 2 orders worth 50.00 EUR in all within 90 days: is still open.",
        "Agreeing to house-rules (version 2): is there.",
        "An invitation by a manager: is missing; 1 of 2 is enough.",
        "Approval by 2 managers: is still open; 1 of 2 is enough.",
        "Right answers to 2 of 2 questions: is missing; 2 of 3 are enough.",
        "At least 1 order within 365 days: was waived for you; 2 of 3 are enough.",
        "Agreeing to house-rules (version 1): is missing; 2 of 3 are enough.",
    ]


def test_right_answers_are_shown_to_staff_alone() -> None:
    questions = (Question(text="a?", accepted=("yes",)), Question(text="b?"))
    tree = AllOf(of=(RULES, AnyOf(of=(Questionnaire(questions=questions, pass_rule=1),))))

    assert "yes" in str(shown(tree, to_staff=True))
    public = shown(tree, to_staff=False)
    assert "yes" not in str(public)
    (asked,) = public["of"][1]["of"]
    assert asked == {
        "kind": "questionnaire",
        "questions": [{"text": "a?"}, {"text": "b?"}],
        "pass_rule": 1,
    }


def test_space_around_a_question_or_a_document_keeps_nobody_out() -> None:
    tree = AllOf(
        of=(
            Questionnaire(questions=(Question(text=" why? ", accepted=(" so ",)),)),
            Agreement(document=" rules ", version=" 1 "),
        )
    )

    assert judge(tree, Dossier(answers={"why?": "so"}, agreements={"rules": "1"}), at=AT).satisfied


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        (AtLeast(n=3, of=(RULES, RULES)), "root asks for 3 of 2"),
        (
            Questionnaire(questions=(Question(text="a?"),), pass_rule=2),
            "root asks for 2 right of 1",
        ),
        (AnyOf(of=(Purchase(min_amount=1),)), "root/0 asks for an amount of no currency"),
    ],
)
def test_a_tree_that_asks_for_more_than_it_has_is_refused(tree: Requirement, fault: str) -> None:
    assert faults(tree) == [fault]
    assert faults(default_requirements()) == []
