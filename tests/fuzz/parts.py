"""What the targets share: how an input is taken apart, and a proxy's objects that need no loop and no socket."""

from __future__ import annotations

from types import SimpleNamespace

from failover.core.model import Kind, TargetState
from failover.proxy.client import Client
from failover.proxy.pool import Pool
from failover.proxy.wire import HeadReader
from failover.settings.model import Settings

MARK = b"\0#"
"""Parts the bytes to be read from those that say how: an input stays a text that a person can read."""


def taken_apart(data):
    """The bytes to be read, and the numbers behind the mark."""
    payload, mark, numbers = data.rpartition(MARK)
    return (payload, list(numbers)) if mark else (data, [])


def pieces(payload, numbers):
    """The payload in pieces of these sizes, over and over; whole when there are none."""
    if not any(numbers):
        return [payload] if payload else []
    found = []
    at = n = 0
    while at < len(payload):
        size = numbers[n % len(numbers)]
        n += 1
        if size:
            found.append(payload[at : at + size])
            at += size
    return found


def text(payload):
    """As the system gives arguments and variables that are no UTF-8."""
    return payload.decode("utf-8", "surrogateescape")


HOST, PORT = "app.example.com", 8000
VIA = b"failover-0123456789ab"

_settings = Settings(
    primary=f"http://{HOST}:{PORT}", backup=("http://me:secret@static.example.net/base?x=1",), backup_kind="static"
)


class Proxy:
    """One reader of heads with a primary, a static backup and two clients, the second behind a trusted proxy."""

    def __init__(self):
        self.worker = SimpleNamespace(
            settings=_settings,
            heads=HeadReader(),
            via=VIA,
            launch=SimpleNamespace(tls=None),
            request_id=lambda: b"0123456789abcdef",
            is_trusted=lambda address: address == "10.0.0.1",
        )
        self.heads = self.worker.heads
        self.primary = Pool(self.worker, _settings.primary)
        self.backup = Pool(self.worker, _settings.backup[0])
        self.backup.told(TargetState("backup", True, (("10.0.0.9", 80),), Kind.STATIC))
        self.stranger = Client(self.worker, "192.0.2.7")
        self.trusted = Client(self.worker, "10.0.0.1")


HOP_BY_HOP = frozenset((
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"proxy-authorization",
    b"proxy-authenticate", b"http2-settings", b"forwarded",
))  # fmt: skip
"""No field of these names may come out as it went in; what we say of them ourselves is looked at one by one."""
