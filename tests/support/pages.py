"""The admin listener of a running program, or its pages on the public port, as somebody uses them.

api = Api(dashboard(program))                           # or Api(program.url, "/__failover", token)
assert (await api.post("/switch", to="backup")).status == 200
async with api.stream() as stream:                      # server-sent events, from the wire
    state = await stream.until(lambda state: state["serving"] == "backup")
"""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from support.load import Reply, ask
from support.program import PATIENCE, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from support.origin import Origin

BASE = "/api/v1"
Fields = tuple[tuple[str, str], ...]


def dashboard(program: Program, after: int = 0) -> str:
    """The address of the admin listener, with no slash at the end; waits until it is told."""
    return program.wait_for(r"dashboard on (http://\S+)/", after=after)[1].replace("//0.0.0.0:", "//127.0.0.1:")


def bearer(token: str) -> Fields:
    return (("Authorization", f"Bearer {token}"),)


QUICK = ("--check-interval", "200ms", "--backup-check-interval", "1s", "--ramp-step", "0", "--workers", "2")


@contextmanager
def running(primary: Origin, backup: Origin, *more: str, admin: str = "127.0.0.1:0", **kept: Any) -> Iterator[Program]:
    """The program before these two, with an admin listener of its own."""
    targets = ("--primary", primary.url, "--backup", backup.url)
    with Program(*targets, *QUICK, "--admin-listen", admin, *more, **kept) as program:
        yield program.ready()


class Api:
    """`url` and `prefix` are where the pages are; `fields` go with every request."""

    def __init__(self, url: str, prefix: str = "", token: str = "", fields: Fields = ()) -> None:
        self.url, self.prefix = url, prefix
        self.fields = (*fields, *(bearer(token) if token else ()))

    async def ask(
        self, path: str, method: str = "GET", fields: Sequence[tuple[str, str]] = (), body: bytes | None = None
    ) -> Reply:
        """Anything under the prefix."""
        return await ask(self.url, method, f"{self.prefix}{path}", [*self.fields, *fields], body)

    async def get(self, path: str, *fields: tuple[str, str]) -> Any:
        """What the API answers, which is to be 200."""
        reply = await self.ask(f"{BASE}{path}", fields=fields)
        assert reply.status == 200, (reply.status, reply.body)
        return json.loads(reply.body)

    async def post(self, path: str, *fields: tuple[str, str], **order: object) -> Reply:
        """An order to the API; `for` is spelt `for_`."""
        body = json.dumps({name.removesuffix("_"): value for name, value in order.items()}).encode()
        return await self.ask(f"{BASE}{path}", "POST", [("Content-Type", "application/json"), *fields], body)

    async def done(self, path: str, **order: object) -> str:
        """An order that is carried out: what it says."""
        reply = await self.post(path, **order)
        assert reply.status == 200, (reply.status, reply.body)
        return json.loads(reply.body)["done"]

    async def refused(self, path: str, **order: object) -> str:
        """An order that is not: why."""
        reply = await self.post(path, **order)
        assert reply.status == 409, (reply.status, reply.body)
        problem = json.loads(reply.body)
        assert problem["status"] == 409
        assert reply.header("Content-Type") == "application/problem+json"
        return problem["detail"]

    async def state(self) -> dict[str, Any]:
        return await self.get("/state")

    def stream(self, last: int | str | None = None, *, path: str = f"{BASE}/events") -> Stream:
        return Stream(self.url, f"{self.prefix}{path}", self.fields, last)

    async def until(self, reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first state, as the stream tells them, of which that holds."""
        async with self.stream() as stream:
            return await stream.until(reached)

    async def incidents(self) -> list[dict[str, Any]]:
        """Newest first, as the API lists them."""
        return await self.get("/incidents")

    async def ready(self) -> Self:
        """Wait until the pages are there: they begin after the proxy does."""
        async with asyncio.timeout(PATIENCE):
            while (await self.ask(f"{BASE}/state")).status == 503:
                pass
        return self


class Stream:
    """One that reads a stream of server-sent events. `head` is that of the answer."""

    def __init__(
        self,
        url: str,
        path: str,
        fields: Sequence[tuple[str, str]] = (),
        last: int | str | None = None,
        method: str = "GET",
    ) -> None:
        parts = urlsplit(url)
        self._port = parts.port
        replay = [("Last-Event-ID", str(last))] if last is not None else []
        lines = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/event-stream", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (*fields, *replay)]
        self._ask = "\r\n".join([*lines, "", ""]).encode()
        self._unread = b""

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.writer.write(self._ask)
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        self.writer.transport.abort()

    async def next(self) -> dict[str, str]:
        """The fields of the next message; heartbeats and `retry` are left out."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while b"\n\n" not in self._unread:
                    size = int(await self.reader.readline(), 16)
                    self._unread += (await self.reader.readexactly(size + 2))[:-2]
                one, _, self._unread = self._unread.partition(b"\n\n")
                fields = dict(line.split(": ", 1) for line in one.decode().split("\n"))
                if "event" in fields:
                    return fields

    async def read(self, number: int) -> list[dict[str, str]]:
        return [await self.next() for _ in range(number)]

    async def until(self, reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Read on to the first state of which that holds."""
        while True:
            message = await self.next()
            if message["event"] == "state" and reached(state := json.loads(message["data"])):
                return state

    async def happened(self, action: str) -> list[dict[str, Any]]:
        """Read on to the event of this action: all events up to it."""
        found = []
        while not found or found[-1]["action"] != action:
            message = await self.next()
            if message["event"] == "happened":
                found.append(json.loads(message["data"]))
                assert message["id"] == str(found[-1]["id"])
        return found

    async def ends(self) -> None:
        """Read to the end of the connection, polite or not."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                while await self.reader.read(1 << 16):
                    pass
