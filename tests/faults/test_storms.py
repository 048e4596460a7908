"""A few storms and a few broken variants, the same that `make faults` and its selftest run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from coterie_replay.brokers.apache import missing_parts
from tests.conftest import want
from tests.faults.__main__ import possible, prepared_ground
from tests.faults.canonical import Canonical
from tests.faults.storm.broken import VARIANTS
from tests.faults.storm.director import storm, undisturbed
from tests.faults.storm.ground import Ground
from tests.faults.storm.plan import Plan, directed

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

STORMS: Final = (
    directed(1, ("kafka:kill", "crash:commit", "poison")),
    directed(14, ("postgres:full", "crash:relay", "parked")),
)
CAUGHT: Final = ("inbox-apart",)


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """What all storms of this run begin with."""
    if (missing := missing_parts()) is not None:
        want(f"Apache Kafka: {missing}")
    with prepared_ground() as prepared:
        yield prepared


@pytest.fixture(scope="module")
def expected(ground: Ground) -> Canonical:
    """The tables of the play when nobody disturbs it."""
    return undisturbed(ground, ground.folder / "undisturbed")


@pytest.mark.parametrize("plan", STORMS, ids=lambda plan: f"seed {plan.seed}")
def test_a_storm_loses_and_repeats_nothing(plan: Plan, ground: Ground, expected: Canonical) -> None:
    plan = possible(plan)
    outcome = storm(ground, ground.folder / f"seed-{plan.seed}", plan, expected)
    assert outcome.violations == []
    assert outcome.unproven == []
    assert sorted(outcome.fired.elements()) == sorted(fault.kind for fault in plan.faults)


@pytest.mark.parametrize("name", CAUGHT)
def test_a_broken_variant_is_caught(name: str, ground: Ground, expected: Canonical) -> None:
    variant = VARIANTS[name]
    outcome = storm(ground, ground.folder / name, directed(1, variant.faults), expected, name)
    assert variant.noticed(outcome.violations) != []
