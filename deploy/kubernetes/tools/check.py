"""Renders every overlay and holds each resource to a closed schema: a typo is a fault.

Kubernetes' own kinds by `kubernetes-validate`, the operators' by the schemas in `deploy/schemas`. A
kind without a schema is a fault as well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import kubernetes_validate
from jsonschema import Draft202012Validator

from deploy.kubernetes.tools.kustomize import OVERLAYS, Missing, render
from deploy.kubernetes.tools.schemas import path_of

__all__ = ["KUBERNETES", "faults_of", "main"]

KUBERNETES: Final = "1.37"
_OWN_GROUPS: Final = (".k8s.io",)


def faults_of(resource: Mapping[str, Any]) -> list[str]:
    """What the schema of a resource says against it; empty is valid."""
    api_version = str(resource.get("apiVersion", ""))
    group = api_version.rpartition("/")[0]
    if "." not in group or group.endswith(_OWN_GROUPS):
        return _faults_of_own(resource)
    if (validator := _validator(api_version, str(resource.get("kind")))) is None:
        return ["its kind has no schema in deploy/schemas"]
    return [
        f"{'.'.join(map(str, error.absolute_path)) or 'it'}: {error.message}"
        for error in validator.iter_errors(resource)
    ]


def main() -> int:
    """Check all overlays; prints faults, one a line, and a line for each overlay."""
    faults = 0
    for overlay in sorted(path.name for path in OVERLAYS.iterdir() if path.is_dir()):
        resources = render(overlay)
        for resource in resources:
            for fault in faults_of(resource):
                faults += 1
                name = f"{resource.get('kind')} {resource['metadata']['name']}"
                sys.stderr.write(f"{overlay}: {name}: {fault}\n")
        sys.stdout.write(f"{overlay}: {len(resources)} resources held to their schemas\n")
    return int(faults > 0)


def _faults_of_own(resource: Mapping[str, Any]) -> list[str]:
    try:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{error.path}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [error.message]
    return []


@cache
def _validator(api_version: str, kind: str) -> Draft202012Validator | None:
    path = path_of(api_version, kind)
    return Draft202012Validator(json.loads(path.read_text())) if path.exists() else None


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (Missing, ValueError) as fault:
        sys.stderr.write(f"{fault}\n")
        raise SystemExit(2) from None
