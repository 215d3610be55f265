"""The fields that a proxy must read, drop or change, one rule a field; all others pass as the lines they are. Pure.

Where two heads in a row have the same line, it means the same: so a rule reads a line once, and applies what it read to
every head that has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

# Of what may be encoded in a name, ASCII need not be, or means something else to who decodes it; a comma joins two.
_HOST = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[89A-Fa-f][0-9A-Fa-f])+)(?::([0-9]{0,5}))?",
)
_LAST_PORT = 65535
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,200}")
_KEEP_ALIVE_TIMEOUT = re.compile(rb"timeout[ \t]*=[ \t]*([0-9]{1,4})")

# What Connection may name without a field of that name having to go; Content-Length is framing and always stays.
_OPTIONS = frozenset((b"keep-alive", b"upgrade", b"te", b"content-length"))


class Malformed(Exception):
    """A head or body that breaks the protocol. `status` is what its sender gets when it is a client."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class RequestLine:
    """The first line of a request. `target` is as it was sent: `ordinary` when it is a path, `plain` when nothing in
    that is encoded or may mark a path of our own.
    """

    __slots__ = ("http10", "method", "ordinary", "plain", "safe", "target")

    def __init__(self, method: bytes, target: bytes, safe: bool) -> None:
        self.method = method
        self.target = target
        self.safe = safe
        self.http10 = False
        self.plain = True
        self.ordinary = True


class RequestHead:
    """One request head. `lines` are the fields to carry over; `target` is in origin form or `*`.

    `length` is the body's in bytes, or CHUNKED; `sized` says that a Content-Length is there, `named` are the fields
    that Connection named. `forwarded` maps lower-cased X-Forwarded-… names to their values. `safe` says that it may be
    sent twice. `size` is how many bytes of what came are the head. `kin` is the head from which these fields were read,
    `raw` their bytes, and `carried` what the primary is told of them.
    """

    __slots__ = (
        "carried",
        "expects_continue",
        "forwarded",
        "host",
        "http10",
        "keep_alive",
        "kin",
        "length",
        "lines",
        "method",
        "named",
        "plain",
        "raw",
        "request_id",
        "safe",
        "size",
        "sized",
        "target",
        "upgrade",
        "via",
        "wants_upgrade",
    )

    def __init__(self, line: RequestLine, size: int) -> None:
        self.method = line.method
        self.target = line.target
        self.safe = line.safe
        self.plain = line.plain
        self.http10 = line.http10
        self.keep_alive = not line.http10
        self.size = size
        self.kin: RequestHead | None = None  # it is of its own
        self.raw = b""
        self.carried = b""
        self.lines: list[bytes] = []
        self.length = 0
        self.sized = False
        self.upgrade = b""
        self.wants_upgrade = False
        self.named: tuple[bytes, ...] = ()
        self.host = b""
        self.via = b""
        self.request_id = b""
        self.expects_continue = False
        self.forwarded: dict[bytes, bytes] | None = None

    def again(self, line: RequestLine, size: int) -> RequestHead:
        """The same fields under another request line."""
        head: RequestHead = _new(RequestHead)
        head.method = line.method
        head.target = line.target
        head.safe = line.safe and not self.upgrade
        head.plain = line.plain
        head.size = size
        head.kin = self
        # `raw` and `carried` are asked of `kin`; `sized`, `named` and `wants_upgrade` serve the reading only
        head.http10 = self.http10
        head.keep_alive = self.keep_alive
        head.lines = self.lines
        head.length = self.length
        head.upgrade = self.upgrade
        head.host = self.host
        head.via = self.via
        head.request_id = self.request_id
        head.expects_continue = self.expects_continue
        head.forwarded = self.forwarded
        return head

    def field(self, name: bytes) -> bytes:
        """The first value of a field, by its lower-cased name, or empty."""
        for line in self.lines:
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return b""


