"""Asking a target one thing, as the proxy would ask it. Only what changes nothing is ever asked: GET, HEAD, OPTIONS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from failover import __version__
from failover.core.alike import Look
from failover.core.headers import host_to_send, location_rewriter
from failover.core.model import Address, ErrorType, Target
from failover.dial import client_tls, dial
from failover.doctor.page import Page
from failover.faults import Fault, translate
from failover.settings.secret import mask_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failover.settings.model import Settings

USER_AGENT = f"failover/{__version__} (check)"
ANYBODY = "check.example.invalid"
"""A name that no target can know: what a visitor's Host is when nobody has told us the public one."""

_MOST = 1024 * 1024
_LONGEST_HEAD = 64 * 1024
_LONGEST_WAIT = 10.0
_REST = 1.0
_VISITED = b"visited.invalid"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Answer:
    """One answer. Names of `fields` are in lower case; `length` is that of the whole body as it was sent, of which
    `body` is at most the first MiB; `took` is seconds until the head.
    """

    status: int
    fields: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    body: bytes = b""
    length: int = 0
    took: float = 0.0

    @cached_property
    def page(self) -> Page:
        return Page(self.plain or b"" if self.is_page else b"")

    @cached_property
    def plain(self) -> bytes | None:
        """The body as it reads, or None where we do not know its coding: some send coded what was asked for plain."""
        coding = self.fields.get("content-encoding", "").lower()
        if coding in {"", "identity"}:
            return self.body
        if coding in {"gzip", "x-gzip", "deflate"}:
            with contextlib.suppress(zlib.error):
                return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(self.body, _MOST)
        return None

    @property
    def is_page(self) -> bool:
        return self.fields.get("content-type", "").lower().startswith(("text/html", "application/xhtml"))


