"""Heads: bytes in, what they mean out. Pure but for its memory of lines.

The law: llhttp (through httptools, strict, without a single callback) says whether a head is well-formed, and what it
refuses is read no further. We only find the few fields that a proxy must read or change; all others are carried over as
the lines they were. Framing is ours, and stricter than llhttp's where it matters (RFC 9112 section 6.3).

Heads are mostly lines that were seen before, as HPACK knows too. A line that stood in a well-formed head is remembered
with what it is; a head of remembered lines needs neither llhttp nor a second look. docs/decisions/0002 has the figures.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools

from failover.proxy.fields import (
    DROPPED,
    FORWARDED,
    PLAIN,
    REQUEST_RULES,
    RESPONSE_RULES,
    UNTIL_CLOSE,
    Malformed,
    RequestHead,
    RequestLine,
    ResponseHead,
    Rule,
    host_is_valid,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MAX_HEAD: Final = 64 * 1024
MAX_FIELDS: Final = 128
_LARGE: Final = 4096
_MOST_LINES: Final = MAX_FIELDS + 3  # with the first one, and what is split off behind the last

_ORDINARY = re.compile(rb"(?![Xx]-[Ff])([!#$%&'*+.^`|~0-9A-Za-z-]+):[\t\x20-\x7e\x80-\xff]*")
_PLAIN = re.compile(rb"/[!$&'()*+,./0-9:;=?@A-Z^a-z|~-]*")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(rb"/[\x21\x22\x24-\x7e]*")
_ABSOLUTE = re.compile(rb"(?i)https?://([^/?#@\s]+)([/?][\x21\x22\x24-\x7e]*)?")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_BEGINNING = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")
_NO_BODY = frozenset((204, 304))
_STATUS_LINES = {f"HTTP/1.1 {s.value} {s.phrase}".encode(): s.value for s in HTTPStatus}
_METHODS = {b"GET": True, b"HEAD": True, b"OPTIONS": True} | dict.fromkeys(
    (b"POST", b"PUT", b"DELETE", b"PATCH"), False
)


class _Lines(dict[bytes, Any]):
    """Lines that stood in well-formed heads: each with the rule that applies to it, what the rule read and itself;
    False where it is carried over as it is. One that is not there yet is read when it is asked for.
    """

    MOST_BYTES = 1024 * 1024
    LONGEST = 4096

    def __init__(
        self,
        rules: Mapping[bytes, Rule],
        validate: Callable[[bytes], None],
        family: Rule | None = None,
    ) -> None:
        super().__init__()
        self._rules = rules
        self._validate = validate
        self._family = family
        self._bytes = 0
        self._raw = b""  # the head that is read now
        self._new = self._validated = False

    def apply(self, head: Any, lines: list[bytes], raw: bytes) -> bool:
        """Apply the rules of these lines to the head, which gets the lines to carry over. True when all of them were
        known. Raises Malformed.
        """
        self._raw = raw
        self._new = self._validated = False
        for apply, value, line in [*filter(None, map(self.__getitem__, lines))]:
            if not apply(head, value):
                lines.remove(line)
        head.lines += without_fields(lines, head.named) if head.named else lines
        return not self._new

    def __missing__(self, line: bytes) -> Any:
        self._new = True
        # Most new lines are identifiers and the like, which no rule reads, neither ours nor one of llhttp's.
        match = _ORDINARY.fullmatch(line)
        read = False if match is not None and match[1].lower() not in self._rules else self._read(line)
        if len(line) <= self.LONGEST:
            self._bytes += len(line)
            if self._bytes > self.MOST_BYTES:
                self.clear()
                self._bytes = len(line)
            self[line] = read
        return read

    def _read(self, line: bytes) -> Any:
        if not self._validated:
            self._validate(self._raw)
            self._validated = True
        rule = self._rule(line.partition(b":")[0].lower())
        read = PLAIN if rule is None else rule.read(line)
        return False if rule is None or read is PLAIN else (rule.apply, read, line)

    def _rule(self, name: bytes) -> Rule | None:
        rule = self._rules.get(name)
        if rule is None:
            if name.startswith(b"x-forwarded-"):
                return self._family
            if b"_" in name and self._rule(name.replace(b"_", b"-")) is not None:
                return DROPPED  # servers of the CGI family take X_Forwarded_For for X-Forwarded-For: no way round us
        return rule


class _Memory(dict[bytes, Any]):
    """Request lines, or whole heads, that were read before, by their bytes; emptied when full.

    Where a head ends is guessed at first: bytes that are a remembered head can be no other one, nor the beginning of
    another one, so that the guess is proved by finding it here.
    """

    MOST = 256
    LONGEST = 2048

    def remember(self, raw: bytes, read: Any) -> None:
        if len(raw) <= self.LONGEST:
            if len(self) >= self.MOST:
                self.clear()
            self[raw] = read


class _Nobody:
    """A parser's listener without a callback: llhttp then validates at C speed and tells nothing."""


