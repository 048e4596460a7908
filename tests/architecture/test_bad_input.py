"""Every command of every service refuses what its schema does not allow, by name, and nothing else.

The routes and their schemas are read from the services themselves, so a new command is covered on
its first day. Nothing here reaches a database: a malformed body is refused before.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from coterie_chassis.auth import Role
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.testing import Harness, harness, person
from tests.architecture.test_shape import SERVICES, service_of

SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "membership": {"identity_key": "a key for tests alone"},
    "recognition": {"code_keys": {"one": base64.b64encode(bytes(32)).decode()}},
}
ANYBODY: Final = person("ann", *Role, brand=uuid4())
SAMPLES: Final[dict[str, tuple[Any, ...]]] = {
    "boolean": (True,),
    "integer": (7,),
    "number": (0.5,),
    "string": ("7", "yes"),
    "array": ([],),
    "object": ({},),
}


@dataclass(frozen=True, slots=True)
class Command:
    service: str
    method: str
    path: str
    schema: dict[str, Any]
    schemas: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"

    @property
    def address(self) -> str:
        """The path with ids that nothing has."""
        parts = self.path.split("/")
        return "/".join(str(uuid4()) if part.startswith("{") else part for part in parts)

    def kinds(self, schema: dict[str, Any]) -> set[str]:
        """The JSON types that a schema allows; all of them where it says nothing."""
        if "$ref" in schema:
            return self.kinds(self.schemas[schema["$ref"].rpartition("/")[2]])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return {kind for one in schema[several] for kind in self.kinds(one)}
        if "type" not in schema:
            return {"null", *SAMPLES}
        return {schema["type"]} | ({"integer"} if schema["type"] == "number" else set())

    @property
    def body(self) -> dict[str, Any]:
        """The schema of the object that is sent."""
        wanted: dict[str, Any]
        for wanted in self.schema.get("anyOf", [self.schema]):
            if "$ref" in wanted:
                return dict(self.schemas[wanted["$ref"].rpartition("/")[2]])
        raise AssertionError(f"{self} takes no object")

    def bad_bodies(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """A field each that is of no type allowed, or unknown."""
        yield "surprise", {"surprise": 1}
        for name, schema in self.body.get("properties", {}).items():
            allowed = self.kinds(schema)
            for kind in SAMPLES.keys() - allowed:
                yield from ((name, {name: sample}) for sample in SAMPLES[kind])


@asynccontextmanager
async def running(name: str) -> AsyncIterator[tuple[Harness, FastAPI]]:
    settings = SETTINGS.get(name, {})
    async with harness(service_of(name), "postgresql://nobody@127.0.0.1:1/none", settings) as h:
        yield h, h.runtime.app()


def commands_of(name: str, app: FastAPI) -> list[Command]:
    spec = app.openapi()
    return [
        Command(
            name,
            method.upper(),
            path,
            operation["requestBody"]["content"]["application/json"]["schema"],
            spec["components"]["schemas"],
        )
        for path, operations in spec["paths"].items()
        for method, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


def fault_of(answer: httpx2.Response, field: str) -> str | None:
    """What is wrong with an answer to a body with a bad `field`; None if nothing is."""
    if answer.status_code != 422:
        return f"{field}: answered {answer.status_code}"
    if answer.headers["Content-Type"] != "application/problem+json":
        return f"{field}: no problem document"
    if not any(field in fault["field"].split(".") for fault in answer.json().get("faults", [])):
        return f"{field}: not named in {answer.json()}"
    return None


@pytest.mark.parametrize("name", SERVICES)
async def test_every_command_names_the_field_that_is_wrong_or_unknown(name: str) -> None:
    async with running(name) as (h, app):
        commands = commands_of(name, app)
        assert len(commands) > 5
        found = [
            f"{command} {body}: {fault}"
            for command in commands
            for field, body in command.bad_bodies()
            if (
                fault := fault_of(
                    await h.request(command.method, command.address, body, as_=ANYBODY), field
                )
            )
        ]
    assert found == []


@pytest.mark.parametrize("name", SERVICES)
async def test_every_command_refuses_text_that_no_store_can_keep(name: str) -> None:
    async with running(name) as (h, app):
        for command in commands_of(name, app):
            for text in ("\x00", "\ud800"):
                body = dict.fromkeys(command.body.get("properties", {}), text)
                body |= {"surprise": text}
                answer = await h.request(command.method, command.address, body, as_=ANYBODY)
                assert answer.status_code == 422, command
                assert "null character" in answer.json()["detail"], command


@pytest.mark.parametrize("name", SERVICES)
async def test_every_command_refuses_a_body_that_is_too_large(name: str) -> None:
    most = ChassisSettings.model_fields["max_body_bytes"].default
    async with running(name) as (h, app):
        for command in commands_of(name, app):
            body = {"surprise": "x" * most}
            answer = await h.request(command.method, command.address, body, as_=ANYBODY)
            assert answer.status_code == 413, command
            assert answer.json()["type"].endswith("body-too-large")
