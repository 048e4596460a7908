"""The audit as a fold: records in, in any order across topics, one report out.

It knows no service's database and no clock. What it says depends on the set of records alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from coterie_local.audit.facts import Log
from coterie_local.audit.registry import RULES, Rule
from coterie_local.audit.report import Report, RuleReport, Violation
from coterie_local.log import LogReader, Record

__all__ = ["Auditor", "audit", "audit_kafka"]


class Auditor:
    """`finish` judges what was observed so far and may be called again after more."""

    def __init__(self, rules: Iterable[Rule] = RULES) -> None:
        self._rules = tuple(rules)
        self._records: list[Record] = []

    def observe(self, record: Record) -> None:
        self._records.append(record)

    def finish(self, beginnings: Mapping[tuple[str, int], int] | None = None) -> Report:
        """`beginnings` tells each partition's first offset, for partitions that hold nothing."""
        log = Log(self._records, beginnings)
        return Report(
            tuple(_apply(rule, log) for rule in self._rules),
            events=len(log.facts),
            repeats=len(log.deliveries) - len(log.facts),
            foreign=log.foreign,
        )


def audit(records: Iterable[Record]) -> Report:
    """The report on a recorded log."""
    auditor = Auditor()
    for record in records:
        auditor.observe(record)
    return auditor.finish()


async def audit_kafka(
    bootstrap: str, follow_until: Callable[[], Awaitable[bool]] | None = None
) -> Report:
    """The report on a cluster's log up to now, or, while events flow, up to `follow_until`.

    Raises aiokafka's `KafkaError` where the cluster cannot be reached.
    """
    auditor = Auditor()
    async with LogReader(bootstrap) as reader:
        async for record in reader.records(follow_until):
            auditor.observe(record)
        return auditor.finish(reader.beginnings)


def _apply(rule: Rule, log: Log) -> RuleReport:
    findings = list(rule.check(log))
    faults = sorted(
        (fault for fault in findings if fault is not None),
        key=lambda fault: (str(fault.event_id), fault.explanation),
    )
    return RuleReport(
        rule.name,
        rule.promise,
        rule.completeness,
        len(findings),
        tuple(Violation(rule.name, fault.event_id, fault.explanation) for fault in faults),
    )
