"""The way to a target, step by step: its name, a connection, a certificate; and whether it leads back to us."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any

from failover.core.model import ErrorType
from failover.core.words import CHECK, SENTENCE, count, lasting
from failover.dial import client_tls, dial
from failover.doctor.base import Finding, fail, ok, warn
from failover.faults import Fault, translate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from failover.core.document import Certificate
    from failover.core.model import Address, Target
    from failover.doctor.base import Means
    from failover.doctor.look import Asker
    from failover.settings.types import Listen

_SOON = timedelta(days=14)
_VERY_SOON = timedelta(days=3)
_SHOWN = 4
_NOBODYS = "192.0.2.1"  # TEST-NET-1: no machine has it (RFC 5737)
_ANY = {"0.0.0.0", "::"}
_OWN_ADDRESS = "give the app's own address, such as that of its host, not the name that leads visitors to this proxy"

_ISSUES = {
    "expired": "renew it, and see why it was not renewed by itself",
    "not yet valid": "is the clock of this machine right? Else wait, or issue it anew",
    "wrong name": "write a name that the certificate is for, or issue it for this one as well",
    "self-signed": "name it with --upstream-ca FILE, or take one of a public authority",
    "unknown authority": "name the authority with --upstream-ca FILE; is the chain sent whole, intermediates included?",
}


async def way(target: Target, asker: Asker, means: Means) -> list[Finding]:
    """All steps, up to the first that fails. The asker knows the addresses afterwards."""
    settings = asker.settings
    loop = asyncio.get_running_loop()
    began = monotonic()
    try:
        found = await resolve(target.host, asker.within)
    except Fault as fault:
        return [fail("dns", target.alias, f"{target.host} {_what(fault)}", CHECK[fault.error])]
    asker.know(target, found)
    findings = []
    if found != (target.host,):
        findings.append(ok("dns", target.alias, f"{target.host} is {_list(found)}, in {lasting(monotonic() - began)}"))
    findings += own_address(target, found, settings.listen)
    findings += readable(target, found)
    try:
        async with asyncio.timeout(settings.connect_timeout):
            began = monotonic()
            sock = await dial(loop, asker.addresses(target))
            took = monotonic() - began
            peer = _written(sock.getpeername()[:2])
            sock.close()
    except (Fault, TimeoutError) as error:
        kind = error.error if isinstance(error, Fault) else translate(error, connecting=True).error
        text = f"{_list(found)} port {target.port} {SENTENCE[kind]}"
        return [*findings, fail("tcp", target.alias, text, CHECK[kind])]
    findings.append(ok("tcp", target.alias, f"connects to {peer} in {lasting(took)}"))
    if target.tls:
        findings.append(await _tls(target, asker, means))
    return findings


async def resolve(host: str, within: float) -> tuple[str, ...]:
    """The addresses of a name, each once. Raises Fault.

    In a daemon thread: `getaddrinfo` may hang for minutes, cannot be interrupted, and nobody may have to wait for it.
    """
    with contextlib.suppress(ValueError):
        return (str(ipaddress.ip_address(host)),)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def tell(addresses: tuple[str, ...], fault: Fault | None) -> None:
        if done.done():
            return
        if fault is None:
            done.set_result(addresses)
        else:
            done.set_exception(fault)

    def ask() -> None:
        addresses: tuple[str, ...] = ()
        fault: Fault | None = None
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except socket.gaierror as error:
            kind = ErrorType.DNS_TIMEOUT if error.errno == socket.EAI_AGAIN else ErrorType.DNS_ERROR
            fault = Fault(kind, (error.strerror or "it does not resolve").lower())
        except (OSError, UnicodeError) as error:
            fault = Fault(ErrorType.DNS_ERROR, type(error).__name__)
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(tell, addresses, fault)

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    try:
        async with asyncio.timeout(within):
            return await done
    except TimeoutError:
        raise Fault(ErrorType.DNS_TIMEOUT, "no name server answered") from None


# -- TLS


async def handshake(addresses: tuple[Address, ...], host: str, context: ssl.SSLContext) -> Mapping[str, Any]:
    """What the certificate says, once it was verified. Raises Fault."""
    loop = asyncio.get_running_loop()
    sock = await dial(loop, addresses)
    try:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=sock, ssl=context, server_hostname=host)
    except OSError as error:  # ssl.SSLError is one
        sock.close()
        raise translate(error, connecting=True) from None
    except BaseException:
        sock.close()
        raise
    try:
        shown: Mapping[str, Any] = transport.get_extra_info("peercert") or {}
        return shown
    finally:
        transport.abort()


async def _tls(target: Target, asker: Asker, means: Means) -> Finding:
    began = monotonic()
    addresses = asker.addresses(target)
    try:
        async with asyncio.timeout(asker.settings.connect_timeout):
            details = await handshake(addresses, target.host, asker.tls)
    except TimeoutError:
        text = "the TLS handshake did not end in time"
        return fail("tls", target.alias, text, CHECK[ErrorType.TLS_PROTOCOL_ERROR])
    except Fault as fault:
        if fault.error is not ErrorType.TLS_CERTIFICATE_ERROR:
            return fail("tls", target.alias, f"{_what(fault)}: {fault.detail}", CHECK[fault.error])
        seen = await means.describe(asyncio.get_running_loop(), addresses, target.host, asker.within, fault.detail)
        return untrusted(target, fault, seen)
    return lasts(target.alias, details, datetime.now(UTC), monotonic() - began)


def untrusted(target: Target, fault: Fault, seen: Certificate | None) -> Finding:
    """Which of the ways to be wrong it is; the library's own words alone would often name another one."""
    if seen is None or not seen.issue or seen.not_after is None:
        text = f"its certificate was not accepted: {fault.detail}"
        return fail("tls", target.alias, text, CHECK[ErrorType.TLS_CERTIFICATE_ERROR])
    names = f"for {_list(seen.names)}" if seen.names else "for no name"
    since = f"{seen.not_before:%Y-%m-%d}" if seen.not_before else "?"
    until = f"{seen.not_after:%Y-%m-%d}"
    issuer = f", issued by {seen.issuer}" if seen.issuer else ""
    text = f"its certificate is not to be trusted, {seen.issue}: it is {names}, valid {since} to {until}{issuer}"
    return fail("tls", target.alias, text, _ISSUES.get(seen.issue, CHECK[ErrorType.TLS_CERTIFICATE_ERROR]))


