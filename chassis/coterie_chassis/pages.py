"""The interactive API page, served from this process alone.

FastAPI's own page loads its script and style from another host and stays blank behind a firewall;
here they come from the package fastapi-offline, whose application class is not used.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

__all__ = ["install"]

PAGE: Final = "/docs"
_ASSETS: Final = "/docs/assets"


def install(app: FastAPI) -> None:
    """Serve the page at `/docs`; `app` must have been made without FastAPI's own pages."""

    def show() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=str(app.openapi_url),
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
            swagger_ui_parameters={"persistAuthorization": True, "docExpansion": "list"},
        )

    app.mount(_ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")))
    app.add_api_route(PAGE, show, include_in_schema=False)
