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
    Malformed,
    RequestHead,
    ResponseHead,
    Rule,
    host_is_valid,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from failover.proxy.fields import Head

    Known = tuple[Callable[[Any, Any], bool], Any] | None

MAX_HEAD: Final = 64 * 1024
MAX_FIELDS: Final = 128

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(rb"/[\x21\x22\x24-\x7e]*")
_ABSOLUTE = re.compile(rb"(?i)https?://([^/?#@\s]+)([/?][\x21\x22\x24-\x7e]*)?")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_STATUS_LINES = {f"HTTP/1.1 {s.value} {s.phrase}".encode(): s.value for s in HTTPStatus}
_METHODS = {b"GET": True, b"HEAD": True, b"OPTIONS": True} | dict.fromkeys(
    (b"POST", b"PUT", b"DELETE", b"PATCH"), False
)


class _Memory:
    """Lines that stood in well-formed heads: `known` maps one to None when it is carried over as it is, and else to the
    rule that applies to it and what the rule read.
    """

    MOST = 4096
    LONGEST = 256

    def __init__(
        self,
        rules: Mapping[bytes, Rule],
        validate: Callable[[bytes], None],
        family: Rule | None = None,
    ) -> None:
        self._rules = rules
        self._validate = validate
        self._family = family
        self.known: dict[bytes, Known] = {}

    def apply(self, head: Head, lines: list[bytes], raw: bytes) -> None:
        """Apply the rules of these lines to the head, which gets the lines to carry over. Raises Malformed."""
        known = self.known
        kept = head.lines
        validated = False
        for line in lines:
            try:
                rule = known[line]
            except KeyError:
                if not validated:
                    self._validate(raw)
                    validated = True
                rule = self._learn(line)
            if rule is None or rule[0](head, rule[1]):
                kept.append(line)
        if head.named:
            head.lines = without_fields(kept, head.named)

    def _learn(self, line: bytes) -> Known:
        """Read a line for the first time; what `known` says of it from now on."""
        name = line.partition(b":")[0].lower()
        rule = self._rule(name)
        if rule is None and b"_" in name and self._rule(name.replace(b"_", b"-")) is not None:
            rule = DROPPED  # servers of the CGI family take X_Forwarded_For for X-Forwarded-For: nobody gets round us
        value = PLAIN if rule is None else rule.read(line)
        found = None if rule is None or value is PLAIN else (rule.apply, value)
        if len(line) <= self.LONGEST:
            if len(self.known) >= self.MOST:
                self.known.clear()
            self.known[line] = found
        return found

    def _rule(self, name: bytes) -> Rule | None:
        return self._rules.get(name) or (self._family if name.startswith(b"x-forwarded-") else None)


class _Nobody:
    """A parser's listener without a callback: llhttp then validates at C speed and tells nothing."""


_NOBODY: Final = _Nobody()


class HeadReader:
    """Reads heads; one for each worker, for the memory's sake."""

    def __init__(self) -> None:
        self._requests = _Memory(REQUEST_RULES, _validate_request, FORWARDED)
        self._responses = _Memory(RESPONSE_RULES, _validate_response)

    def request(self, raw: bytes) -> RequestHead:
        """Read a whole request head, its blank line included. Raises Malformed with the status to answer."""
        lines = raw.split(b"\r\n")
        parts = lines[0].split(b" ")
        if len(parts) != 3:
            raise Malformed(400, "the request line has not three parts")
        method, target, version = parts
        head = RequestHead()
        if version != b"HTTP/1.1":
            _read_version(head, version)
        safe = _METHODS.get(method)
        if safe is None:
            _check_method(method)
        elif safe:
            head.safe = True
        head.method = method
        if len(lines) > MAX_FIELDS + 3:
            raise Malformed(431, f"more than {MAX_FIELDS} header fields")
        del lines[-2:], lines[0]
        head.lines = []
        self._requests.apply(head, lines, raw)
        if not head.host and not head.http10:
            raise Malformed(400, "HTTP/1.1 asks for a Host")
        if not _PATH.fullmatch(target):
            target = _other_target(head, target)
        head.target = target
        if head.upgrade and (not head.wants_upgrade or head.http10 or b"h2c" in head.upgrade.lower()):
            head.upgrade = b""  # not asked for in the way it must be, or a protocol that nothing here would look into
        return head

    def response(self, raw: bytes) -> ResponseHead:
        """Read a whole response head, its blank line included. Raises Malformed (502) when it breaks the protocol."""
        lines = raw.split(b"\r\n")
        line = lines[0]
        head = ResponseHead()
        status = _STATUS_LINES.get(line)
        if status is None:
            match = _STATUS_LINE.fullmatch(line)
            if match is None:
                raise Malformed(502, "the status line cannot be read")
            status = int(match[1])
            if line[7] == 0x30:
                # Still answered for in HTTP/1.1: the version is each hop's own (RFC 9110 section 2.5).
                head.http10 = True
                head.keep_alive = False
                line = b"HTTP/1.1" + line[8:]
        head.status = status
        if len(lines) > MAX_FIELDS + 3:
            raise Malformed(502, f"more than {MAX_FIELDS} header fields")
        del lines[-2:], lines[0]
        head.lines = [line]
        self._responses.apply(head, lines, raw)
        return head


def _read_version(head: RequestHead, version: bytes) -> None:
    if version == b"HTTP/1.0":
        head.http10 = True
        head.keep_alive = False
    elif re.fullmatch(rb"HTTP/[0-9]\.[0-9]", version):
        raise Malformed(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    else:
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
    path = match[2] or b"/"
    return path if path.startswith(b"/") else b"/" + path
