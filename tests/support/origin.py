"""A target of the test's own: it says exactly what it is told to, and remembers everything that it was sent.

    with Origin("primary") as primary:
        primary.answer = text("hello")              # to everything; or by path: primary.routes["/slow"] = delay(8)
        primary.then(drop(), drop())                # these first, one a request
        primary.script = lambda seen: ...           # or decide: an Answer, or None for the rules above
        ...requests...
        seen = primary.wait_for(lambda seen: seen.target == "/x" and seen.complete)
        primary.stop()                              # connections reset, the port refuses
        primary.start()                             # the same port again

It runs in a thread with a loop of its own, so a test may block or be a coroutine as it likes (`await primary.seen(…)`).
Orders are plain attributes: set them at any time; they hold from the next request, or connection, on.
`OriginProcess` is the same as a process, to be killed and stopped by signals; what it was sent goes to a file.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Literal, Self

from support.answer import Answer, Feed, text
from support.origin_wire import (
    NO_BODY,
    Seen,
    echo,
    framing,
    left_within,
    read_body,
    read_head,
    reset,
    reset_after_sending,
    send_body,
    write_head,
)
from support.program import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST_HEAD = 1 << 18


def hold_port(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A port that stays ours while nobody listens on it; those who listen set SO_REUSEPORT as well."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, port))
    return held


class Origin:
    """See above. `doorstep`: what a new connection meets: `open`, `reset` at once, or `hang` (nothing is read).
    `keep_alive`: requests after which a connection is closed without a word. `on_request`: called with each request."""

    def __init__(
        self,
        name: str = "primary",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        on_request: Callable[[Seen], None] = lambda _seen: None,
    ) -> None:
        # for its life
        self.name = name
        self._tls, self._host, self._on_request = tls, host, on_request
        self._held = hold_port(host, port)
        self.port: int = self._held.getsockname()[1]
        self.server_names: list[str | None] = []  # as TLS clients said them
        # orders
        self.answer: Answer = text(f"{name}\n")
        self.routes: dict[str, Answer] = {}
        self.script: Callable[[Seen], Answer | None] | None = None
        self.doorstep: Literal["open", "reset", "hang"] = "open"
        self.keep_alive: int | None = None
        self._next: list[Answer] = []
        # what it was sent
        self.requests: list[Seen] = []
        self.connections = 0
        self._told = threading.Condition()
        # while it runs
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._handlers: dict[asyncio.Task[object], asyncio.StreamWriter] = {}

    # -- its life

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def start(self) -> Self:
        assert self._thread is None, "runs already"
        ready: list[BaseException | None] = []
        started = threading.Event()

        async def live() -> None:
            self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
            try:
                server = await self._listen()
            except OSError as error:
                ready.append(error)
                started.set()
                return
            started.set()
            await self._ending.wait()
            for listening in server.sockets:
                self._loop.remove_reader(listening.fileno())
            for _ in range(4):
                await asyncio.sleep(0)  # a server that is closed leaks who was accepted a moment before (CPython 3.11)
            server.close()
            for writer in list(self._handlers.values()):
                reset(writer)
            for handler in list(self._handlers):
                handler.cancel()
            await asyncio.gather(*self._handlers, return_exceptions=True)
            await asyncio.sleep(0)

        self._thread = threading.Thread(target=asyncio.run, args=(live(),), name=f"origin {self.name}", daemon=True)
        self._thread.start()
        assert started.wait(PATIENCE)
        if ready and ready[0]:
            self._thread.join()
            self._thread = None
            raise ready[0]
        return self

    async def _listen(self) -> asyncio.Server:
        if self._tls:
            self._tls.sni_callback = lambda _tls, name, _context: self.server_names.append(name)
        return await asyncio.start_server(
            self._connected,
            self._host,
            self.port,
            ssl=self._tls,
            reuse_port=True,
            backlog=4096,
            limit=_LARGEST_HEAD,
        )

    def stop(self) -> None:
        """Reset all connections and refuse new ones; `start` serves again on the same port."""
        if self._thread is None:
            return
        assert self._loop is not None
        assert self._ending is not None
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the origin does not end"
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._held.close()

    # -- what it says and was sent

    def then(self, *answers: Answer) -> None:
        """Give these answers first, each once."""
        self._next.extend(answers)

    def wait_for(self, wanted: Callable[[Seen], object], patience: float = PATIENCE) -> Seen:
        """The first request that is as wanted; asked again whenever one comes, is complete, or is left."""
        until = time.monotonic() + patience
        with self._told:
            while True:
                for seen in self.requests:
                    if wanted(seen):
                        return seen
                if not self._told.wait(until - time.monotonic()):
                    raise AssertionError(f"no such request in {patience:g} s; there were {self.requests!r:.2000}")

    async def seen(self, wanted: Callable[[Seen], object], patience: float = PATIENCE) -> Seen:
        """`wait_for` in a coroutine."""
        return await asyncio.to_thread(self.wait_for, wanted, patience)

    def _tell(self) -> None:
        with self._told:
            self._told.notify_all()

    def _choose(self, seen: Seen) -> Answer:
        if self.script and (answer := self.script(seen)):
            return answer
        if self._next:
            return self._next.pop(0)
        return self.routes.get(seen.path, self.answer)

    # -- one connection

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, self.connections))
        self._handlers[task] = writer  # known from here on: it may be ended before it has begun

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if self.doorstep == "reset":
                reset(writer)
                return
            if self.doorstep == "hang":
                await asyncio.Event().wait()
            nth = 1
            while await self._exchange(reader, writer, number, nth):
                if nth == self.keep_alive:
                    return
                nth += 1
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass  # a connection that ends is what many tests are about; the requests tell
        finally:
            del self._handlers[task]
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int, nth: int
    ) -> bool:
        """Read a request and answer it; False when the connection ends with it."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        seen = read_head(head, connection, nth)
        answer = self._choose(seen)
        with self._told:
            self.requests.append(seen)
            self._told.notify_all()
        try:
            if (seen.header("Expect") or "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            whole = await read_body(reader, seen, answer.reads)
            seen.complete, seen.body_sha256 = whole, seen._hash.hexdigest()
            self._on_request(seen)
            self._tell()
            keep = await self._answer(reader, writer, seen, answer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            seen.left = True
            raise
        finally:
            self._tell()
        return keep and whole

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen, answer: Answer
    ) -> bool:
        if answer.delay and await left_within(reader, asyncio.sleep(answer.delay)):
            seen.left = True
            return False
        if answer.fault == "hang":
            if answer.reads is not None:
                await asyncio.Event().wait()  # what was not to be read stays unread
            await left_within(reader, asyncio.Event().wait())
            seen.left = True
        if answer.fault == "reset":
            reset(writer)
        if answer.fault:
            return False
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            return False
        for status, headers in answer.interim:
            writer.write(write_head(status, "Told", "1.1", tuple(headers.items())))
        if answer.upgrade:
            switched = (("Connection", "Upgrade"), ("Upgrade", answer.upgrade), *answer.headers)
            writer.write(write_head(101, answer.reason, "1.1", switched))
            return await echo(reader, writer, seen)
        keep, chunked = framing(seen, answer)
        writer.write(
            write_head(answer.status, answer.reason, answer.version, self._headers(seen, answer, keep, chunked))
        )
        await writer.drain()
        if seen.method != "HEAD" and answer.status not in NO_BODY:
            sending = send_body(writer, answer, chunked)
            if isinstance(answer.body, Feed):
                if await left_within(reader, sending):
                    seen.left = True
                    return False
            else:
                await sending
            if answer.cut_at is not None:
                if answer.cut_by == "half_close":
                    writer.write_eof()
                    await left_within(reader, asyncio.Event().wait())
                elif answer.cut_by == "reset":
                    await reset_after_sending(writer)
                return False
        seen.answered = True
        return keep

    def _headers(self, seen: Seen, answer: Answer, keep: bool, chunked: bool) -> tuple[tuple[str, str], ...]:
        given = {name.lower() for name, _ in answer.headers}
        own = [("X-Origin", self.name)] if "x-origin" not in given else []
        if not given & {"content-length", "transfer-encoding"} and answer.status >= 200 and answer.status != 204:
            if chunked:
                own.append(("Transfer-Encoding", "chunked"))
            elif not isinstance(answer.body, Feed) and answer.version == "1.1":
                own.append(("Content-Length", str(len(answer.body) if answer.length is None else answer.length)))
        if not keep and "connection" not in given:
            own.append(("Connection", "close"))
        return (*own, *answer.headers)
