"""Every service has the same shape, listens to what it declares, and its domain stays pure."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import pytest

from coterie_chassis.projections import KEPT_BY_THE_CHASSIS, writers
from coterie_chassis.service import Service
from coterie_contracts.topics import TOPICS, consumed_by

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICES: Final = ("membership", "feedback", "recognition", "notifications")
DOMAIN_MAY_IMPORT: Final = {"coterie_contracts", "coterie_chassis.decisions", "pydantic"}


def service_of(name: str) -> Service:
    found = import_module(f"coterie_{name}.service").service
    assert isinstance(found, Service)
    return found


def files_of(part: Path) -> list[Path]:
    package = part.with_suffix("")
    return sorted(package.rglob("*.py")) if package.is_dir() else [part]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_the_files_that_every_service_has(name: str) -> None:
    package = ROOT / "services" / name / f"coterie_{name}"
    wanted = ["__init__", "__main__", "settings", "domain", "store", "service", "api"]
    if consumed_by(name):
        wanted.append("handlers")
    missing = [
        part
        for part in wanted
        if not (package / f"{part}.py").is_file() and not (package / part).is_dir()
    ]
    assert missing == []
    assert (package / "migrations" / "versions").is_dir()
    assert (package.parent / "README.md").is_file()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_a_command(name: str) -> None:
    found = entry_points(group="console_scripts", name=f"coterie-{name}")
    assert [script.value for script in found] == [f"coterie_{name}.__main__:main"]


@pytest.mark.parametrize("name", SERVICES)
def test_declared_consumers_are_the_real_ones(name: str) -> None:
    declared = {topic.body for topic in consumed_by(name)}
    handled = {body for handler in service_of(name).handlers for body in handler.bodies}

    assert {body.topic for body in handled - declared} == set(), "handled but not declared"
    assert {body.topic for body in declared - handled} == set(), "declared but not handled"


def test_every_event_has_one_owner_that_does_not_listen_to_itself() -> None:
    for topic in TOPICS:
        assert topic.owner in SERVICES
        assert topic.owner not in topic.consumers


@pytest.mark.parametrize("name", SERVICES)
def test_a_domain_imports_nothing_that_does(name: str) -> None:
    package = ROOT / "services" / name / f"coterie_{name}"
    offenders = []
    for file in files_of(package / "domain.py"):
        for module in _imports(file):
            root = module.partition(".")[0]
            if root in sys.stdlib_module_names or module.startswith(f"coterie_{name}.domain"):
                continue
            if module in DOMAIN_MAY_IMPORT or root in DOMAIN_MAY_IMPORT:
                continue
            offenders.append(f"{file.name}: {module}")
    assert offenders == []


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_but_the_chassis_commits_or_reads_the_wall_clock(name: str) -> None:
    package = ROOT / "services" / name / f"coterie_{name}"
    forbidden = {"commit", "rollback", "utcnow", "uuid4", "uuid7"}
    offenders = [
        f"{file.relative_to(package)}:{node.lineno} {called}"
        for file in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and (called := _name(node.func)) in forbidden
    ]
    assert offenders == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_composes_itself_in_about_a_page(name: str) -> None:
    file = ROOT / "services" / name / f"coterie_{name}" / "service.py"
    assert len(file.read_text().splitlines()) <= 110


@pytest.mark.parametrize("name", SERVICES)
def test_every_table_is_a_projection_or_says_why_the_log_cannot_tell_it(name: str) -> None:
    service = service_of(name)
    made_again = [projection.table.name for projection in service.projections]
    kept = {**service.kept, **KEPT_BY_THE_CHASSIS}

    assert sorted([*made_again, *kept]) == sorted(service.tables())
    assert [table for table, why in kept.items() if not why] == []


@pytest.mark.parametrize("name", SERVICES)
def test_a_projection_is_made_of_events_that_its_service_hears_or_sends(name: str) -> None:
    service = service_of(name)
    heard = {topic.body for topic in consumed_by(name)}
    own = {topic.body for topic in TOPICS if topic.owner == name}
    read = {body for handler in writers(service.projections) for body in handler.bodies}

    assert {body.topic for body in read - heard - own} == set()


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_rebuild_leaves_apart_exists_and_leaves_something_to_compare(name: str) -> None:
    for projection in service_of(name).projections:
        columns, keys = set(projection.table.columns.keys()), set(projection.keys)
        apart = {column for one in projection.apart for column in one.columns}
        assert apart <= columns - keys, projection.table.name
        assert set(projection.compared()) - keys or columns == keys, projection.table.name


def _imports(file: Path) -> list[str]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.append(node.module)
    return modules


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
