"""Errors as RFC 9457 problem documents that name the broken rule and never echo the input."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from coterie_chassis.decisions import Refusal
from coterie_chassis.errors import is_transient

__all__ = ["ProblemApp", "install", "problem"]

_log = logging.getLogger(__name__)
_PROBLEM: Final = "application/problem+json"
_LONGEST: Final = 100
_MOST_FAULTS: Final = 20
_ONCE: Final = {
    name.lower().encode(): name
    for name in (
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "Coterie-After",
        "Coterie-Occurred-At",
    )
}


class ProblemApp(FastAPI):
    """FastAPI that also answers a problem document where no exception handler is asked.

    The limit on the body's size stands outside of the handlers and answers plain text by itself. A
    header that decides something and stands twice is refused: a proxy may have read the other one.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (name := _repeated(scope["headers"])) is not None:
            detail = f"The header {name} stands more than once; send it once."
            await problem("repeated-header", detail, HTTPStatus.BAD_REQUEST)(scope, receive, send)
            return
        refused = False

        async def translate(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                refused = refused and not _is_problem(message["headers"])
            if not refused:
                await send(message)
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                await _too_large(self)(scope, receive, send)

        await super().__call__(scope, receive, translate)


def _too_large(app: FastAPI) -> JSONResponse:
    detail = f"A request's body may have {app.max_body_size} bytes at most."
    return problem("body-too-large", detail, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _is_problem(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return (b"content-type", _PROBLEM.encode()) in list(headers)


def _repeated(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The first of `_ONCE` that stands more than once."""
    seen = set()
    for name, _ in headers:
        if name in _ONCE:
            if name in seen:
                return _ONCE[name]
            seen.add(name)
    return None


def problem(
    rule: str,
    detail: str,
    status: int,
    *,
    headers: dict[str, str] | None = None,
    **members: object,
) -> JSONResponse:
    """A problem document of type `urn:coterie:problem:<rule>`."""
    return JSONResponse(
        {
            "type": f"urn:coterie:problem:{rule}",
            "title": rule.replace("-", " ").capitalize(),
            "status": status,
            "detail": detail,
            **members,
        },
        status_code=status,
        headers=headers,
        media_type=_PROBLEM,
    )


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)


def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for Refusal alone
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else {}
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    return problem(error.rule, error.detail, error.status, headers=headers)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    found = error.errors()
    if found[0]["loc"][0] == "body" and _has_another_body(request):
        detail = "Send the body as application/json."
        return problem("unsupported-media-type", detail, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"])[:_LONGEST], "fault": fault["msg"]}
        for fault in found[:_MOST_FAULTS]
    ]
    detail = "; ".join(f"{fault['field']}: {fault['fault']}" for fault in faults)
    if more := len(found) - len(faults):
        detail += f"; and {more} more"
    return problem("invalid-request", detail, HTTPStatus.UNPROCESSABLE_ENTITY, faults=faults)


def _has_another_body(request: Request) -> bool:
    """Whether there is a body and it does not call itself JSON."""
    has_body = request.headers.get("content-length", "0") != "0"
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
    return (has_body or "transfer-encoding" in request.headers) and not is_json


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    if error.status_code == HTTPStatus.BAD_REQUEST:
        detail = "The body cannot be read as JSON in UTF-8."
        return problem("unreadable-body", detail, HTTPStatus.BAD_REQUEST)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _too_large(request.app)
    phrase = HTTPStatus(error.status_code).phrase
    rule = phrase.lower().replace(" ", "-")
    headers = dict(error.headers) if error.headers else None
    return problem(rule, str(error.detail or phrase), error.status_code, headers=headers)


def _failed(request: Request, error: Exception) -> JSONResponse:
    if is_transient(error):
        return problem(
            "temporarily-unavailable",
            "A part of the platform does not answer right now; nothing was changed.",
            HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": "1"},
        )
    _log.error("request failed", exc_info=error, extra={"path": request.url.path})
    return problem(
        "internal-error",
        "This is a defect on our side; nothing was changed.",
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
