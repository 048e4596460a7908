"""Entry requirements: a tree of leaves, each judged `met`, `unmet`, `unknown` or `waived`.

Three-valued: what is not known yet neither admits nor declines. A leaf is named by its path in
the tree, so a verdict stays attached to it under one requirements version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from coterie_contracts.member import RequirementVerdict, Verdict
from coterie_contracts.model import Currency

__all__ = [
    "Agreement",
    "AllOf",
    "AnyOf",
    "AtLeast",
    "Dossier",
    "Invitation",
    "Judgement",
    "ManagerApproval",
    "Purchase",
    "Question",
    "Questionnaire",
    "Requirement",
    "StaffVerdict",
    "default_requirements",
    "faults",
    "groups",
    "judge",
    "lacks_evidence",
    "leaves",
    "stands",
]

HOUSE_RULES = "house-rules"
MAX_LEAVES = 20
_MAX_DEPTH = 4


Count = Annotated[int, Field(ge=1)]


class _Leaf(BaseModel):
    """Texts are stripped as those of applicants are, which have to equal them."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Purchase(_Leaf):
    """Bought often or for enough within a time; staff bring the evidence."""

    kind: Literal["purchase"] = "purchase"
    min_orders: Count = 1
    min_amount: int = Field(default=0, ge=0, description="minor units of `currency`")
    currency: Currency | None = Field(default=None, description="needed with an amount")
    within_days: int = Field(default=365, ge=1, le=3_650)


class Question(_Leaf):
    text: str = Field(min_length=1, max_length=280)
    accepted: tuple[Annotated[str, Field(min_length=1, max_length=280)], ...] = Field(
        default=(), max_length=20, description="empty: any answer that is not empty"
    )


class Questionnaire(_Leaf):
    """Answers to questions; passes with `pass_rule` right ones (all by default)."""

    kind: Literal["questionnaire"] = "questionnaire"
    questions: tuple[Question, ...] = Field(min_length=1, max_length=10)
    pass_rule: Count | None = None


class Agreement(_Leaf):
    """Agrees to a document in a version."""

    kind: Literal["agreement"] = "agreement"
    document: str = Field(min_length=1, max_length=80)
    version: str = Field(default="1", min_length=1, max_length=20)


class Invitation(_Leaf):
    """Comes with an invitation of this community."""

    kind: Literal["invitation"] = "invitation"
    issuer: Literal["manager", "member", "any"] = "any"


class ManagerApproval(_Leaf):
    """Is approved by `n` different managers."""

    kind: Literal["manager_approval"] = "manager_approval"
    n: int = Field(default=1, ge=1, le=5)


class AllOf(_Leaf):
    kind: Literal["all_of"] = "all_of"
    of: tuple[Requirement, ...] = Field(min_length=1, max_length=10)


class AnyOf(_Leaf):
    kind: Literal["any_of"] = "any_of"
    of: tuple[Requirement, ...] = Field(min_length=1, max_length=10)


class AtLeast(_Leaf):
    kind: Literal["at_least"] = "at_least"
    n: Count
    of: tuple[Requirement, ...] = Field(min_length=1, max_length=10)


Requirement = Annotated[
    Purchase | Questionnaire | Agreement | Invitation | ManagerApproval | AllOf | AnyOf | AtLeast,
    Field(discriminator="kind"),
]
for _group in (AllOf, AnyOf, AtLeast):
    _group.model_rebuild()


