"""Overlays are held to closed schemas, and what the contracts imply is never written by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.kubernetes.tools import check, generate, kustomize
from tests.deploy.conftest import OVERLAYS, Overlay

Break = Callable[[Any], None]


def test_every_overlay_is_valid(overlay: Overlay) -> None:
    faults = {
        f"{resource['kind']} {resource['metadata']['name']}": faults
        for resource in overlay.resources
        if (faults := check.faults_of(resource))
    }
    assert faults == {}
    assert len(overlay.resources) > 100


def test_every_overlay_is_looked_at() -> None:
    assert tuple(sorted(path.name for path in kustomize.OVERLAYS.iterdir())) == OVERLAYS


def a_typo(resource: Any) -> None:
    resource["spec"]["replicass"] = 1


def a_word_for_a_number(resource: Any) -> None:
    spec = resource["spec"]
    field = next(name for name, value in spec.items() if isinstance(value, int))
    spec[field] = "many"


def a_kind_that_nobody_knows(resource: Any) -> None:
    resource["kind"] = "Nothing"


@pytest.mark.parametrize(
    "kind", ["Deployment", "KafkaTopic", "KafkaNodePool", "ScaledObject", "Cluster"]
)
@pytest.mark.parametrize("break_", [a_typo, a_word_for_a_number, a_kind_that_nobody_knows])
def test_a_fault_is_found_in_every_kind(overlay: Overlay, kind: str, break_: Break) -> None:
    if kind == "ScaledObject" and overlay.name == "small":
        assert overlay.of(kind) == {}
        return
    resource: Mapping[str, Any] = next(iter(overlay.of(kind).values()))
    broken = copy.deepcopy(dict(resource))
    break_(broken)
    assert check.faults_of(resource) == []
    assert check.faults_of(broken) != []


def test_the_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_an_outdated_file_is_named_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in generate.documents():
        (tmp_path / "components" / name).parent.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(generate, "KUBERNETES", tmp_path)
    assert generate.main(["--check"]) == 1
    assert "components/strimzi/users.yaml" in capsys.readouterr().err
    assert list(tmp_path.rglob("*.yaml")) == []
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
