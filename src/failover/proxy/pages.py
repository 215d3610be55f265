"""Our pages on the public port: a request under `/__failover/` on its way to the controller, which has them.

Worth a file of its own because everything about it is unlike an exchange: no target is asked, nothing is rescued, and
nothing passes that the controller does not need. Whether the asker may see a page is the controller's to say; without
an admin token nobody gets here at all.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING

from failover.channel import is_of
from failover.proxy import answers
from failover.proxy.fields import CHUNKED

if TYPE_CHECKING:
    from failover.proxy.downstream import Downstream
    from failover.proxy.fields import RequestHead
    from failover.proxy.worker import Worker

MOST_BODY = 64 * 1024
"""Longest body of a request for a page, in bytes."""

_MOST_PAGES = 64
"""Pages that a worker asks for at a time: the controller has other things to do than to answer a flood."""

# Written plainly, or it is no page: no encoding, no dots alone, no empty segment.
_PAGE = re.compile(rb"/__failover(/(?!\.{1,2}(/|\?|$))[A-Za-z0-9._-]+)*/?(\?[\x21-\x7e]*)?")
_PASSED_ON = frozenset((
    b"accept", b"authorization", b"content-length", b"content-type", b"cookie", b"last-event-id", b"origin",
    b"sec-fetch-site",
))  # fmt: skip


def is_page(worker: Worker, head: RequestHead) -> bool:
    """Whether the controller may have a page there. Without a token it has none."""
    return worker.settings.admin_token is not None and _PAGE.fullmatch(head.target) is not None


class Page(asyncio.Protocol):
    """One request for a page and its answer, as `downstream` sees an exchange. It ends with the connection."""

    upload_done = False
    over = False
    answering = False
    endless = True
    held = False
    parted = False

    def __init__(self, downstream: Downstream, head: RequestHead) -> None:
        self.head = head
        self._downstream = downstream
        self._worker = downstream.worker
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None
        self._started = False
        self.upload_done = not head.length

    # -- called by downstream

    def start(self) -> None:
        self._downstream.close_after = True
        if self.head.length == CHUNKED or self.head.length > MOST_BODY:
            self._refuse(413, "No page takes a body as long as this.")
            return
        self._started = True
        if self.upload_done:
            self._go()

    def upload(self, pieces: list[bytes]) -> None:
        self._unsent += pieces

    def upload_end(self, trailers: bytes) -> None:  # noqa: ARG002 - only chunked bodies have them
        self.upload_done = True
        if self._started:
            self._go()

    def _go(self) -> None:
        """The request is here whole: nobody takes one of the few places before that."""
        if len(self._worker.pages) >= _MOST_PAGES:
            self._refuse(503, "Too many ask for pages at the moment. Please try again shortly.")
            return
        self._worker.pages.add(self)
        self._connecting = self._worker.loop.create_task(self._connect())

    def _end(self) -> None:
        self.over = True
        self._worker.pages.discard(self)

    def abandon(self) -> None:
        self._end()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    def reading_too_slowly(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def reading_again(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    # -- to and from the controller

    async def _connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(self._worker.launch.pages)
            if not is_of(self._worker.launch.peers, sock):
                raise PermissionError("somebody else listens there")
            await self._worker.loop.create_unix_connection(lambda: self, sock=sock)
        except OSError:
            sock.close()
            if not self.over:
                self._refuse(503, "The pages are not there at the moment. Please try again shortly.")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream socket gives a stream transport
        if self.over:
            transport.close()
            return
        head, client = self.head, self._downstream.client
        kept = [line for line in head.lines if line.partition(b":")[0].lower() in _PASSED_ON]
        kept += [
            b"Host: " + client.host(head),
            b"X-Forwarded-For: " + client.nearest(head),
            b"X-Forwarded-Proto: " + client.scheme(head),
            b"Connection: close",
        ]
        line = b"%b %b HTTP/1.1" % (head.method, head.target)
        self._transport.writelines([b"\r\n".join([line, *kept, b"", b""]), *self._unsent])  # type: ignore[union-attr]
        self._unsent = []

    def data_received(self, data: bytes) -> None:
        self.answering = True
        self._downstream.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.over:
            return
        if not self.answering:
            self._refuse(503, "The pages are not there at the moment. Please try again shortly.")
        elif exc is not None:
            self._downstream.cut()
        else:
            self._end()
            self._downstream.done()

    def _refuse(self, status: int, text: str) -> None:
        self._end()
        head = self.head
        self._downstream.transport.write(
            answers.error(
                status,
                text,
                accept=head.field(b"accept"),
                request_id=b"",
                proxy_status=b"",
                closing=True,
                body=head.method != b"HEAD",
                extra=[],
            )
        )
        self._downstream.done()