def lasts(alias: str, details: Mapping[str, Any], now: datetime, took: float) -> Finding:
    """How long the certificate is good for. One that lives for days alone is judged by its own length of life."""
    until = _moment(details.get("notAfter"))
    since = _moment(details.get("notBefore"))
    if until is None:
        return ok("tls", alias, f"its certificate is trusted, in {lasting(took)}")
    left = until - now
    late = (until - since) / 3 if since is not None else _SOON
    days = count(max(0, left.days), "day")
    text = f"its certificate is trusted, in {lasting(took)}, and valid for {days} more, until {until:%Y-%m-%d}"
    remedy = "renew it now: the proxy trusts no expired certificate, and the target would count as down"
    if left < min(late, _VERY_SOON):
        return fail("tls", alias, text, remedy)
    return warn("tls", alias, text, remedy) if left < min(late, _SOON) else ok("tls", alias, text)


def _moment(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(written), UTC)


def readable(target: Target, addresses: tuple[str, ...]) -> Iterator[Finding]:
    """Plain http on a way that others share."""
    public = [one for one in addresses if ipaddress.ip_address(one.partition("%")[0]).is_global]
    if not target.tls and public:
        text = f"is asked over plain http at {_list(tuple(public))}: passwords and cookies travel readable"
        remedy = f"write https://{target.host} if it speaks TLS, or reach it in a private network"
        yield warn("tls", target.alias, text, remedy)


# -- loops


def own_address(target: Target, addresses: tuple[str, ...], listen: Listen) -> Iterator[Finding]:
    """A target that is this proxy: its port on an address of this machine."""
    if not listen.port or target.port != listen.port:
        return
    here = [one for one in addresses if _is_listened_on(one, listen) and is_here(one)]
    if here:
        text = f"{_list(tuple(here))} port {target.port} is where this proxy listens: requests would go round"
        yield fail("loop", target.alias, text, _OWN_ADDRESS)


def _is_listened_on(address: str, listen: Listen) -> bool:
    if listen.host in _ANY:
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(listen.host) == ipaddress.ip_address(address)
    return ipaddress.ip_address(address).is_loopback  # a name: `localhost`, as good as always


def is_here(address: str) -> bool:
    """Whether the address is one of this machine: then a socket may be bound to it."""
    if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        return True
    return _binds(address) and not _binds(_NOBODYS)  # ip_nonlocal_bind lets all be bound, and then nothing is known


def _binds(address: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
        return True


async def itself(target: Target, asker: Asker) -> list[Finding]:
    """Whether a failover answers there, and whether it is the one of these settings."""
    try:
        health = await asker.ask(target, "/__failover/health")
        if health.status != 200 or health.body.strip() != b"OK":
            return []
        state = await asker.ask(target, "/__failover/state")
    except Fault:
        return []  # a failover would have answered
    told: object = None
    with contextlib.suppress(ValueError):
        told = json.loads(state.body)
    if state.status != 404 and not (isinstance(told, dict) and "on_backup" in told):
        return []  # an app that says OK to everything
    listed = told.get("targets", ()) if isinstance(told, dict) else ()
    urls = {one.get("url") for one in listed if isinstance(one, dict)} if isinstance(listed, list) else set()
    ours = {asker.settings.primary.url, *(one.url for one in asker.settings.backup)}
    if target.url in urls or (urls and urls == ours):
        text = f"{target.url} is a failover with these very targets: requests would go round"
        return [fail("loop", target.alias, text, _OWN_ADDRESS)]
    text = f"{target.url} is a failover itself, not an app: it has a verdict of its own, and hides what fails behind it"
    return [warn("loop", target.alias, text, _OWN_ADDRESS)]


# -- other places, such as webhooks


async def connects(host: str, port: int, *, tls: bool, within: float) -> float:
    """Seconds until a connection stood, its certificate verified where there is one. Raises Fault."""
    began = monotonic()
    found = tuple((address, port) for address in await resolve(host, within))
    try:
        async with asyncio.timeout(within):
            if tls:
                await handshake(found, host, client_tls(None))
            else:
                (await dial(asyncio.get_running_loop(), found)).close()
    except TimeoutError as error:
        raise translate(error, connecting=True) from None
    return monotonic() - began


def _what(fault: Fault) -> str:
    if fault.error in {ErrorType.DNS_ERROR, ErrorType.DNS_TIMEOUT}:
        return f"does not resolve: {fault.detail}"
    return SENTENCE[fault.error]


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _list(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
