"""The bytes of an exchange, both ways: from client to target, and back. Nothing is decided here.

Each side keeps the other's pace: who does not take what waits for him makes the other wait (spec section 6).
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from failover.core.rescue import Request
from failover.proxy.choice import sort_of
from failover.proxy.chunked import LAST_CHUNK
from failover.proxy.flow import FIRST_FLIGHT, NEVER, WRITE_BUFFER
from failover.proxy.upload import Upload

if TYPE_CHECKING:
    from failover.faults import Fault
    from failover.proxy.choice import Choice
    from failover.proxy.downstream import Downstream
    from failover.proxy.fields import RequestHead
    from failover.proxy.pool import Pool
    from failover.proxy.upload import Room, Spills
    from failover.proxy.upstream import Upstream

_LOOK_AGAIN_S = 0.05


def _room(head: RequestHead, spills: Spills) -> Room | None:
    """For the body, where the request may be repeated at all."""
    return None if sort_of(head) is Request.ONCE else spills.take(head.length)


class Relay:
    """One request's body on its way up and its answer's on the way down. `upstream` carries it now, if any does."""

    __slots__ = (
        "_choice",
        "_frames",
        "_opening",
        "_upload",
        "answering",
        "by_us",
        "doubted",
        "downstream",
        "ended",
        "endless",
        "first_fault",
        "head",
        "held_until",
        "over",
        "pool",
        "reading_paused",
        "sent_bytes",
        "started",
        "status",
        "upload_done",
        "upstream",
        "was_held",
        "worker",
    )

    _upload: Upload
    _frames: bool  # the chunks of the answer are made here
    _opening: bytes  # its head, which goes with the first bytes of its body

    def __init__(self, downstream: Downstream, head: RequestHead) -> None:
        """All that an exchange knows, also what `answering` and `exchange` do with it: one call makes it."""
        self.downstream = downstream
        self.worker = downstream.worker
        self.head = head
        # the bytes
        self.upstream: Upstream | None = None
        self.over = False
        self.reading_paused = False
        self.sent_bytes = 0
        self.upload_done = not head.length
        self.endless = False  # an answer flows whose length nobody knows, such as an event stream
        # the answer
        self.pool: Pool | None = None
        self.status = 0
        self.ended = ""
        self.first_fault: Fault | None = None
        self.was_held = False
        self.by_us = False
        self.answering = False
        # the tries
        self.held_until = 0.0
        self.doubted = False
        self._choice: Choice | None = None
        if head.length:
            spills = downstream.worker.spills
            self._upload = Upload(head.length, lambda: _room(head, spills))  # it must not hold us
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

    def stream(self, pieces: list[bytes], size: int) -> None:
        """Body bytes of the answer, so many of them payload."""
        self.sent_bytes += size
        if self._frames:
            pieces = [b"%x\r\n" % size, *pieces, b"\r\n"]
        if self._opening:
            pieces = [self._opening, *pieces]
            self._opening = b""
        self.downstream.transport.writelines(pieces)

    def stream_on(self, chunk: bytes, size: int) -> None:
        """A later chunk, as it came."""
        self.sent_bytes += size
        self.downstream.transport.write(chunk)

    @property
    def parted(self) -> bool:
        """Whether the client said that it sends nothing after this request (RFC 9112 section 9.6), and has its answer
        or is sure to get it.
        """
        return not (self.head.keep_alive or self.head.length) and self.sent_bytes <= FIRST_FLIGHT

    def end_stream(self) -> None:
        if self._opening or self._frames:
            self.downstream.transport.write(self._opening + LAST_CHUNK if self._frames else self._opening)

    def reading_too_slowly(self) -> None:
        """The client's buffer is full: the target waits too."""
        self.reading_paused = True
        if self.upstream is not None:
            self.upstream.pause()

    def reading_again(self) -> None:
        self.reading_paused = False
        if self.upstream is not None:
            self.upstream.resume()
