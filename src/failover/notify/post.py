"""One request to a destination, and what went wrong with it. Loads aiohttp: only the courier's thread imports this."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from yarl import URL

from failover.core.words import failing, lasting
from failover.faults import translate
from failover.notify.verdict import Answer, Refusal, Then, Verdict

if TYPE_CHECKING:
    from failover.core.model import ErrorType

_LONGEST_BODY = 64 * 1024
_CONNECT_SHARE = 2 / 3
_JSON = "application/json"


def session(try_for: float) -> aiohttp.ClientSession:
    """What a thread sends with. A proxy in HTTPS_PROXY is used; `try_for`: seconds for one request, all in all.

    Each request has a connection of its own: one that was kept may be dead, and then nobody knows what arrived.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver(), force_close=True, use_dns_cache=False),
        timeout=aiohttp.ClientTimeout(total=try_for, connect=try_for * _CONNECT_SHARE),
        trust_env=True,
        auto_decompress=True,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def send(
    http: aiohttp.ClientSession,
    url: str,
    *,
    payload: object = None,
    data: bytes | aiohttp.FormData | None = None,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    repeatable: bool = False,
) -> Answer:
    """Send a payload as JSON, or data as they are. Raises Refusal when there is no answer. `repeatable`: to do it twice
    does no harm, so nobody needs to know whether it was done.
    """
    headers = dict(headers or {})
    if payload is not None:
        data = msgspec.json.encode(payload)
        headers.setdefault("content-type", _JSON)
    host = URL(url, encoded=True).host or "the address"
    try:
        # As it was given: the signature in an address is of its very letters.
        async with http.request(
            method, URL(url, encoded=True), data=data, headers=headers, allow_redirects=False
        ) as response:
            body = await _beginning(response)
            fields = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, fields, body.decode("utf-8", errors="replace"))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        verdict = _verdict(error, host, http.timeout.total or 0.0)
        raise Refusal(replace(verdict, unsure=verdict.unsure and not repeatable)) from error


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= _LONGEST_BODY:
            break
    return bytes(body[:_LONGEST_BODY])


def _verdict(error: Exception, host: str, try_for: float) -> Verdict:
    """The network's failures: all are tried again. Those after the request was sent leave in doubt what arrived."""
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return Verdict(then=Then.BROKEN, reason="the address cannot be read")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Verdict(then=Then.RETRY, reason=f"DNS error for {host}", words=error.os_error.strerror or "")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _fault(error.certificate_error, host)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _fault(error.os_error.__cause__ or error.os_error, host)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Verdict(then=Then.RETRY, reason=f"no connection to {host} within {lasting(try_for * _CONNECT_SHARE)}")
    if isinstance(error, TimeoutError):
        return Verdict(then=Then.RETRY, reason=f"no answer from {host} within {lasting(try_for)}", unsure=True)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Verdict(then=Then.RETRY, reason=f"the proxy on the way to {host} answered {error.status}")
    return Verdict(then=Then.RETRY, reason=f"{host} closed the connection before it answered", unsure=True)


def _fault(error: BaseException, host: str) -> Verdict:
    fault = translate(error, connecting=True)
    kind: ErrorType = fault.error
    return Verdict(then=Then.RETRY, reason=failing(host, kind, fault.detail))


def as_object(answer: Answer) -> dict[str, Any]:
    """The JSON object in an answer, or an empty one."""
    try:
        found = msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
