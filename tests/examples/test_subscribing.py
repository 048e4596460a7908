"""What `docs/subscribe.md` tells another team to type works as it stands there, in their order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from coterie_contracts.envelope import UnknownVersion
from coterie_contracts.export import ROOT as CONTRACTS
from coterie_contracts.topics import TOPICS
from coterie_local.platform import Platform
from tests.contracts.conftest import install_interop
from tests.contracts.test_codec import golden
from tests.examples.conftest import ROOT

PAGE: Final = (ROOT / "docs" / "subscribe.md").read_text()
BLOCKS: Final = re.findall(r"^```bash\n(.*?)^```\n+```text\n(.*?)^```", PAGE, re.M | re.S)
_VARIES: Final = re.compile(r"[0-9a-f-]{36}|\d+")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a clone of this repository has of contracts and examples."""
    for name in ("contracts", "examples"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    return tmp_path


def test_the_commands_work_and_print_what_the_page_shows(checkout: Path, running: Platform) -> None:
    install_interop()
    assert len(BLOCKS) == 2
    for commands, shown in BLOCKS:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env=os.environ | {"KAFKA": running.kafka, "npm_config_prefer_offline": "true"},
        )

        assert done.returncode == 0, done.stderr
        printed = [_VARIES.sub("#", line) for line in done.stdout.splitlines()]
        for line in shown.splitlines():
            start = _VARIES.sub("#", line.partition("…")[0])
            assert [one for one in printed if one.startswith(start)], f"{line!r} in {printed}"


def test_the_snippet_that_reads_a_record_reads_one() -> None:
    code = re.findall(r"^```python\n(.*?)^```", (CONTRACTS / "README.md").read_text(), re.M | re.S)
    assert len(code) == 1
    names: dict[str, object] = {}
    exec(code[0], names)  # noqa: S102  the page's own words are what is tested
    on_record = names["on_record"]
    assert callable(on_record)
    record = golden(next(topic for topic in TOPICS if topic.name == "feedback.implemented"))
    later = [(n, b"x.v9" if n == "ce_type" else value) for n, value in record.headers]

    told = on_record(record.topic, record.headers, record.value)
    assert told == "Pump that does not drip: The pump has a new valve"
    assert on_record(record.topic, later, record.value).startswith("set aside: type 'x.v9'")
    assert issubclass(UnknownVersion, ValueError)
