"""The audit of the Kafka log: every promise re-derived from what was published, by rule."""

from coterie_local.audit.auditor import Auditor, audit, audit_kafka
from coterie_local.audit.registry import RULES, Rule
from coterie_local.audit.report import Report, Violation

__all__ = ["RULES", "Auditor", "Report", "Rule", "Violation", "audit", "audit_kafka"]