class Asker:
    """Asks the targets whose names have been resolved, each time over a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.within = min(_LONGEST_WAIT, settings.first_byte_timeout)
        self.public_host = urlsplit(settings.public_url).netloc if settings.public_url else ""
        self.tls = client_tls(settings.upstream_ca)
        self._known: dict[str, tuple[str, ...]] = {}

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=_Known(self._known), force_close=True, use_dns_cache=False, ssl=self.tls
        )
        self._http = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_LONGEST_HEAD,
            max_field_size=_LONGEST_HEAD,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    def know(self, target: Target, addresses: tuple[str, ...]) -> None:
        """Where the target is: it is asked for no second time."""
        self._known[target.host] = addresses

    def addresses(self, target: Target) -> tuple[Address, ...]:
        return tuple((address, target.port) for address in self._known.get(target.host, ()))

    def host(self, target: Target) -> str:
        """The Host that the target is sent for a visitor of the public name, as far as that is known."""
        return host_to_send(target, self.settings.host) or self.public_host or target.authority

    async def ask(
        self,
        target: Target,
        path: str,
        *,
        method: str = "GET",
        host: str = "",
        fields: Mapping[str, str] | None = None,
        body: bool = True,
    ) -> Answer:
        """What the target answers. The path is its own, `base_path` included. Raises Fault when there is no answer."""
        assert method in _SAFE, method  # noqa: S101 - the promise of this file
        began = monotonic()
        head: aiohttp.ClientResponse | None = None
        try:
            async with (
                asyncio.timeout(self.within),
                self._http.request(
                    method,
                    URL(f"{target.scheme}://{target.authority}{path}", encoded=True),
                    headers=self._fields(target, host or self.host(target)) | dict(fields or {}),
                    allow_redirects=False,
                ) as head,
            ):
                took = monotonic() - began
                is_endless = head.content_type == "text/event-stream"
                pieces = await _read(head) if body and not is_endless else b""
                return _answer(head, pieces, took)
        except TimeoutError:
            if head is not None:
                raise Fault(ErrorType.CONNECTION_READ_TIMEOUT, "the body did not end in time") from None
            raise Fault(ErrorType.HTTP_RESPONSE_TIMEOUT, "no response head in time") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise translate(error.certificate_error, connecting=True) from None
        except aiohttp.ClientConnectorError as error:
            raise translate(error.os_error.__cause__ or error.os_error, connecting=True) from None
        except aiohttp.ServerDisconnectedError:
            raise Fault(ErrorType.CONNECTION_TERMINATED, "closed without an answer") from None
        except aiohttp.ClientPayloadError:
            raise Fault(ErrorType.HTTP_RESPONSE_INCOMPLETE, "the connection was closed in the middle of it") from None
        except aiohttp.ClientResponseError as error:
            raise Fault(ErrorType.HTTP_PROTOCOL_ERROR, error.message.partition("\n")[0].lower()[:100]) from None
        except (aiohttp.ClientError, OSError) as error:
            raise translate(error, connecting=False) from None

    async def head(self, target: Target, path: str) -> tuple[int, bool]:
        """The status of a HEAD, and whether a body came after it, which a client's library would not let us see."""
        try:
            async with asyncio.timeout(self.within):
                return await self._head(target, path)
        except TimeoutError:
            raise Fault(ErrorType.HTTP_RESPONSE_TIMEOUT, "no response head in time") from None
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise Fault(ErrorType.CONNECTION_TERMINATED, "closed without an answer") from None
        except OSError as error:
            raise translate(error, connecting=False) from None

    async def _head(self, target: Target, path: str) -> tuple[int, bool]:
        sock = await dial(asyncio.get_running_loop(), self.addresses(target))
        try:
            reader, writer = await asyncio.open_connection(
                sock=sock,
                ssl=self.tls if target.tls else None,
                server_hostname=target.host if target.tls else None,
                limit=_LONGEST_HEAD,
            )
        except BaseException:
            sock.close()
            raise
        try:
            fields = self._fields(target, self.host(target)) | {"Connection": "close"}
            lines = [f"HEAD {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            status = 0
            while status < 200:
                status = _status((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
            try:
                async with asyncio.timeout(_REST):  # it was told to close: what comes before the end is a body
                    return status, bool(await reader.read(1))
            except (TimeoutError, OSError):
                return status, False
        finally:
            writer.transport.abort()

    def _fields(self, target: Target, host: str) -> dict[str, str]:
        fields = {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
        if target.authorization:
            fields["Authorization"] = target.authorization
        if self.settings.public_url:
            fields["X-Forwarded-Host"] = self.public_host
            fields["X-Forwarded-Proto"] = urlsplit(self.settings.public_url).scheme
        return fields

    def look(self, target: Target, answer: Answer) -> Look:
        """The answer as a visitor of the public name would see it."""
        return Look(
            status=answer.status,
            content_type=answer.fields.get("content-type", ""),
            title=answer.page.title,
            length=answer.length if answer.plain is answer.body else -1 if answer.plain is None else len(answer.plain),
            location=mask_text(self.seen_location(target, answer)),
            server=answer.fields.get("server", ""),
        )

    def seen_location(self, target: Target, answer: Answer) -> str:
        """Where a redirect leads: a path, where the proxy would write the public name, or a name of somebody else."""
        value = answer.fields.get("location", "").encode("utf-8", errors="replace")
        seen = location_rewriter(target)(value, b"https", _VISITED).decode(errors="replace")
        for name in (_VISITED.decode(), self.public_host, self.host(target)):
            for scheme in ("https:", "http:", ""):
                rest = seen.removeprefix(f"{scheme}//{name}")
                if name and rest != seen and rest[:1] in {"", "/", "?", "#"}:
                    return rest if rest.startswith("/") else f"/{rest}"
        return seen


class _Known(AbstractResolver):
    """Names that have been resolved already, in a thread that nobody has to wait for."""

    def __init__(self, known: dict[str, tuple[str, ...]]) -> None:
        self._known = known

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = [(one, socket.AF_INET6 if ":" in one else socket.AF_INET) for one in self._known.get(host, ())]
        return [
            ResolveResult(hostname=host, host=one, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for one, kind in found
            if family in {socket.AF_UNSPEC, kind}
        ]

    async def close(self) -> None:
        pass


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= _MOST:
            break
    return bytes(body[:_MOST])


def _answer(response: aiohttp.ClientResponse, body: bytes, took: float) -> Answer:
    fields: dict[str, str] = {}
    for name, value in response.headers.items():
        lower = name.lower()
        fields[lower] = f"{fields[lower]}, {value}" if lower in fields else value
    stated = fields.get("content-length", "")
    length = int(stated) if stated.isdecimal() and len(stated) < 16 else len(body)
    return Answer(response.status, fields, tuple(response.headers.getall("Set-Cookie", ())), body, length, took)


def _status(line: bytes) -> int:
    """The status in `HTTP/1.1 200 OK`."""
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise Fault(ErrorType.HTTP_PROTOCOL_ERROR, "no status line")
    return int(words[1])
