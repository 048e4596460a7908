"""Commands and queries over HTTP, the same promises for every route.

A command runs in one unit of work. With an `Idempotency-Key`, the outcome (status, id, version)
is stored beside it, never the body, which is rendered afresh under today's rights.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from operator import getitem
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeVar, cast, get_args
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from sqlalchemy import text
from uuid_utils.compat import uuid7

from coterie_chassis.auth import Principal, Role
from coterie_chassis.clock import Clock, read_clock
from coterie_chassis.decisions import Cause, Forbidden, NotFound, Refusal, derived_id
from coterie_chassis.errors import CommitUncertain, describe, is_transient
from coterie_chassis.settings import ChassisSettings
from coterie_chassis.store import Opening, UnitOfWork
from coterie_chassis.texts import Moment, as_strict_json
from coterie_contracts.community import ClockMode

if TYPE_CHECKING:
    from coterie_chassis.service import Runtime

__all__ = [
    "Api",
    "Call",
    "CommandBody",
    "Done",
    "Page",
    "PageRequest",
    "TodoItem",
    "View",
    "authenticate",
    "bearer",
    "page_of",
]

_log = logging.getLogger(__name__)
S = TypeVar("S", bound=ChassisSettings)
T = TypeVar("T")
_TRIES: Final = 3
_POSITION_PATTERN: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12};[0-9]{1,18}$"
_CATCH_UP_S: Final = 2.0
_KEYS: Final[Mapping[type[Any], TypeAdapter[Any]]] = {
    datetime: TypeAdapter(Moment),
    int: TypeAdapter(Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]),
    UUID: TypeAdapter(UUID),
}
bearer = HTTPBearer(auto_error=False, description="a token of the platform's issuer")


class CommandBody(BaseModel):
    """A command's body: unknown fields are refused.

    So are other types than its schema's, for it is read as strict JSON (`"yes"` is no boolean,
    `"5"` no number and 5 no time), and texts that cannot be stored.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False
    )


