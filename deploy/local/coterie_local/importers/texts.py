"""Markup of a source becomes plain text: free text in Coterie is Unicode, limited, never markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

FEEDBACK_LIMIT = 4_000
ELLIPSIS = "…"
_BREAKS = frozenset(
    {"p", "br", "li", "pre", "blockquote", "tr", "div", "hr", "h1", "h2", "h3", "h4", "h5", "h6"}
)
_SILENT = frozenset({"script", "style"})


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKS:
            self.parts.append("\n")
        if tag == "img":
            self.parts.append(f"[{dict(attrs).get('alt') or 'image'}]")
        self._silent += tag in _SILENT

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS:
            self.parts.append("\n")
        if tag in _SILENT and self._silent:
            self._silent -= 1

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def plain(markup: str) -> str:
    """The text of HTML without tags and control characters; an image is its description."""
    parser = _Text()
    parser.feed(markup)
    parser.close()
    text = clean("".join(parser.parts))
    text = re.sub(r"[ \t]+", " ", text)
    return re.sub(r" ?\n[\n ]*", "\n", text).strip()


def clean(text: str) -> str:
    """`text` without control characters and surrounding space."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable()).strip()


def shorten(text: str, limit: int = FEEDBACK_LIMIT) -> str:
    """At most `limit` characters; a cut is shown by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + ELLIPSIS