_NOBODY: Final = _Nobody()


class HeadReader:
    """Reads heads; one for each worker, for the memory's sake."""

    def __init__(self) -> None:
        self._request_lines = _Lines(REQUEST_RULES, _validate_request, FORWARDED)
        self._response_lines = _Lines(RESPONSE_RULES, _validate_response)
        self._first_lines = _Memory()
        self._requests = _Memory()  # by all but the request line
        self._responses = _Memory()
        self._last = self._read_response(b"HTTP/1.1 200 OK\r\n\r\n")

    def request(self, data: bytes, kin: RequestHead | None = None) -> RequestHead | None:
        """The request head that these bytes begin with; its `size` says how many they are. None when it is not whole:
        what can be said of it then, `Beginning` says. `kin` is the one that the same client sent last: it will have the
        same fields.

        Raises Malformed with the status to answer.
        """
        start = data.find(b"\r\n")
        if kin is None or not data.startswith(kin.raw, start):
            guess = data.endswith(b"\r\n\r\n") and len(data) <= _Memory.LONGEST
            kin = self._requests.get(data[start:]) if guess else None
            if kin is None:
                return self._read_request(data, start)
        first = data[:start]
        line = self._first_lines.get(first)
        if line is None:
            line = _read_line(first)
            if line.http10 or start + len(kin.raw) > MAX_HEAD:
                return self._read_request(data, start)
            self._first_lines.remember(first, line)
        head = kin.again(line, start + len(kin.raw))
        if not line.ordinary:
            head.target = _other_target(head, line.target)
        return head

    def _read_request(self, data: bytes, start: int) -> RequestHead | None:
        """Read a head whose fields were not seen together before; its request line ends at `start`."""
        if len(data) > _LARGE and _has_too_many_lines(data):
            raise too_many()
        end = data.find(b"\r\n\r\n", start) + 4
        if end == 3:
            return None
        if end > MAX_HEAD:
            raise too_large()
        raw = data[:end]
        lines = raw.split(b"\r\n", _MOST_LINES)
        if len(lines) > _MOST_LINES:
            raise too_many()
        line = _read_line(lines[0])
        head = RequestHead(line, end)
        known = self._request_lines.apply(head, lines[1:-2], raw)
        if not head.host and not head.http10:
            raise Malformed(400, "HTTP/1.1 asks for a Host")
        if head.upgrade:
            if not head.wants_upgrade or head.http10 or b"h2c" in head.upgrade.lower():
                head.upgrade = b""  # not asked for in the way it must be, or what nothing here would look into
            else:
                head.safe = False
        if known and not line.http10:
            head.raw = raw[start:]
            self._requests.remember(head.raw, head)
            head = head.again(line, end)
        if not line.ordinary:
            head.target = _other_target(head, line.target)
        return head

    def response(self, data: bytes) -> ResponseHead | None:
        """The response head that these bytes begin with, as `request` does. Raises Malformed (502) when it breaks the
        protocol.
        """
        if data.startswith(self._last.raw):
            return self._last
        end = data.find(b"\r\n\r\n") + 4
        if end == 3 or end > MAX_HEAD:
            if len(data) > MAX_HEAD:
                raise Malformed(502, "the head is too large")
            if not data.startswith(b"HTTP/1."[: len(data)]) or not _lines_end_well(data):
                raise Malformed(502, "what came can be no head any more")
            return None
        raw = data[:end]
        head = self._responses.get(raw) if end <= _Memory.LONGEST else None
        if head is None:
            head = self._read_response(raw)
        self._last = head
        return head

    def _read_response(self, raw: bytes) -> ResponseHead:
        lines = raw.split(b"\r\n", _MOST_LINES)
        line = lines[0]
        status = _STATUS_LINES.get(line)
        http10 = False
        if status is None:
            match = _STATUS_LINE.fullmatch(line)
            if match is None:
                raise Malformed(502, "the status line cannot be read")
            status = int(match[1])
            http10 = line[7] == 0x30
            line = b"HTTP/1.1" + line[8:]
        head = ResponseHead(status, raw)
        if http10:
            # Still answered for in HTTP/1.1: the version is each hop's own (RFC 9110 section 2.5).
            head.http10 = True
            head.keep_alive = False
        if len(lines) > _MOST_LINES:
            raise Malformed(502, f"more than {MAX_FIELDS} header fields")
        del lines[-2:], lines[0]
        head.lines.append(line)
        known = self._response_lines.apply(head, lines, raw)
        if status == 101 and not head.upgrade:
            raise Malformed(502, "101 without the name of a protocol")  # llhttp, when it is asked, says so as well
        head.body = 0 if status in _NO_BODY else head.length
        if status < 200 or status == 204:
            _without_body(head)
        if known:
            self._responses.remember(raw, head)
        return head