class View(BaseModel):
    """What a route answers."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Page(View, Generic[T]):
    """A page of items; `next` is the cursor of the following page, absent on the last."""

    items: list[T]
    next: str | None = None


class TodoItem(View):
    """Something that waits for staff, with the command that settles it."""

    what: str
    since: datetime
    subject_id: UUID
    for_whom: str = Field(description="the role that may settle it")
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did: the aggregate, its `version` (ETag) and its published `sequence`."""

    id: UUID
    version: int | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many items, and after which position."""

    limit: int
    cursor: Mapping[str, Any] | None

    def after(self, **kinds: type[Any]) -> tuple[Any, ...] | None:
        """The cursor's values, one of each of `kinds` by name; None on the first page.

        Kinds are `datetime`, `int` and `UUID`. Raises `Refusal` 422 where a value is none.
        """
        if self.cursor is None:
            return None
        try:
            return tuple(_KEYS[kind].validate_json(self._raw(name)) for name, kind in kinds.items())
        except (KeyError, ValidationError):
            raise _foreign_cursor() from None

    def _raw(self, name: str) -> str:
        assert self.cursor is not None  # noqa: S101 - checked by the caller
        return json.dumps(self.cursor[name])


def _foreign_cursor() -> Refusal:
    return Refusal("invalid-cursor", "The cursor is not one of ours.", status=422)


def page_of(items: list[T], cursor_for_next: Mapping[str, Any] | None) -> Page[T]:
    """A page whose `next` encodes `cursor_for_next`, a JSON object of keyset values."""
    if cursor_for_next is None:
        return Page(items=items)
    raw = json.dumps(cursor_for_next, separators=(",", ":"), default=str).encode()
    return Page(items=items, next=base64.urlsafe_b64encode(raw).decode().rstrip("="))


@dataclass(frozen=True, slots=True)
class _Headers:
    idempotency_key: str | None = None
    if_match: str | None = None
    occurred_at: datetime | None = None


class Call:
    """One request: who calls, in which unit of work, on whose clock."""

    def __init__(
        self,
        runtime: Runtime,
        principal: Principal,
        uow: UnitOfWork,
        *,
        request: Request,
        headers: _Headers,
        page: PageRequest,
        cause_id: UUID | None = None,
    ) -> None:
        self.principal = principal
        self.uow = uow
        self.page = page
        self._runtime = runtime
        self._headers = headers
        self._request = request
        self.cause_id = cause_id or uuid7()
        self._may_catch_up = request.method != "GET"

    async def within(self, community_id: UUID, clock: Clock | None = None) -> Cause:
        """The cause for a command on this community, at its clock's time.

        `clock` is what the command's own query has read of it, else it is read here.

        On a driven clock, `Coterie-Occurred-At` moves the clock forward. Every deadline that is due
        by then is acted on first, those that an event's time has made due included; that is done
        once, before the command locks anything that a deadline's handler locks. Raises `NotFound`
        for an unknown community.
        """
        before_all, self._may_catch_up = self._may_catch_up, False
        clock = clock or await read_clock(self.uow, community_id)
        if clock is None:
            raise NotFound("community")
        mode = clock.mode
        at = self.uow.now if mode is ClockMode.WALL else clock.now
        occurred_at = self.told_time()
        if occurred_at is not None and mode is not ClockMode.DRIVEN:
            raise Refusal(
                "clock-not-driven", "This community runs on the wall clock; leave the time away."
            )
        if occurred_at is not None and occurred_at > at:
            at = occurred_at
            await self._runtime.advance_clock(self.uow, community_id, at)
        elif clock.is_behind and before_all:
            await self._runtime.catch_up(self.uow, community_id)
        return self.cause(at, community_id=community_id, brand_id=clock.brand_id, clock=mode)

    async def advance_clock(self, cause: Cause, at: datetime) -> None:
        """Move the cause's driven community to `at`, acting on what is due until then."""
        if cause.community_id is not None:
            await self._runtime.advance_clock(self.uow, cause.community_id, at)

    def told_time(self) -> datetime | None:
        """What `Coterie-Occurred-At` says, for importers alone. Raises `Forbidden` for others."""
        if self._headers.occurred_at is None:
            return None
        self.require(Role.IMPORTER)
        return self._headers.occurred_at.astimezone(UTC)

    def cause(
        self,
        at: datetime,
        *,
        community_id: UUID | None = None,
        brand_id: UUID | None = None,
        clock: ClockMode = ClockMode.WALL,
    ) -> Cause:
        """The cause that this command is, at a time of the caller's choosing."""
        return Cause(
            id=self.cause_id,
            actor=self.principal.actor,
            at=at,
            recorded_at=self.uow.now,
            correlation_id=self.cause_id,
            brand_id=brand_id,
            community_id=community_id,
            clock=clock,
        )

    def staff(self, cause: Cause, *roles: Role) -> None:
        """Raises `NotFound` for other communities' staff, `Forbidden` without one of `roles`."""
        wanted = roles or (Role.MANAGER, Role.HOST)
        if not self.is_staff(cause, Role.MANAGER, Role.HOST):
            if self.principal.has(Role.MANAGER, Role.HOST):
                raise NotFound("community")
            raise Forbidden("staff-only", "Only the staff of this community may do this.")
        self.require(*wanted)

    def is_staff(self, cause: Cause, *roles: Role) -> bool:
        """Whether the caller is staff of the cause's community."""
        wanted = roles or (Role.MANAGER, Role.HOST)
        return (
            cause.community_id is not None
            and self.principal.has(*wanted)
            and self.principal.covers(cause.community_id, cause.brand_id)
        )

    def require(self, *roles: Role) -> None:
        """Raises `Forbidden` unless the caller has one of `roles`."""
        if not self.principal.has(*roles):
            raise Forbidden("missing-role", f"This needs the role {' or '.join(roles)}.")

    def new_id(self, kind: str) -> UUID:
        """An aggregate's id: derived from the Idempotency-Key if there is one, else a UUIDv7."""
        if self._headers.idempotency_key is None:
            return uuid7()
        return derived_id(self.cause_id, kind)

    def expect(self, version: int) -> None:
        """Raises `Refusal` 412 where `If-Match` names other versions than `version`; `*` is any."""
        if self._headers.if_match is None:
            return
        wanted = [tag.strip().removeprefix("W/") for tag in self._headers.if_match.split(",")]
        if "*" not in wanted and str(version) not in {tag.strip('"') for tag in wanted}:
            raise Refusal(
                "lost-race",
                f"This has changed meanwhile; its version is now {version}.",
                status=HTTPStatus.PRECONDITION_FAILED,
            )

    def settings(self, cls: type[S]) -> S:
        """The service's settings as its own class."""
        if not isinstance(self._runtime.settings, cls):
            raise TypeError(f"this service has no {cls.__name__}")
        return self._runtime.settings

    async def claimed(self) -> _Stored | None:
        """The stored outcome if the Idempotency-Key was used before with the same body."""
        opened = self.uow.opened
        if self._headers.idempotency_key is None or opened is None or opened.is_new:
            return None
        row = (await self.uow.execute(_CLAIMED, {"id": self.cause_id})).one()
        if bytes(row.digest) != bytes(opened.digest):
            raise Refusal(
                "idempotency-key-reused",
                "This Idempotency-Key was used before with another body.",
            )
        return _Stored(row.status, Done(row.aggregate_id, row.version, row.sequence))

    def settle(self, status: int, done: Done) -> None:
        """Store the outcome beside the Idempotency-Key."""
        if self._headers.idempotency_key is None:
            return
        self.uow.settle(
            {
                "id": self.cause_id,
                "status": status,
                "aggregate_id": done.id,
                "version": done.version,
                "sequence": done.sequence,
            }
        )


