"""`python -m tests.faults`: storms by seed, or the proof that each broken variant is caught.

Exit code 1: a violation, a storm that does not count, or a variant that nobody caught.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from coterie_replay.brokers.apache import missing_parts
from tests.faults.canonical import Canonical
from tests.faults.storm.broken import VARIANTS
from tests.faults.storm.director import Outcome, storm, undisturbed
from tests.faults.storm.disk import missing_disk
from tests.faults.storm.forked import ROOT, Nursery
from tests.faults.storm.ground import Ground, prepared
from tests.faults.storm.plan import KINDS, Plan, directed, plan_of

__all__ = ["possible", "prepared_ground"]

_CAUGHT_WITHIN: Final = 20
_FULL_DISK: Final = "postgres:full"


@contextmanager
def prepared_ground() -> Iterator[Ground]:
    """A ground in a folder that PostgreSQL's own user may read, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="coterie-storm-") as name, Nursery() as nursery:
        folder = Path(name)
        folder.chmod(0o755)
        yield prepared(folder, nursery)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--seeds", type=int, default=20, help="seeds 1 to N (default: 20)")
    parser.add_argument("--kinds", help="a directed storm of these kinds, comma-separated")
    parser.add_argument("--selftest", action="store_true", help="try the broken variants")
    parser.add_argument("--variant", choices=sorted(VARIANTS), help="only this broken variant")
    parser.add_argument("--keep", type=Path, help="keep logs and journals of bad storms here")
    asked = parser.parse_args(arguments)
    if (missing := missing_parts()) is not None:
        sys.stderr.write(f"make faults: {missing}\n")
        return 1
    unknown = [kind for kind in _kinds(asked.kinds) if kind not in KINDS]
    if unknown:
        known = ", ".join(KINDS)
        sys.stderr.write(f"make faults: no kind {', '.join(unknown)}; there are {known}\n")
        return 1
    if asked.selftest or asked.variant:
        seeds = range(1, _CAUGHT_WITHIN + 1) if asked.seed is None else [asked.seed]
        return _selftest([asked.variant] if asked.variant else list(VARIANTS), seeds)
    return _storms(asked)


def _storms(asked: argparse.Namespace) -> int:
    seeds = [asked.seed] if asked.seed is not None else list(range(1, asked.seeds + 1))
    kinds = _kinds(asked.kinds)
    plans = [directed(seed, kinds) if kinds else plan_of(seed) for seed in seeds]
    outcomes: list[Outcome] = []
    with prepared_ground() as ground:
        expected = undisturbed(ground, ground.folder / "undisturbed")
        outcomes += (_told(ground, possible(plan), expected, keep=asked.keep) for plan in plans)
    report = report_of(outcomes)
    path = ROOT / "build" / "faults.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")
    _say(_table(report))
    bad = [one for one in outcomes if one.violations or not one.counts]
    return 1 if bad else 0


def _told(ground: Ground, plan: Plan, expected: Canonical | None, *, keep: Path | None) -> Outcome:
    _say(f"seed {plan.seed} at {_commit()}")
    for fault in plan.faults:
        _say(f"  {fault}")
    folder = ground.folder / f"seed-{plan.seed}-{time.monotonic_ns()}"
    outcome = storm(ground, folder, plan, expected)
    verdict = "clean" if not outcome.violations else f"{len(outcome.violations)} violations"
    verdict += "" if outcome.counts else ", and does not count"
    done = f"{outcome.commands} commands, {outcome.events} records, {outcome.took_s:.0f} s"
    _say(f"  {done}: {verdict}")
    for line in (*outcome.violations, *outcome.unproven):
        _say(f"  ! {line}")
    if keep is not None and (outcome.violations or not outcome.counts):
        to = keep / folder.name
        for part in ("logs", "journals"):
            (to / part).mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", f"{folder / part}/.", str(to / part)], check=False)
        for log in ("kafka/broker.log", "postgres/server.log"):
            subprocess.run(["cp", str(folder / log), str(to)], check=False)
    subprocess.run(["rm", "-rf", str(folder)], check=False)
    return outcome


def _selftest(names: Sequence[str], seeds: Sequence[int]) -> int:
    uncaught = []
    with prepared_ground() as ground:
        expected = undisturbed(ground, ground.folder / "undisturbed")
        for name in names:
            variant = VARIANTS[name]
            for seed in seeds:
                folder = ground.folder / f"{name}-{seed}"
                outcome = storm(ground, folder, directed(seed, variant.faults), expected, name)
                subprocess.run(["rm", "-rf", str(folder)], check=False)
                if noticed := variant.noticed(outcome.violations):
                    caught = f"caught by seed {seed}: {noticed[0].splitlines()[0][:160]}"
                    break
            else:
                caught = f"not caught by seeds {seeds[0]} to {seeds[-1]}"
                uncaught.append(name)
            _say(f"{name:<20} {variant.broken:<46} {caught}")
    return 1 if uncaught else 0


def report_of(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """What `build/faults.json` holds."""
    fired = sum((outcome.fired for outcome in outcomes if outcome.counts), Counter[str]())
    return {
        "commit": _commit(),
        "seeds": [outcome.plan.seed for outcome in outcomes if outcome.counts],
        "not_counted": [
            {"seed": outcome.plan.seed, "why": outcome.unproven}
            for outcome in outcomes
            if not outcome.counts
        ],
        "faults": dict(sorted(fired.items())),
        "kinds_without_a_fault": sorted(set(KINDS) - set(fired)),
        "commands": sum(outcome.commands for outcome in outcomes),
        "events": sum(outcome.events for outcome in outcomes),
        "seconds": round(sum(outcome.took_s for outcome in outcomes)),
        "violations": [
            {"seed": outcome.plan.seed, "what": violation}
            for outcome in outcomes
            for violation in outcome.violations
        ],
    }


def _table(report: dict[str, object]) -> str:
    faults = report["faults"]
    assert isinstance(faults, dict)
    lines = [f"  {kind:<22} {count:>3}" for kind, count in faults.items()]
    counted, violations = report["seeds"], report["violations"]
    assert isinstance(counted, list)
    assert isinstance(violations, list)
    last = (
        f"{len(counted)} storms count, {sum(faults.values())} faults, {report['commands']} "
        f"commands, {report['events']} records, {len(violations)} violations"
    )
    return "\n".join(["faults that fired:", *lines, last])


def possible(plan: Plan) -> Plan:
    """`plan` without what this machine cannot do, which is said aloud."""
    missing = missing_disk()
    if missing is None or all(fault.kind != _FULL_DISK for fault in plan.faults):
        return plan
    _say(f"without {_FULL_DISK}: {missing}")
    return replace(plan, faults=tuple(f for f in plan.faults if f.kind != _FULL_DISK))


def _kinds(text: str | None) -> list[str]:
    return [kind.strip() for kind in (text or "").split(",") if kind.strip()]


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "an unknown commit"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
