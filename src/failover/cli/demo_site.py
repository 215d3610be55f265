"""A small site for the demo, as a process of its own: `failover demo-site NAME [ADDRESS:]PORT`.

It ends when its standard input does, so it never outlives the demo. compose.yaml has two of them as well.
"""

from __future__ import annotations

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import click

_PAGE = """<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=1><title>{name}</title>
<body style="font:2em sans-serif;text-align:center;margin-top:20vh;background:{colour}">This is the <b>{name}</b>.
<p style="font-size:0.5em">The page loads itself again every second. The address in your browser never changes.</p>
"""
_COLOURS = {"primary": "#d8f0d8", "backup": "#fbe6c4"}


class _Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name = ""
    page = b""

    def do_GET(self) -> None:
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(self.page)}\r\n"
            f"Cache-Control: no-store\r\nX-Site: {self.name}\r\n\r\n"
        )
        self.wfile.write(head.encode() + (self.page if self.command == "GET" else b""))

    do_HEAD = do_GET  # noqa: N815 - as above

    def log_message(self, *_: Any) -> None:
        """Say nothing: the demo tells the story."""


class _Server(ThreadingHTTPServer):
    allow_reuse_port = True  # the demo keeps the port while nobody listens on it
    request_queue_size = 128
    daemon_threads = True


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


@click.command("demo-site", hidden=True, help="One of the two sites of the demo.")
@click.argument("name")
@click.argument("place", metavar="[ADDRESS:]PORT")
def demo_site(name: str, place: str) -> None:
    _Site.name = name
    _Site.page = _PAGE.format(name=name, colour=_COLOURS.get(name, "#eee")).encode()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    address, _, port = place.rpartition(":")
    with _Server((address or "127.0.0.1", int(port)), _Site) as server:
        print("listening", flush=True)
        server.serve_forever()