def too_large() -> Malformed:
    """The head of a request has too many bytes."""
    return Malformed(431, f"The head is larger than {MAX_HEAD} bytes.")


def too_many() -> Malformed:
    """The head of a request has too many fields."""
    return Malformed(431, f"more than {MAX_FIELDS} header fields")


def _has_too_many_lines(data: bytes) -> bool:
    """Whether it is sure before the end of the head is looked for, which takes long where there are very many lines."""
    lines = data.split(b"\r\n", _MOST_LINES)
    return len(lines) > _MOST_LINES and b"" not in lines[1:-1]


def _read_line(raw: bytes) -> RequestLine:
    parts = raw.split(b" ")
    if len(parts) != 3:
        raise Malformed(400, "the request line has not three parts")
    method, target, version = parts
    safe = _METHODS.get(method)
    if safe is None:
        _check_method(method)
        safe = False
    line = RequestLine(method, target, safe)
    if version != b"HTTP/1.1":
        line.http10 = _is_http10(version)
    if not _PLAIN.fullmatch(target):
        line.plain = False
        line.ordinary = _PATH.fullmatch(target) is not None
    return line


def _is_http10(version: bytes) -> bool:
    if version == b"HTTP/1.1":
        return False
    if version == b"HTTP/1.0":
        return True
    if re.fullmatch(rb"HTTP/[0-9]\.[0-9]", version):
        raise Malformed(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    raise Malformed(400, "the request line does not end in a version")


def _check_method(method: bytes) -> None:
    if method == b"CONNECT":
        raise Malformed(405, "CONNECT is not for reverse proxies")
    if not _TOKEN.fullmatch(method):
        raise Malformed(400, "the method is not a token")


def _validate_request(raw: bytes) -> None:
    """What llhttp says of a request head. It knows a list of methods, but any token is one (RFC 9110 section 9.1)."""
    method = raw.partition(b" ")[0]
    if method not in _METHODS:
        raw = b"POST" + raw[len(method) :]
    try:
        httptools.HttpRequestParser(_NOBODY).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise Malformed(400, str(error)) from None


def _validate_response(raw: bytes) -> None:
    try:
        httptools.HttpResponseParser(_NOBODY).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise Malformed(502, str(error)) from None


def _without_body(head: ResponseHead) -> None:
    """1xx and 204 have no body, and no length of one (RFC 9110 section 8.6): who reads it might wait for that."""
    if head.length not in (0, UNTIL_CLOSE):
        if head.status < 200:
            raise Malformed(502, "an interim answer that announces a body")
        head.keep_alive = False  # it may yet send the body that it announces, into the next exchange
    if head.sized:
        head.lines = without_fields(head.lines, (b"content-length",))


def check_beginning(data: bytes, start: int) -> None:
    """What can be said of a request line that ends at `start`, or has not ended yet. Raises Malformed."""
    if start >= 0:
        _read_line(data[:start])
    elif not _BEGINNING.match(data):
        raise Malformed(400, "this is no beginning of a request")


def _lines_end_well(data: bytes) -> bool:
    """Whether CR and LF stand together. Counting is quick, also where a head comes in thousands of pieces."""
    lines = data.count(b"\r\n")
    return data.count(b"\n") == lines == data.count(b"\r") - data.endswith(b"\r")


def without_empty_lines(data: bytes) -> bytes:
    """What comes behind the empty lines that a client may send before a request (RFC 9112 section 2.2)."""
    match = _EMPTY_LINES.match(data)
    return data[match.end() :] if match else data


def without_fields(lines: list[bytes], names: Collection[bytes]) -> list[bytes]:
    """The lines without the fields of these lower-cased names."""
    names = frozenset(names)
    return [line for line in lines if line.partition(b":")[0].lower() not in names]


def _other_target(head: RequestHead, target: bytes) -> bytes:
    """Absolute form (RFC 9112 section 3.2.2), whose authority overrules Host, or the asterisk of OPTIONS."""
    if target == b"*" and head.method == b"OPTIONS":
        return target
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not host_is_valid(match[1]):
        raise Malformed(400, "the request target is neither a path nor an address")
    head.host = match[1]
    head.named = (head.kin or head).named
    head.kin = None  # what its fields are carried over as is its own
    path = match[2]
    if not path:
        return b"*" if head.method == b"OPTIONS" else b"/"
    return path if path.startswith(b"/") else b"/" + path
