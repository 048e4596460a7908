"""Errors as RFC 9457 problem documents that name the broken rule and never echo the input."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from coterie_chassis.decisions import Refusal
from coterie_chassis.errors import is_transient

__all__ = ["ProblemApp", "install", "problem"]

_log = logging.getLogger(__name__)


class ProblemApp(FastAPI):
    """FastAPI whose limit on the body's size answers a problem document as well.

    The limit stands outside of exception handlers and answers plain text by itself.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def translate(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = message["status"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            if not refused:
                await send(message)
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                detail = f"A request's body may have {self.max_body_size} bytes at most."
                answer = problem("body-too-large", detail, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                await answer(scope, receive, send)

        await super().__call__(scope, receive, translate)


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
        media_type="application/problem+json",
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
    faults = [
        {"field": ".".join(str(part) for part in fault["loc"]), "fault": fault["msg"]}
        for fault in error.errors()
    ]
    detail = "; ".join(f"{fault['field']}: {fault['fault']}" for fault in faults)
    return problem("invalid-request", detail, HTTPStatus.UNPROCESSABLE_ENTITY, faults=faults)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
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
