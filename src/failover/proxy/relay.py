"""The bytes of an exchange, both ways: from client to target, and back. Nothing is decided here.

Each side keeps the other's pace: who does not take what waits for him makes the other wait (spec section 6).
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from failover.core.rescue import Request
from failover.proxy.choice import sort_of
from failover.proxy.chunked import frame, last_chunk
from failover.proxy.flow import NEVER, WRITE_BUFFER
from failover.proxy.upload import Upload

if TYPE_CHECKING:
    from failover.proxy.downstream import Downstream
    from failover.proxy.fields import RequestHead
    from failover.proxy.upstream import Upstream

_LOOK_AGAIN_S = 0.05


class Relay:
    """One request's body on its way up and its answer's on the way down. `upstream` carries it now, if any does."""

    # Defaults stand on the class: most requests change none of them.
    upstream: Upstream | None = None
    over = False
    reading_paused = False
    sent_bytes = 0
    _chunked_out = False
    _upload: Upload

    def __init__(self, downstream: Downstream, head: RequestHead) -> None:
        self.downstream = downstream
        self.worker = downstream.worker
        self.head = head
        self.upload_done = head.length == 0
        if head.length:
            self._upload = Upload(head.length, self._may_repeat)
        self.started = monotonic()

    # -- up

    def upload(self, pieces: list[bytes]) -> None:
        """Body bytes from the client: passed on, or kept while no target is connected."""
        self.worker.stats.received_bytes += sum(map(len, pieces))
        if self.upstream is not None:
            self.upstream.transport.write(self._upload.send(pieces))
        elif not self._upload.keep(pieces):
            self.downstream.pause_upload()
        if self._upload.lost:
            self.body_lost()

    def upload_end(self, trailers: bytes) -> None:
        """The request's body is complete: from here the time to the first byte of the answer counts."""
        self.upload_done = True
        last = self._upload.end(trailers)
        upstream = self.upstream
        if upstream is None:
            self.downstream.resume_upload()  # nothing is to come, but an end may be
            return
        if last:
            upstream.transport.write(last)
        if not upstream.answering:
            upstream.await_head(self.head.length)

    def catch_up(self) -> None:
        """Send what is kept to a target that has not got it yet, as fast as it takes it."""
        upstream, upload = self.upstream, self._upload
        if upstream is None or self.over:
            return
        while upload.behind and upstream.transport.get_write_buffer_size() <= WRITE_BUFFER:
            upstream.transport.write(upload.more())
        if upload.lost:
            self.body_lost()
        elif upload.behind and not upstream.paused:
            self.worker.loop.call_later(_LOOK_AGAIN_S, self.catch_up)
        elif not upload.behind and self.upload_done and not upstream.answering:
            upstream.await_head(self.head.length)

    def body_lost(self) -> None:
        """Some of the body can be sent to nobody any more."""
        raise NotImplementedError

    def _may_repeat(self) -> bool:
        return sort_of(self.head) is not Request.ONCE

    def upload_paused(self) -> None:
        """The target reads too slowly: the client waits, and the target's time runs."""
        if self.upstream is not None and not self.upstream.answering:
            self.upstream.deadline = self.worker.now + self.worker.settings.idle_timeout
        self.downstream.pause_upload()

    def upload_resumed(self) -> None:
        if self.head.length and self._upload.behind:
            self.catch_up()
        elif self.upstream is not None and not self.upstream.answering:
            if self.upload_done:
                self.upstream.await_head(self.head.length)
            else:
                self.upstream.deadline = NEVER
        self.downstream.resume_upload()

    @property
    def can_be_sent_again(self) -> bool:
        """Whether all of the request's body so far is at hand."""
        return not self.head.length or self._upload.at_hand

    @property
    def can_be_sent_beside(self) -> bool:
        """Whether the whole request is at hand for a second target while the first one has it."""
        return not self.head.length or (self.upload_done and self._upload.in_memory)

    @property
    def kept_bytes(self) -> int:
        """How much of the request's body is kept here."""
        return self._upload.kept_bytes if self.head.length else 0

    # -- down

    def stream(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        if self._chunked_out:
            self.downstream.transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))
        else:
            self.downstream.transport.write(data)

    def stream_pieces(self, pieces: list[bytes]) -> None:
        if self._chunked_out:
            self.sent_bytes += sum(map(len, pieces))
            self.downstream.transport.write(frame(pieces))
        else:
            for piece in pieces:
                self.stream(piece)

    def end_stream(self, trailers: bytes) -> None:
        if self._chunked_out:
            self.downstream.transport.write(last_chunk(trailers))

    @property
    def endless(self) -> bool:
        """True while an answer flows whose length nobody knows, such as an event stream."""
        return self._chunked_out

    def reading_too_slowly(self) -> None:
        """The client's buffer is full: the target waits too."""
        self.reading_paused = True
        if self.upstream is not None:
            self.upstream.pause()

    def reading_again(self) -> None:
        self.reading_paused = False
        if self.upstream is not None:
            self.upstream.resume()