@dataclass(frozen=True, slots=True)
class _Stored:
    status: int
    done: Done


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: str
    status: int
    extra: tuple[inspect.Parameter, ...]


Shows = Callable[[Call, UUID], Awaitable[BaseModel]]
Function = TypeVar("Function", bound=Callable[..., Awaitable[Any]])


class Api:
    """The routes of one service; a thin layer over FastAPI's router."""

    def __init__(self, *, tags: list[str]) -> None:
        self.router = APIRouter(tags=list(tags))

    def command(
        self, method: str, path: str, *, shows: Shows, status: int = HTTPStatus.OK
    ) -> Callable[[Function], Function]:
        """Register `async (call, **path and body) -> Done`; the answer is `shows(call, done.id)`.

        A transient database error is tried again, three times in all, since nothing was
        committed; where that is not certain, only with an Idempotency-Key.
        """

        def register(decide: Function) -> Function:
            async def endpoint(**given: Any) -> Response:
                request: Request = given.pop("request")
                headers = _Headers(
                    given.pop("idempotency_key"), given.pop("if_match"), given.pop("occurred_at")
                )
                runtime: Runtime = request.app.state.runtime
                principal = await authenticate(runtime, given.pop("credentials"))
                position = given.pop("coterie_after")

                cause_id = _cause_id(principal, request, headers.idempotency_key)
                opening = await _opening(request, cause_id, headers.idempotency_key)

                async def attempt() -> Response:
                    await _catch_up(runtime, position)
                    async with runtime.database.begin(opening) as uow:
                        call = Call(
                            runtime,
                            principal,
                            uow,
                            request=request,
                            headers=headers,
                            page=_NO_PAGE,
                            cause_id=cause_id,
                        )
                        stored = await call.claimed()
                        if stored is None:
                            stored = _Stored(status, await decide(call, **given))
                            call.settle(status, stored.done)
                        view = await shows(call, stored.done.id)
                    return _answer(view, stored)

                return await _retrying(attempt, repeatable=headers.idempotency_key is not None)

            route = _Route(method, path, status, _COMMAND_PARAMETERS)
            self._add(route, endpoint, decide, shows)
            return decide

        return register

    def query(self, path: str, *, paged: bool = False) -> Callable[[Function], Function]:
        """Register `async (call, **path and query) -> view`; `paged` adds `limit` and `cursor`."""

        def register(show: Function) -> Function:
            async def endpoint(**given: Any) -> Response:
                request: Request = given.pop("request")
                runtime: Runtime = request.app.state.runtime
                principal = await authenticate(runtime, given.pop("credentials"))
                position = given.pop("coterie_after")
                page = _page_request(given) if paged else _NO_PAGE

                async def attempt() -> Response:
                    await _catch_up(runtime, position)
                    async with runtime.database.begin() as uow:
                        call = Call(
                            runtime,
                            principal,
                            uow,
                            request=request,
                            headers=_Headers(),
                            page=page,
                        )
                        view = await show(call, **given)
                    return Response(_json(view), media_type="application/json")

                return await _retrying(attempt, repeatable=True)

            parameters = _QUERY_PARAMETERS + (_PAGE_PARAMETERS if paged else ())
            self._add(_Route("GET", path, HTTPStatus.OK, parameters), endpoint, show, show)
            return show

        return register

    def _add(
        self,
        route: _Route,
        endpoint: Callable[..., Awaitable[Response]],
        deed: Callable[..., Any],
        shows: Callable[..., Any],
    ) -> None:
        signature = inspect.signature(deed, eval_str=True)
        own = [_strict(p) for name, p in signature.parameters.items() if name != "call"]
        keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        endpoint.__signature__ = inspect.Signature([*keyword_only, *route.extra])  # type: ignore[attr-defined]
        endpoint.__name__ = getattr(deed, "__name__", "endpoint")
        endpoint.__doc__ = deed.__doc__
        self.router.add_api_route(
            route.path,
            endpoint,
            methods=[route.method],
            status_code=route.status,
            response_model=inspect.signature(shows, eval_str=True).return_annotation,
            responses={"4XX": {"description": "a problem document that names the broken rule"}},
        )


