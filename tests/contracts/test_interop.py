"""A reader in another language gets from the bytes what is in them, or an error that says why."""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

import pytest

from coterie_contracts.export import ROOT
from coterie_contracts.topics import TOPICS
from tests.contracts.conftest import INTEROP, Node

RECORD: Final = Path("feedback.implemented") / "v1" / "example.record.json"


def test_node_reads_every_golden_record_as_its_example_says(node: Node) -> None:
    done = node("golden.mjs")

    assert done.stderr == ""
    assert done.stdout == f"{len(TOPICS)} golden records read\n"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ce_id", None, "header 'ce_id' is missing"),
        ("ce_actor", b"\xff", "ce_actor is not UTF-8"),
        ("ce_sequence", b"4", "Expected values to be strictly deep-equal"),
        ("value", b"{", "Expected property name"),
        ("value", b'{"label": "\xff"}', "value is not UTF-8"),
    ],
)
def test_node_says_what_is_wrong_with_a_record(
    node: Node, tmp_path: Path, name: str, value: bytes | None, told: str
) -> None:
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples" / RECORD.parts[0], folder / RECORD.parts[0])
    record: dict[str, Any] = json.loads((folder / RECORD).read_text())
    spoilt = None if value is None else b64encode(value).decode()
    if name == "value":
        record["value"] = spoilt
    else:
        record["headers"] = [
            [n, spoilt if n == name else v]
            for n, v in record["headers"]
            if n != name or spoilt is not None
        ]
    (folder / RECORD).write_text(json.dumps(record))

    done = node("golden.mjs", str(folder))

    assert done.returncode == 1
    assert re.match(rf"feedback.implemented v1: .*{re.escape(told)}", done.stderr)


def test_the_lock_file_names_no_address_and_every_digest() -> None:
    lock = json.loads((INTEROP / "package-lock.json").read_text())
    installed = {name: one for name, one in lock["packages"].items() if name}

    assert [name for name, one in installed.items() if "resolved" in one] == []
    assert [name for name, one in installed.items() if "integrity" not in one] == []
