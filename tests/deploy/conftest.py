"""The overlays, rendered once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from deploy.kubernetes.tools.kustomize import Missing, fetch, render
from tests.conftest import want

OVERLAYS: Final = ("production", "small")


@dataclass(frozen=True)
class Overlay:
    """What an overlay renders to; `of` looks resources up by kind and name."""

    name: str
    resources: Sequence[Mapping[str, Any]]

    def of(self, kind: str) -> dict[str, Mapping[str, Any]]:
        found: defaultdict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
        for resource in self.resources:
            found[resource["kind"]][resource["metadata"]["name"]] = resource
        return found[kind]

    def settings(self) -> dict[str, str]:
        """The one ConfigMap's data."""
        ((_, config),) = self.of("ConfigMap").items()
        return dict(config["data"])

    def pods(self) -> dict[str, Mapping[str, Any]]:
        """The pod templates of all workloads, by the workload's name."""
        workloads = self.of("Deployment") | self.of("Job")
        return {name: workload["spec"]["template"] for name, workload in workloads.items()}


@pytest.fixture(scope="session")
def _kustomize() -> None:
    try:
        fetch()
    except Missing as missing:
        want(str(missing))


@pytest.fixture(scope="session", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, _kustomize: None) -> Overlay:
    return Overlay(request.param, render(request.param))
