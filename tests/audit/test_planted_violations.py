"""Each rule finds the one violation planted for it, and names it by rule and event."""

from __future__ import annotations

import pytest

from coterie_local.audit import RULES, audit

from .planters import PLANTERS
from .season import clean_log


def test_every_rule_has_a_planter() -> None:
    assert set(PLANTERS) == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", PLANTERS)
def test_a_planted_violation_is_named_by_its_rule_and_event(rule: str) -> None:
    records = clean_log()
    assert audit(records).ok(require_facts=True)
    planted = PLANTERS[rule](records)
    report = audit(planted.records)
    assert [(one.rule, one.event_id) for one in report.violations] == [
        (rule, planted.event_id)
    ] * len(report.violations)
    assert report.violations
    assert not report.ok()


@pytest.mark.parametrize("rule", [rule.name for rule in RULES if rule.completeness])
def test_a_log_with_a_hole_ends_incomplete_with_an_error(rule: str) -> None:
    planted = PLANTERS[rule](clean_log())
    report = audit(planted.records)
    assert not report.complete
    assert report.verdict == "error: log incomplete"
