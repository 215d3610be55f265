"""Visitors: a steady load on one address, and an honest count of what they saw.

    with Load(program.url, rate=150, posts=0.5) as load:      # 150 requests a second, come what may (open loop)
        load.wait_for(answered=200)
        primary.kill()
        load.wait_for(answered=500)
    tally = load.tally
    assert not tally.failures, tally
    with Load(url, visitors=8) as load: ...                   # or 8 visitors, each asking again when answered

It runs in a thread of its own, so tests may block. Every request has its own id in `X-Id` (and in the body of a POST):
what the origins noted is held against `tally.answered_ids`. A visitor keeps his connection. As a browser does, he sends
a GET once more on a fresh connection when the kept one ended without a byte; `tally.reconnects` counts that.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from support.program import PATIENCE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

_ANSWER_WITHIN = 60.0


class CutError(Exception):
    """The answer ended before its end."""


class UnansweredError(Exception):
    """The connection ended without one byte of an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    keep: bool

    def header(self, name: str) -> str | None:
        values = [value for one, value in self.headers if one.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Failure:
    """What a visitor saw instead of a good answer: `unanswered`, `cut`, `refused`, `late`, or a status from 500 on."""

    method: str
    id: str
    what: str
    at: float  # seconds since the load began


@dataclass(slots=True)
class Tally:
    """What the visitors saw. `by` counts who answered, by the header X-Origin. Latencies are seconds."""

    sent: int = 0
    answered: int = 0
    failures: list[Failure] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    by: Counter[str] = field(default_factory=Counter)
    answered_ids: dict[str, set[str]] = field(default_factory=lambda: {"GET": set(), "POST": set()})
    latencies: list[float] = field(default_factory=list)
    reconnects: int = 0

    def failed(self, method: str = "") -> int:
        return sum(1 for failure in self.failures if method in ("", failure.method))

    @property
    def slowest(self) -> float:
        return max(self.latencies, default=0.0)

    def __str__(self) -> str:
        kinds = Counter(f"{failure.method} {failure.what}" for failure in self.failures)
        return (
            f"sent {self.sent}, answered {self.answered}, failed {len(self.failures)} {dict(kinds)}, "
            f"statuses {dict(self.statuses)}, by {dict(self.by)}, slowest {self.slowest * 1000:.0f} ms, "
            f"reconnects {self.reconnects}"
        )


class Visitor:
    """One client with one kept connection."""

    def __init__(self, url: str, *, tls: ssl.SSLContext | None = None, source: str | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._netloc, self._path = parts.netloc, parts.path or "/"
        self._tls = tls if parts.scheme == "https" else None
        self._source = source
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.reconnects = 0

    async def ask(
        self,
        method: str = "GET",
        path: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Reply:
        """Raises CutError, UnansweredError, or OSError where there is no connection."""
        given = {name.lower() for name, _ in headers}
        lines = [f"{method} {self._path if path is None else path} HTTP/1.1"]
        lines += [f"Host: {self._netloc}"] if "host" not in given else []
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"Content-Length: {len(body)}"] if body is not None else []
        raw = "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
        kept = self._streams is not None
        try:
            return await self._once(method, raw)
        except UnansweredError:
            if not kept or method not in ("GET", "HEAD"):
                raise
        self.reconnects += 1
        return await self._once(method, raw)

    async def _once(self, method: str, raw: bytes) -> Reply:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                self._host,
                self._port,
                ssl=self._tls,
                local_addr=(self._source, 0) if self._source else None,
                limit=1 << 18,
            )
        reader, writer = self._streams
        reply = None
        try:
            try:
                writer.write(raw)
                await writer.drain()
            except ConnectionError:
                pass  # an answer may have come before the end
            reply = await read_reply(reader, method)
            return reply
        finally:
            if reply is None or not reply.keep:
                self.leave()

    def leave(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def ask(
    url: str,
    method: str = "GET",
    path: str = "/page",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
    source: str | None = None,
) -> Reply:
    """One request of a visitor who leaves afterwards; `source` is the address that he comes from."""
    visitor = Visitor(url, source=source)
    try:
        return await visitor.ask(method, path, headers, body)
    finally:
        visitor.leave()


async def read_reply(reader: asyncio.StreamReader, method: str = "GET") -> Reply:
    """One whole answer, 1xx skipped."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise (CutError if error.partial else UnansweredError) from None
        except ConnectionError:
            raise UnansweredError from None
        first, *lines = head.decode("latin-1")[:-4].split("\r\n")
        status = int(first.split(" ")[1])
        if status >= 200:
            break
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    found = {name.lower(): value for name, value in headers}
    keep = first.startswith("HTTP/1.1") and found.get("connection", "").lower() != "close"
    try:
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif "chunked" in found.get("transfer-encoding", ""):
            body = await _read_chunks(reader)
        elif "content-length" in found:
            body = await reader.readexactly(int(found["content-length"]))
        else:
            body, keep = await reader.read(), False
    except (asyncio.IncompleteReadError, ConnectionError):
        raise CutError from None
    return Reply(status, headers, body, keep)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if not size:
            break
        body += (await reader.readexactly(size + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


class Load:
    """See above. `posts` is the share of requests that are POSTs, `path` says what request number n asks for."""

    def __init__(
        self,
        url: str,
        *,
        rate: float | None = None,
        visitors: int | None = None,
        posts: float = 0.0,
        path: Callable[[int], str] = lambda _n: "/",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        assert (rate is None) != (visitors is None), "either a rate or a number of visitors"
        self.tally = Tally()
        self._url, self._rate, self._visitors, self._posts, self._path, self._tls = (
            url,
            rate,
            visitors,
            posts,
            path,
            tls,
        )
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._live(),), name="load", daemon=True)
        self._began = time.monotonic()
        self._idle: list[Visitor] = []
        self._running: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Tally:
        """Ask no more, wait for what is asked already, and give the tally."""
        self._ending.set()
        self._thread.join(_ANSWER_WITHIN + PATIENCE)
        assert not self._thread.is_alive(), f"the load does not end: {self.tally}"
        return self.tally

    def wait_for(self, *, answered: int = 0, by: dict[str, int] | None = None, failed: int = 0) -> Tally:
        """Wait until that many more requests are answered (at all, and by these origins), or have failed."""
        wanted = dict(by or {})
        start, start_by, start_failed = self.tally.answered, Counter(self.tally.by), len(self.tally.failures)

        def reached() -> bool:
            return (
                self.tally.answered >= start + answered
                and all(self.tally.by[name] >= start_by[name] + count for name, count in wanted.items())
                and len(self.tally.failures) >= start_failed + failed
            )

        with self._changed:
            assert self._changed.wait_for(reached, PATIENCE), f"waited for {answered=} {by=} {failed=}: {self.tally}"
        return self.tally

    async def _live(self) -> None:
        if self._visitors is not None:
            await asyncio.gather(*(self._loop_of(number) for number in range(self._visitors)))
        else:
            await self._open_loop()
        for visitor in self._idle:
            visitor.leave()

    async def _loop_of(self, number: int) -> None:
        visitor = Visitor(self._url, tls=self._tls)
        count = 0
        while not self._ending.is_set():
            await self._ask(visitor, count * (self._visitors or 1) + number)
            count += 1
        visitor.leave()

    async def _open_loop(self) -> None:
        loop = asyncio.get_running_loop()
        number = 0
        while not self._ending.is_set():
            due = self._began + number / (self._rate or 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            visitor = self._idle.pop() if self._idle else Visitor(self._url, tls=self._tls)
            task = loop.create_task(self._ask_and_return(visitor, number))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            number += 1
        await asyncio.gather(*self._running)

    async def _ask_and_return(self, visitor: Visitor, number: int) -> None:
        await self._ask(visitor, number)
        self._idle.append(visitor)

    async def _ask(self, visitor: Visitor, number: int) -> None:
        post = int((number + 1) * self._posts) > int(number * self._posts)
        method, name = ("POST" if post else "GET"), f"{number}"
        reply, what, began = None, "", time.monotonic()
        self.tally.sent += 1
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                reply = await visitor.ask(method, self._path(number), [("X-Id", name)], name.encode() if post else None)
        except UnansweredError:
            what = "unanswered"
        except CutError:
            what = "cut"
        except TimeoutError:
            what = "late"
        except OSError as error:
            what = f"refused ({error.strerror})"
        self._count(method, name, reply, what, time.monotonic() - began)
        self.tally.reconnects += visitor.reconnects
        visitor.reconnects = 0

    def _count(self, method: str, name: str, reply: Reply | None, what: str, took: float) -> None:
        with self._changed:
            self.tally.latencies.append(took)
            if reply is not None:
                self.tally.statuses[reply.status] += 1
                self.tally.by[reply.header("X-Origin") or "?"] += 1
                what = str(reply.status) if reply.status >= 500 else ""
            if what:
                self.tally.failures.append(Failure(method, name, what, time.monotonic() - self._began))
            else:
                self.tally.answered += 1
                self.tally.answered_ids[method].add(name)
            self._changed.notify_all()