def _strict(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter, read as strict JSON where it is a command's body."""
    kinds = get_args(parameter.annotation) or (parameter.annotation,)
    if not any(isinstance(kind, type) and issubclass(kind, CommandBody) for kind in kinds):
        return parameter
    parts = parameter.annotation, Body(), as_strict_json(parameter.annotation)
    return parameter.replace(annotation=getitem(cast(Any, Annotated), parts))


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> Any:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )


_After = Annotated[
    str | None,
    Header(alias="Coterie-After", pattern=_POSITION_PATTERN),
]
_QUERY_PARAMETERS: Final = (
    _parameter("request", Request),
    _parameter("credentials", Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]),
    _parameter("coterie_after", _After, None),
)
_COMMAND_PARAMETERS: Final = (
    *_QUERY_PARAMETERS,
    _parameter(
        "idempotency_key",
        Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)],
        None,
    ),
    _parameter("if_match", Annotated[str | None, Header(alias="If-Match")], None),
    _parameter(
        "occurred_at",
        Annotated[Moment | None, Header(alias="Coterie-Occurred-At")],
        None,
    ),
)
_PAGE_PARAMETERS: Final = (
    _parameter("limit", Annotated[int, Query(ge=1, le=100)], 20),
    _parameter("cursor", Annotated[str | None, Query(max_length=1_000)], None),
)
_NO_PAGE: Final = PageRequest(20, None)


