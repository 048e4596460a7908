"""Makes closed JSON Schemas of custom resource definitions, to be committed.

An API server drops or keeps what a definition does not name; a check must refuse it, or a typo in
an optional field is silence. Descriptions go, for they are most of a definition.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["SCHEMAS", "closed", "main", "path_of"]

SCHEMAS: Final = Path(__file__).resolve().parents[2] / "schemas"
_KEPT: Final = (
    "type",
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "required",
    "oneOf",
    "anyOf",
    "allOf",
    "not",
)


def path_of(api_version: str, kind: str) -> Path:
    """Where the schema of that kind of resource is kept."""
    group, _, version = api_version.partition("/")
    return SCHEMAS / f"{group}_{version}_{kind}.json"


def closed(node: dict[str, Any]) -> dict[str, Any]:
    """The same schema without descriptions, refusing what an object's definition does not name."""
    result: dict[str, Any] = {key: node[key] for key in _KEPT if key in node}
    if node.get("x-kubernetes-int-or-string"):
        result = {"type": ["integer", "string"]}
    if "properties" in node:
        result["properties"] = {name: closed(child) for name, child in node["properties"].items()}
    additional = node.get("additionalProperties")
    if isinstance(additional, dict):
        result["additionalProperties"] = closed(additional)
    elif "properties" in node and not node.get("x-kubernetes-preserve-unknown-fields"):
        result["additionalProperties"] = False
    if isinstance(node.get("items"), dict):
        result["items"] = closed(node["items"])
    if node.get("nullable") and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    return result


def _schemas(definition: dict[str, Any]) -> Iterable[tuple[Path, dict[str, Any]]]:
    group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"]
    for version in definition["spec"]["versions"]:
        if version.get("deprecated") or not version["served"]:
            continue
        schema = closed(version["schema"]["openAPIV3Schema"])
        schema["properties"] |= {
            "apiVersion": {"const": f"{group}/{version['name']}"},
            "kind": {"const": kind},
            "metadata": {"type": "object"},
        }
        schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
        yield path_of(f"{group}/{version['name']}", kind), schema


def main(paths: Iterable[str]) -> int:
    """Write the schemas of the definitions in these files."""
    for path in paths:
        for definition in yaml.safe_load_all(Path(path).read_text()):
            for target, schema in _schemas(definition):
                target.write_text(json.dumps(schema, separators=(",", ":")) + "\n")
                sys.stdout.write(f"{target.name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
