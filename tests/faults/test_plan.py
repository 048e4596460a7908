"""A seed stands for one storm, and enough seeds stand for every fault there is."""

from __future__ import annotations

import pytest

from tests.faults.storm.broken import VARIANTS
from tests.faults.storm.deeds import _DEEDS
from tests.faults.storm.plan import KINDS, directed, plan_of

MADE_BY_DEFAULT = 20


def test_a_seed_is_always_the_same_storm_and_another_seed_another() -> None:
    assert plan_of(7) == plan_of(7)
    assert len({plan_of(seed).faults for seed in range(50)}) == 50


def test_the_seeds_of_one_run_have_every_kind_more_than_once() -> None:
    dealt = [fault.kind for seed in range(1, MADE_BY_DEFAULT + 1) for fault in plan_of(seed).faults]
    assert {kind for kind in KINDS if dealt.count(kind) < 2} == set()


@pytest.mark.parametrize("seed", range(20))
def test_a_storm_has_different_faults_in_order_within_the_play(seed: int) -> None:
    faults = plan_of(seed).faults
    assert len({fault.kind for fault in faults}) == len(faults)
    assert list(faults) == sorted(faults, key=lambda fault: fault.before)
    for fault in faults:
        known = KINDS[fault.kind]
        assert known.within[0] <= fault.before < known.within[1]
        assert known.lasts_s[0] <= fault.lasts_s <= known.lasts_s[1]
        assert fault.target in known.targets


def test_every_kind_has_something_that_does_it() -> None:
    unknown = [kind for kind in KINDS if not {kind, kind.partition(":")[0]} & _DEEDS.keys()]
    assert unknown == []


def test_every_variant_names_faults_that_there_are() -> None:
    assert len(VARIANTS) == 10
    for variant in VARIANTS.values():
        assert set(variant.faults) <= KINDS.keys()
        assert directed(1, variant.faults).seed == 1
