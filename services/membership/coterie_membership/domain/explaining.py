"""What entry requirements and verdicts say to people. What a right answer is, only staff read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from coterie_contracts.member import RequirementVerdict, Verdict
from coterie_contracts.model import as_written
from coterie_membership.domain.requirements import (
    Agreement,
    AllOf,
    AnyOf,
    Invitation,
    ManagerApproval,
    Purchase,
    Questionnaire,
    Requirement,
    groups,
    leaves,
)

__all__ = ["explained", "shown"]

_STATES: Final = {
    Verdict.MET: "is there",
    Verdict.WAIVED: "was waived for you",
    Verdict.UNMET: "is missing",
    Verdict.UNKNOWN: "is still open",
}


def explained(tree: Requirement, verdicts: tuple[RequirementVerdict, ...]) -> list[str]:
    """Why each verdict is what it is, in words that an applicant reads, in their order."""
    wanted, enough = dict(leaves(tree)), _enough(tree)
    return [
        f"{_what(wanted[path])}: {_STATES[one.verdict]}{enough.get(path, '')}."
        for one in verdicts
        for path in [one.requirement]
    ]


def shown(tree: Requirement, *, to_staff: bool) -> dict[str, Any]:
    """A tree as JSON; without the answers that count as right, unless it is shown to staff."""
    dumped: dict[str, Any] = tree.model_dump(mode="json")
    return dumped if to_staff else _without_answers(dumped)


def _without_answers(node: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(node)
    if "of" in plain:
        plain["of"] = [_without_answers(child) for child in plain["of"]]
    if "questions" in plain:
        plain["questions"] = [{"text": question["text"]} for question in plain["questions"]]
    return plain


def _enough(tree: Requirement) -> dict[str, str]:
    """By path, how many of a group are enough where not all of them are needed."""
    hints: dict[str, str] = {}
    for path, group in groups(tree):
        if isinstance(group, AllOf) or len(group.of) == 1:
            continue
        needed = 1 if isinstance(group, AnyOf) else group.n
        verb = "is" if needed == 1 else "are"
        hint = f"; {needed} of {len(group.of)} {verb} enough"
        hints |= {f"{path}/{position}": hint for position in range(len(group.of))}
    return hints


def _what(leaf: Requirement) -> str:
    match leaf:
        case Purchase():
            return _purchase(leaf)
        case Questionnaire():
            asked = len(leaf.questions)
            right = leaf.pass_rule or asked
            return f"Right answers to {right} of {asked} questions" if asked > 1 else "Your answer"
        case Agreement():
            return f"Agreeing to {leaf.document} (version {leaf.version})"
        case Invitation():
            by = {"manager": " by a manager", "member": " by a member", "any": ""}[leaf.issuer]
            return f"An invitation{by}"
        case ManagerApproval():
            return "Approval by " + ("a manager" if leaf.n == 1 else f"{leaf.n} managers")
        case _:
            return leaf.kind


def _purchase(leaf: Purchase) -> str:
    orders = "1 order" if leaf.min_orders == 1 else f"{leaf.min_orders} orders"
    worth = ""
    if leaf.min_amount:
        worth = f" worth {as_written(leaf.min_amount, leaf.currency or '')} {leaf.currency} in all"
    return f"At least {orders}{worth} within {leaf.within_days} days"