class ResponseHead:
    """One response head, the same object for all that are alike: nobody changes it. `lines` begins with its status
    line, as HTTP/1.1.

    `length` is the Content-Length, CHUNKED or UNTIL_CLOSE, `body` the same after the rules for 204 and 304.
    `may_name_target` says that a field is there which may have to name the public site instead of the target. `raw` are
    its bytes, `size` says how many, `carried` is what clients are told of it when the primary has said it.
    """

    __slots__ = (
        "body",
        "carried",
        "cors",
        "event_stream",
        "http10",
        "keep_alive",
        "keep_alive_timeout",
        "length",
        "lines",
        "may_name_target",
        "named",
        "raw",
        "size",
        "sized",
        "status",
        "upgrade",
        "wants_upgrade",
    )

    def __init__(self, status: int, raw: bytes) -> None:
        self.status = status
        self.raw = raw
        self.size = len(raw)
        self.carried = b""
        self.lines: list[bytes] = []
        self.length = self.body = UNTIL_CLOSE
        self.sized = False
        self.http10 = False
        self.keep_alive = True
        self.keep_alive_timeout = 0
        self.upgrade = b""
        self.wants_upgrade = False
        self.named: tuple[bytes, ...] = ()
        self.event_stream = False
        self.cors = False
        self.may_name_target = False


Head = RequestHead | ResponseHead
_new = object.__new__


@dataclass(frozen=True, slots=True)
class Rule:
    """`read(line)` is done once for a line: what it says, or PLAIN when it needs no rule; raises Malformed.
    `apply(head, value)` is done for each head that has it, and says whether the line stays.
    """

    read: Callable[[bytes], Any]
    apply: Callable[[Any, Any], bool]


PLAIN: Final = object()
"""Read, and found to be a line like all others."""


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2].strip(b" \t")


def host_is_valid(value: bytes) -> bool:
    """Whether this can be a Host: a name or an address, and perhaps a port (RFC 3986 section 3.2.2)."""
    match = _HOST.fullmatch(value)
    if match is None or int(match[2] or 0) > _LAST_PORT:
        return False
    if match[1] is not None:
        try:
            IPv6Address(match[1].decode())
        except AddressValueError:
            return False
    return True


def _read_host(line: bytes) -> bytes:
    value = _value(line)
    if not host_is_valid(value):
        raise Malformed(400, "the Host is not a host")
    return value


def _apply_host(head: RequestHead, host: bytes) -> bool:
    if head.host:
        raise Malformed(400, "more than one Host")
    head.host = host
    return False


def _read_length(line: bytes) -> int:
    value = line.partition(b":")[2].strip(b" ")  # a tab is none to nginx, and the line goes on as it is
    if not _LENGTH.fullmatch(value):
        raise Malformed(400, "a Content-Length that is no number")
    return int(value)


def _apply_length(head: Head, length: int) -> bool:
    if head.sized or head.length == CHUNKED:
        raise Malformed(400, "more than one length for one body")
    head.sized = True
    head.length = length
    return True


def _read_coding(line: bytes) -> None:
    if _value(line).lower() != b"chunked":
        raise Malformed(400, "a transfer coding other than chunked")


def _apply_coding(head: Head, _: None) -> bool:
    if head.sized or head.length == CHUNKED or head.http10:
        raise Malformed(400, "Transfer-Encoding twice, with Content-Length, or in HTTP/1.0")
    head.length = CHUNKED
    return False


def _read_connection(line: bytes) -> tuple[bool, bool, bool, tuple[bytes, ...]]:
    options = [option.strip() for option in _value(line).lower().split(b",")]
    others = tuple(option for option in options if option and option not in _OPTIONS)
    return b"close" in options, b"keep-alive" in options, b"upgrade" in options, others


def _apply_connection(head: Head, options: tuple[bool, bool, bool, tuple[bytes, ...]]) -> bool:
    close, keep, upgrade, others = options
    if upgrade:
        head.wants_upgrade = True
    if close:
        head.keep_alive = False
    elif keep and head.http10 and b"close" not in head.named:
        head.keep_alive = True
    if others:
        head.named += others
    return False


