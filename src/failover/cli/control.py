"""Talking to the proxy that runs here: through its control socket, or its admin listener where there is none.

A command finds the proxy by the port it listens on; without a word about that, by its being the only one here.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import click

from failover.admin.place import find_control_sockets, running_ports
from failover.cli.ask import HERE, PLACE_FLAGS, ask, exchange, find_listen
from failover.errors import UnreachableError
from failover.reports.words import plain
from failover.settings.places import DEFAULT_ADMIN, OFF

if TYPE_CHECKING:
    from pathlib import Path

ADMIN_FLAGS: list[click.Parameter] = [
    *PLACE_FLAGS,
    click.Option(["--admin-listen"], metavar="ADDRESS", help="Its admin listener, where there is no control socket."),
    click.Option(["--admin-token"], metavar="TOKEN", help="The token of that listener, if it has one."),
]

_USUAL_S = 3.0
_BEGINS_WITHIN_S = 2.0
_NAMING = ("FAILOVER_LISTEN", "FAILOVER_CONFIG", "PORT")

WHO = click.Option(["--who"], metavar="NAME", help="Who says so, for the timeline; your login name if nobody is named.")


class SeveralError(UnreachableError):
    """More than one proxy could be meant."""


class Proxy:
    """A proxy that was found. `name` is where, for sentences."""

    def __init__(self, place: Path | tuple[str, int], token: str | None, timeout: float) -> None:
        self._place = place
        self._token = token
        self._timeout = timeout
        self.name = str(place) if not isinstance(place, tuple) else f"{place[0]}:{place[1]}"

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, order: dict[str, Any]) -> Any:
        return self._ask("POST", path, json.dumps({key: value for key, value in order.items() if value is not None}))

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        status, raw = self._exchange(method, path, body)
        try:
            said = json.loads(raw)
        except (ValueError, RecursionError):
            said = None
        if status == 200 and said is not None:
            return _harmless(said)
        detail = said.get("detail") if isinstance(said, dict) else None
        if status == 401:
            raise UnreachableError(f"{self.name} wants a token: give it as --admin-token or FAILOVER_ADMIN_TOKEN")
        if detail:
            raise UnreachableError(plain(str(detail)))
        raise UnreachableError(f"what answers on {self.name} gave status {status} for {path}; is it another server?")

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        fields = [f"X-Failover-Who: {login()}"]
        if self._token:
            fields.append(f"Authorization: Bearer {self._token}")
        data = (body or "").encode()
        if body is not None:
            fields += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        lines = [f"{method} {path} HTTP/1.0", f"Host: {self._host}", "Connection: close", *fields, "", ""]
        request = "\r\n".join(lines).encode(errors="replace") + data
        try:
            with self._connect() as connection:
                return exchange(connection, request, self._timeout, self.name)
        except TimeoutError:
            raise UnreachableError(f"nothing answered on {self.name} within {self._timeout:g} seconds") from None
        except OSError as error:
            why = error.strerror or error
            raise UnreachableError(f"nothing answers on {self.name}: {why}; is the proxy running?") from None

    @property
    def _host(self) -> str:
        return "localhost" if not isinstance(self._place, tuple) else self.name

    def _connect(self) -> socket.socket:
        if isinstance(self._place, tuple):
            return socket.create_connection(self._place, self._timeout)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout)
        try:
            connection.connect(os.fspath(self._place))
        except OSError:
            connection.close()
            raise
        return connection


def find_proxy(
    *, listen: str | None, config: str | None, timeout: float, admin_listen: str | None, admin_token: str | None
) -> Proxy:
    """The proxy that is meant. Raises UnreachableError with a sentence, SettingsError for what cannot be read."""
    if not admin_listen and (path := _control_socket(listen, config) or _in_a_moment(listen, config)) is not None:
        return Proxy(path, None, timeout)
    settings = _admin(listen, config, admin_listen, admin_token)
    address = settings["admin_listen"] or DEFAULT_ADMIN
    if address == OFF:
        raise UnreachableError("no proxy was found: there is no control socket here, and admin_listen is off")
    proxy = Proxy((HERE.get(address.host, address.host), address.port), settings["admin_token"], timeout)
    if not admin_listen and _is_named(listen, config):
        _is_the_one(proxy, find_listen(listen, config).port)
    return proxy


def _is_the_one(proxy: Proxy, port: int) -> None:
    """Whoever has the usual admin address may be another proxy than the one that was named: it must not be steered."""
    listening = proxy.get("/api/v1/state")["listening"]
    if not any(url.endswith(f":{port}") for url in listening):
        others = " and ".join(listening)
        raise UnreachableError(f"no proxy was found on port {port}; the one at {proxy.name} listens on {others}")


def _is_named(listen: str | None, config: str | None) -> bool:
    """Whether somebody has said which proxy is meant."""
    return bool(listen or config or any(os.environ.get(name) for name in _NAMING))


def _in_a_moment(listen: str | None, config: str | None) -> Path | None:
    """A proxy that has just begun serves before it listens to commands."""
    place = find_listen(listen, config)
    try:
        if ask(place, "/__failover/health", _USUAL_S) != (200, b"OK"):
            return None
    except UnreachableError:
        return None
    until = time.monotonic() + _BEGINS_WITHIN_S
    while not (found := find_control_sockets(place.port)) and time.monotonic() < until:
        time.sleep(0.05)
    return found[0] if found else None


def find_running(listen: str | None, config: str | None) -> Proxy | None:
    """The proxy that is meant, if it has a control socket that we may open."""
    path = _control_socket(listen, config)
    return None if path is None else Proxy(path, None, _USUAL_S)


def _control_socket(listen: str | None, config: str | None) -> Path | None:
    """The socket of the proxy on that port; without a word about the port, of the only one that runs here."""
    found = find_control_sockets(find_listen(listen, config).port)
    if found or _is_named(listen, config):
        return found[0] if found else None
    ports = running_ports()
    if len(ports) > 1:
        flags = ", ".join(f"--listen {port}" for port in ports)
        raise SeveralError(f"several proxies run here; say which one is meant: {flags}")
    return find_control_sockets(ports[0])[0] if ports else None


def _admin(listen: str | None, config: str | None, admin_listen: str | None, admin_token: str | None) -> dict[str, Any]:
    from failover.settings.sources import load_some  # noqa: PLC0415 - 100 ms that the usual case does not need

    given = {"listen": listen, "config": config, "admin_listen": admin_listen, "admin_token": admin_token}
    return load_some(
        ("admin_listen", "admin_token"), {key: value for key, value in given.items() if value is not None}, os.environ
    )


def _harmless(said: Any) -> Any:
    """An answer whose texts cannot move the cursor, whoever gave it. Lines stay lines."""
    if isinstance(said, str):
        return "\n".join(plain(line) for line in said.split("\n"))
    if isinstance(said, list):
        return [_harmless(one) for one in said]
    if isinstance(said, dict):
        return {plain(key): _harmless(one) for key, one in said.items()}
    return said


def login() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "somebody"
    return "".join(one for one in name if one.isprintable())[:80] or "somebody"
