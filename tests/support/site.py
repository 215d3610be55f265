"""A small site for an origin: one page, what it is made of, and 404 for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.answer import Answer

if TYPE_CHECKING:
    from support.origin import Origin

FILES = '<link rel="stylesheet" href="/style.css"><script src="/app.js"></script>'


def dressed(origin: Origin) -> Origin:
    origin.answer = html("Not found", status=404)
    origin.routes["/"] = html("Shop", FILES)
    origin.routes["/style.css"] = Answer(200, b"body{}", (("Content-Type", "text/css"),))
    origin.routes["/app.js"] = Answer(200, b"1", (("Content-Type", "text/javascript"),))
    origin.routes["/healthz"] = Answer(200, b"fine", (("Content-Type", "text/plain"),))
    return origin


def html(title: str, head: str = "", status: int = 200, fields: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A page of some length."""
    page = f"<!doctype html><html><head><title>{title}</title>{head}</head><body>{'text ' * 100}</body></html>"
    return Answer(status, page.encode(), (("Content-Type", "text/html; charset=utf-8"), *fields))