def _apply_via(head: RequestHead, via: bytes) -> bool:
    head.via = head.via + b", " + via if head.via else via
    return False


def _apply_upgrade(head: Head, protocol: bytes) -> bool:
    head.upgrade = protocol
    return False


def _read_request_id(line: bytes) -> bytes:
    """Empty when it is none that could be told in a log: it is replaced then."""
    value = _value(line)
    return value if _REQUEST_ID.fullmatch(value) else b""


def _apply_request_id(head: RequestHead, request_id: bytes) -> bool:
    head.request_id = request_id
    return False


def _read_expect(line: bytes) -> None:
    if _value(line).lower() != b"100-continue":
        raise Malformed(417, "only 100-continue can be expected")


def _apply_expect(head: RequestHead, _: None) -> bool:
    head.expects_continue = not head.http10
    return False


def _read_forwarded(line: bytes) -> tuple[bytes, bytes]:
    return line.partition(b":")[0].lower(), _value(line)


def _apply_forwarded(head: RequestHead, field: tuple[bytes, bytes]) -> bool:
    name, value = field
    if head.forwarded is None:
        head.forwarded = {}
    earlier = head.forwarded.get(name)
    head.forwarded[name] = value if earlier is None else earlier + b", " + value
    return False


def _drop(_head: Head, _: bytes) -> bool:
    return False


def _read_type(line: bytes) -> object:
    return None if _value(line).lower().startswith(b"text/event-stream") else PLAIN


def _apply_type(head: ResponseHead, _: None) -> bool:
    head.event_stream = True
    return True


def _read_cookie(line: bytes) -> object:
    return None if b"domain" in line.lower() else PLAIN


def _may_name_target(head: ResponseHead, _: object) -> bool:
    head.may_name_target = True
    return True


def _apply_cors(head: ResponseHead, _: bytes) -> bool:
    head.cors = True
    return True


def _read_keep_alive(line: bytes) -> int:
    timeout = _KEEP_ALIVE_TIMEOUT.search(line.lower())
    return max(int(timeout[1]), 1) if timeout else 0  # 0: it said nothing


def _apply_keep_alive(head: ResponseHead, timeout: int) -> bool:
    head.keep_alive_timeout = timeout
    return False


_HOP = Rule(_value, _drop)
_COMMON = {
    b"connection": Rule(_read_connection, _apply_connection),
    b"content-length": Rule(_read_length, _apply_length),
    b"transfer-encoding": Rule(_read_coding, _apply_coding),
    b"upgrade": Rule(_value, _apply_upgrade),
    b"proxy-connection": _HOP,
    b"te": _HOP,
}
REQUEST_RULES: Final[Mapping[bytes, Rule]] = _COMMON | {
    b"host": Rule(_read_host, _apply_host),
    b"expect": Rule(_read_expect, _apply_expect),
    b"via": Rule(_value, _apply_via),
    b"x-request-id": Rule(_read_request_id, _apply_request_id),
    b"keep-alive": _HOP,
    b"proxy-authorization": _HOP,
    b"forwarded": _HOP,
    b"http2-settings": _HOP,
}
DROPPED: Final = _HOP
FORWARDED: Final = Rule(_read_forwarded, _apply_forwarded)
RESPONSE_RULES: Final[Mapping[bytes, Rule]] = _COMMON | {
    b"content-type": Rule(_read_type, _apply_type),
    b"set-cookie": Rule(_read_cookie, _may_name_target),
    b"location": Rule(_value, _may_name_target),
    b"content-location": Rule(_value, _may_name_target),
    b"refresh": Rule(_value, _may_name_target),
    b"keep-alive": Rule(_read_keep_alive, _apply_keep_alive),
    b"access-control-allow-origin": Rule(_value, _apply_cors),
    b"proxy-authenticate": _HOP,
}