async def authenticate(
    runtime: Runtime, credentials: HTTPAuthorizationCredentials | None
) -> Principal:
    """Who sent these credentials. Raises `Refusal`: 401, or 503 while no token can be judged."""
    if credentials is None:
        raise Refusal("no-token", "Send an access token as `Authorization: Bearer …`.", status=401)
    return await runtime.verifier.verify(credentials.credentials)


def _cause_id(who: Principal, request: Request, key: str | None) -> UUID:
    if key is None:
        return uuid7()
    return derived_id(who.issuer, who.subject, request.method, request.url.path, key)


async def _opening(request: Request, cause_id: UUID, key: str | None) -> Opening | None:
    """The statement that takes the Idempotency-Key while it opens the unit of work."""
    if key is None:
        return None
    return _CLAIM, {"id": cause_id, "digest": sha256(await request.body()).digest()}


async def _catch_up(runtime: Runtime, position: str | None) -> None:
    """Wait until this service has applied what the caller has seen elsewhere."""
    if position is None:
        return
    subject, _, sequence = position.partition(";")
    values = {"subject": UUID(subject), "sequence": int(sequence)}
    deadline = asyncio.get_running_loop().time() + _CATCH_UP_S
    while True:
        async with runtime.database.begin() as uow:
            if await uow.one_or_none(_POSITION, values) is not None:
                return
        if asyncio.get_running_loop().time() >= deadline:
            raise Refusal(
                "not-caught-up",
                "This service has not seen that change yet; try again shortly.",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
            )
        await asyncio.sleep(0.02)


async def _retrying(attempt: Callable[[], Awaitable[Response]], *, repeatable: bool) -> Response:
    for number in range(1, _TRIES + 1):
        try:
            return await attempt()
        except CommitUncertain as error:
            if not repeatable:
                raise _UNKNOWN from error
        except Exception as error:
            if not is_transient(error):
                raise
            if number == _TRIES:
                _log.warning("a request found no database: %s", describe(error))
                raise _UNAVAILABLE from error
        await asyncio.sleep(0.02 * number)
    raise _UNAVAILABLE


def _answer(view: BaseModel, stored: _Stored) -> Response:
    headers = {}
    if stored.done.version is not None:
        headers["ETag"] = f'"{stored.done.version}"'
    if stored.done.sequence is not None:
        headers["Coterie-Position"] = f"{stored.done.id};{stored.done.sequence}"
    return Response(
        _json(view), status_code=stored.status, headers=headers, media_type="application/json"
    )


def _json(view: Any) -> bytes:
    if isinstance(view, BaseModel):
        return view.model_dump_json().encode()
    return b"[" + b",".join(item.model_dump_json().encode() for item in view) + b"]"


def _page_request(given: dict[str, Any]) -> PageRequest:
    limit, cursor = given.pop("limit"), given.pop("cursor")
    if cursor is None:
        return PageRequest(limit, None)
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        position = None
    if not isinstance(position, dict):
        raise _foreign_cursor()
    return PageRequest(limit, position)


_UNAVAILABLE: Final = Refusal(
    "temporarily-unavailable",
    "A part of the platform does not answer right now; nothing was changed.",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
)
_UNKNOWN: Final = Refusal(
    "outcome-unknown",
    "The database was lost while this was committed: look whether it took effect before you send "
    "it again. With an Idempotency-Key it is safe to send again.",
    status=HTTPStatus.SERVICE_UNAVAILABLE,
)
_CLAIM: Final = text(
    "WITH claimed AS (INSERT INTO idempotency (id, digest) VALUES (:id, :digest) "
    "ON CONFLICT DO NOTHING RETURNING id) "
    "SELECT now() AS now, EXISTS (SELECT FROM claimed) AS is_new, "
    "CAST(:digest AS bytea) AS digest"
)
_CLAIMED: Final = text(
    "SELECT digest, status, aggregate_id, version, sequence FROM idempotency WHERE id = :id"
)
_POSITION: Final = text(
    "SELECT 1 FROM applied_position WHERE subject = :subject AND sequence >= :sequence"
)
