"""One probe: a fresh connection, one request, and a signal, whatever happens (spec 8).

Each phase is timed, because the phase in which a target fails says much about why. `probe` never raises, and gives
exactly one result within its time.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from failover import __version__
from failover.controller.answer import Answer
from failover.controller.describe import Reader
from failover.controller.readable import readable, unescaped
from failover.core.alike import Look
from failover.core.events import Signal, Source
from failover.core.headers import host_to_send
from failover.core.model import PRIMARY, ErrorType, Target
from failover.dial import dial
from failover.faults import OUR_OWN, Fault, translate
from failover.observe import log
from failover.observe.shortage import Shortage

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping

    from failover.controller.resolver import Resolver
    from failover.core.document import Certificate
    from failover.core.model import Address
    from failover.settings.model import Settings

USER_AGENT = f"failover/{__version__} (health check)"

_LATE = 0.2  # a time-out that comes so late tells of ourselves: the answer may have been here all the while

_TIMED_OUT = {
    "dns": Fault(ErrorType.DNS_TIMEOUT, "no name server answered"),
    "tcp": Fault(ErrorType.CONNECTION_TIMEOUT, "no connection in time"),
    "tls": Fault(ErrorType.CONNECTION_TIMEOUT, "the TLS handshake did not end in time"),
    "head": Fault(ErrorType.HTTP_RESPONSE_TIMEOUT, "no response head in time"),
    "body": Fault(ErrorType.CONNECTION_READ_TIMEOUT, "the body did not end in time"),
}


@dataclass(slots=True)
class Course:
    """How far a probe got: `phase` is where it is, `took` how long each finished phase lasted, in seconds.

    `address` is the one that was connected to, or that alone could have been; `certificate` was verified.
    """

    began: float = field(default_factory=monotonic)
    phase: str = "dns"
    took: dict[str, float] = field(default_factory=dict)
    address: str = ""
    certificate: Certificate | None = None
    _since: float = field(default_factory=monotonic)

    def enter(self, phase: str, now: float | None = None) -> None:
        at = monotonic() if now is None else now
        self.took[self.phase] = at - self._since
        self.phase, self._since = phase, at


@dataclass(frozen=True, slots=True)
class Result:
    """What a probe found out. `status` is 0 where no response head came; `took` is seconds by phase.

    `headers` are those that tell of a platform or a plan, `length` is that of the body, and `body` its beginning as
    text if the answer was a bad one, secrets masked.
    """

    signal: Signal
    status: int = 0
    server: str = ""
    took: dict[str, float] = field(default_factory=dict)
    address: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int = 0
    body: str = ""
    certificate: Certificate | None = None


class Prober:
    """Probes targets as the settings say. `tls` is what https targets are verified with, `via` the name that our own
    workers write into Via.
    """

    def __init__(
        self,
        settings: Settings,
        resolver: Resolver,
        loop: asyncio.AbstractEventLoop,
        tls: ssl.SSLContext | None,
        via: str = "",
    ) -> None:
        self._settings = settings
        self._via = via
        self._resolver = resolver
        self._loop = loop
        self._client_tls = tls
        self._certificates = Reader()
        self._shortage = Shortage(log.get("controller"), "targets cannot be probed, their verdicts stay as they are")

    async def probe(self, target: Target, within: float) -> Result:
        """Ask the target once, within so many seconds."""
        course = Course()
        answer = Answer(self._loop, self._settings.check_method)
        fault: Fault | None = None
        try:
            async with asyncio.timeout(within):
                await self._ask(target, answer, course, self._request(target))
        except Fault as failed:
            fault = failed
        except TimeoutError as error:
            fault = _TIMED_OUT[course.phase] if error.errno is None else translate(error, connecting=True)
        except Exception as error:  # noqa: BLE001 - a probe without a signal would be waited for for ever
            fault = translate(error, connecting=course.phase in {"tcp", "tls"})
        finally:
            answer.abandon()
        latency = monotonic() - course.began
        if fault is not None and latency > within + _LATE:
            fault = Fault(ErrorType.PROXY_INTERNAL_ERROR, "this machine was too busy to hear of an answer in time")
        if fault is None:
            fault = self._judge(target, answer.status, answer.headers.get("Via", ""))
        if fault is not None and fault.error in OUR_OWN:
            self._shortage.begins(fault.detail)
        else:
            self._shortage.ends()
        if fault is None:
            signal = Signal(Source.PROBE, target.alias, good=True, latency=latency)
        else:
            detail = fault.detail
            signal = Signal(
                Source.PROBE, target.alias, good=False, error=fault.error, detail=detail, began=course.began
            )
        if answer.head_at is None:
            return Result(signal, 0, answer.server, course.took, course.address, certificate=course.certificate)
        return Result(
            signal,
            answer.status,
            answer.server,
            course.took,
            course.address,
            answer.headers,
            answer.length,
            "" if signal.good else readable(answer.beginning, answer.headers.get("Content-Type", "")),
            course.certificate,
        )

    async def look(self, target: Target, path: str, within: float) -> Look | None:
        """Ask for what a user asked for, without anybody's secrets. None where it gave no answer."""
        answer = Answer(self._loop, "GET")
        request = self._written("GET", target, f"{target.base_path}{path}", "text/html,*/*;q=0.8")
        try:
            async with asyncio.timeout(within):
                await self._ask(target, answer, Course(), request)
        except Exception:  # noqa: BLE001 - a drill takes it for a difference, whatever it was
            return None
        finally:
            answer.abandon()
        return look_of(target, answer)

    async def _ask(self, target: Target, answer: Answer, course: Course, request: bytes) -> None:
        addresses = await self._resolver.first(target)
        course.enter("tcp")
        course.address = _written(addresses[0]) if len(addresses) == 1 else ""
        sock = await dial(self._loop, addresses, self._settings.connect_timeout)
        course.address = _peer(sock) or course.address
        course.enter("tls")
        try:
            await self._loop.create_connection(
                lambda: answer,
                sock=sock,
                ssl=self._client_tls if target.tls else None,
                server_hostname=target.host if target.tls else None,
            )
        except BaseException:
            sock.close()
            raise
        course.enter("head")
        course.certificate = self._certificates.read(answer.transport) if target.tls else None
        if answer.transport is not None:
            answer.transport.write(request)
        try:
            await answer.whole
        finally:
            if answer.head_at is not None:
                course.enter("body", answer.head_at)
        course.enter("done")

    def _request(self, target: Target) -> bytes:
        settings = self._settings
        path = f"{target.base_path or '/'}{'?' + target.query if target.query else ''}"
        if settings.check_path is not None and target.alias == PRIMARY:
            path = settings.check_path
        return self._written(settings.check_method, target, path, "*/*")

    def _written(self, method: str, target: Target, path: str, accept: str) -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {host_to_send(target, self._settings.host) or target.authority}",
            f"User-Agent: {USER_AGENT}",
            f"Accept: {accept}",
            "Connection: close",
        ]
        if target.authorization:
            lines.append(f"Authorization: {target.authorization}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _judge(self, target: Target, status: int, via: str) -> Fault | None:
        """What is wrong with a whole answer of this status. What the user expects is asked of the primary alone."""
        settings = self._settings
        if self._via and self._via in via:
            # It may well be a good one: that of the backup, as long as that serves.
            return Fault(ErrorType.PROXY_LOOP_DETECTED, f"{target.host} leads back to this proxy")
        expected: tuple[tuple[int, int], ...] = ((200, 499),)
        if target.alias == PRIMARY:
            if settings.check_expect is not None:
                expected = settings.check_expect
            elif settings.check_path is not None:
                expected = ((200, 399),)
        if any(low <= status <= high for low, high in expected):
            return None
        if status == 429 and settings.check_expect is None:
            return None  # it asks for fewer requests, so it is there
        if status >= 500:
            return Fault(ErrorType.HTTP_5XX, str(status))
        return Fault(ErrorType.DESTINATION_UNAVAILABLE, f"its health check was answered {status}")


_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


def look_of(target: Target, answer: Answer) -> Look:
    """What a visitor would see of an answer; a redirect to the target itself leads him to a path."""
    page = answer.beginning.decode("utf-8", "replace")
    title = _TITLE.search(page)
    here = f"{target.scheme}://{target.authority}"
    location = answer.headers.get("Location", "")
    return Look(
        status=answer.status,
        content_type=answer.headers.get("Content-Type", ""),
        title=unescaped(title[1]) if title else "",
        length=answer.length,
        location=location.removeprefix(here) if f"{location}/".startswith(f"{here}/") else location,
        server=answer.server,
    )


def _peer(sock: socket.socket) -> str:
    try:
        return _written(sock.getpeername()[:2])
    except OSError:  # it has just been closed by the peer
        return ""


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