class StaffVerdict(BaseModel):
    """What staff found out about one leaf, and when."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    evidence: str | None = None
    found_at: datetime


class Dossier(BaseModel):
    """All that is known of an applicant; `invited_by` is who issued the invitation, if any."""

    model_config = ConfigDict(frozen=True)

    answers: Mapping[str, str] = {}
    agreements: Mapping[str, str] = {}
    invited_by: Literal["manager", "member"] | None = None
    approvals: tuple[str, ...] = ()
    verdicts: Mapping[str, StaffVerdict] = {}


class Judgement(BaseModel):
    """The verdict on every leaf, and whether the tree is satisfied."""

    model_config = ConfigDict(frozen=True)

    outcome: Verdict
    leaves: tuple[RequirementVerdict, ...]

    @property
    def satisfied(self) -> bool:
        return self.outcome is Verdict.MET


def default_requirements() -> AllOf:
    """The rulebook's default: house rules, and an invitation or one manager's approval."""
    return AllOf(of=(Agreement(document=HOUSE_RULES), AnyOf(of=(Invitation(), ManagerApproval()))))


def leaves(tree: Requirement, path: str = "root") -> Iterator[tuple[str, Requirement]]:
    """Every leaf with its path, for example `root/1/0`."""
    if isinstance(tree, (AllOf, AnyOf, AtLeast)):
        for position, child in enumerate(tree.of):
            yield from leaves(child, f"{path}/{position}")
    else:
        yield path, tree


def depth(tree: Requirement) -> int:
    if isinstance(tree, (AllOf, AnyOf, AtLeast)):
        return 1 + max(depth(child) for child in tree.of)
    return 1


def faults(tree: Requirement) -> list[str]:
    """What is wrong with a tree, in words; empty if it can be used."""
    found = []
    if len(list(leaves(tree))) > MAX_LEAVES:
        found.append(f"more than {MAX_LEAVES} requirements")
    if depth(tree) > _MAX_DEPTH:
        found.append(f"nested deeper than {_MAX_DEPTH}")
    found += [
        f"{path} asks for {node.n} of {len(node.of)}"
        for path, node in groups(tree)
        if isinstance(node, AtLeast) and node.n > len(node.of)
    ]
    for path, leaf in leaves(tree):
        if isinstance(leaf, Questionnaire) and (leaf.pass_rule or 0) > len(leaf.questions):
            found.append(f"{path} asks for {leaf.pass_rule} right of {len(leaf.questions)}")
        if isinstance(leaf, Purchase) and leaf.min_amount and leaf.currency is None:
            found.append(f"{path} asks for an amount of no currency")
    return found


def groups(tree: Requirement, path: str = "root") -> Iterator[tuple[str, AllOf | AnyOf | AtLeast]]:
    """Every group with its path, outer ones first."""
    if isinstance(tree, (AllOf, AnyOf, AtLeast)):
        yield path, tree
        for position, child in enumerate(tree.of):
            yield from groups(child, f"{path}/{position}")


def lacks_evidence(tree: Requirement, dossier: Dossier, *, at: datetime) -> bool:
    """Whether it stays unknown even if every manager approved: then it hangs on evidence."""
    approved = {
        path: StaffVerdict(verdict=Verdict.WAIVED, found_at=at)
        for path, leaf in leaves(tree)
        if isinstance(leaf, ManagerApproval)
    }
    supposed = dossier.model_copy(update={"verdicts": {**dossier.verdicts, **approved}})
    return judge(tree, supposed, at=at).outcome is Verdict.UNKNOWN


def stands(tree: Requirement, dossier: Dossier, found: Mapping[str, StaffVerdict]) -> bool:
    """Whether all of `found` is recorded already and still inside its window."""
    wanted = dict(leaves(tree))
    return all(
        (known := dossier.verdicts.get(path)) is not None
        and (known.verdict, known.evidence) == (new.verdict, new.evidence)
        and _is_current(wanted[path], known, new.found_at)
        for path, new in found.items()
    )


def judge(tree: Requirement, dossier: Dossier, *, at: datetime) -> Judgement:
    """Judge an applicant at a time; evidence with a window counts only while it is inside."""
    found = {path: _leaf(leaf, path, dossier, at) for path, leaf in leaves(tree)}
    return Judgement(outcome=_outcome(tree, "root", found), leaves=tuple(found.values()))


def _leaf(leaf: Requirement, path: str, dossier: Dossier, at: datetime) -> RequirementVerdict:
    evidence = None
    staff = dossier.verdicts.get(path)
    if staff is not None and _is_current(leaf, staff, at):
        verdict, evidence = staff.verdict, staff.evidence
    else:
        verdict = _from_dossier(leaf, dossier)
    return RequirementVerdict(requirement=path, kind=leaf.kind, verdict=verdict, evidence=evidence)


def _is_current(leaf: Requirement, staff: StaffVerdict, at: datetime) -> bool:
    if staff.verdict is Verdict.WAIVED or not isinstance(leaf, Purchase):
        return True
    return at - staff.found_at <= timedelta(days=leaf.within_days)


def _from_dossier(leaf: Requirement, dossier: Dossier) -> Verdict:
    match leaf:
        case Agreement():
            agreed = dossier.agreements.get(leaf.document)
            return Verdict.MET if agreed == leaf.version else Verdict.UNMET
        case Questionnaire():
            return _answered(leaf, dossier)
        case Invitation():
            wanted = {"manager", "member"} if leaf.issuer == "any" else {leaf.issuer}
            return Verdict.MET if dossier.invited_by in wanted else Verdict.UNMET
        case ManagerApproval():
            enough = len(set(dossier.approvals)) >= leaf.n
            return Verdict.MET if enough else Verdict.UNKNOWN
        case _:
            return Verdict.UNKNOWN


def _answered(leaf: Questionnaire, dossier: Dossier) -> Verdict:
    right = 0
    for question in leaf.questions:
        answer = dossier.answers.get(question.text, "").strip()
        accepted = {text.casefold() for text in question.accepted}
        right += bool(answer) if not accepted else answer.casefold() in accepted
    wanted = leaf.pass_rule or len(leaf.questions)
    return Verdict.MET if right >= wanted else Verdict.UNMET


def _outcome(tree: Requirement, path: str, found: Mapping[str, RequirementVerdict]) -> Verdict:
    if not isinstance(tree, (AllOf, AnyOf, AtLeast)):
        verdict = found[path].verdict
        return Verdict.MET if verdict is Verdict.WAIVED else verdict
    below = [_outcome(child, f"{path}/{position}", found) for position, child in enumerate(tree.of)]
    met, unmet = below.count(Verdict.MET), below.count(Verdict.UNMET)
    wanted = {AllOf: len(below), AnyOf: 1}.get(type(tree), getattr(tree, "n", 1))
    if met >= wanted:
        return Verdict.MET
    return Verdict.UNMET if len(below) - unmet < wanted else Verdict.UNKNOWN
