"""Paths of our own (`proxy/own`): never forwarded, in whatever encoding they are written.

1. Nothing is raised.
2. A target that a lenient server could take for something under `/__failover` (decoded up to four times, slashes of
   both kinds, empty and dotted segments, parameters of a segment) is ours.
3. A target that the reader of heads calls plain is never ours, so that leaving out the look is no hole.
4. What is ours stays so in every further encoding of any of its characters.
"""

from __future__ import annotations

from failover.proxy.fields import Malformed
from failover.proxy.own import is_own
from failover.proxy.wire import HeadReader
from fuzz.parts import taken_apart

DICTIONARY = "paths"
HEX = b"0123456789abcdefABCDEF"


def decoded(path):
    out = bytearray()
    at = 0
    while at < len(path):
        if path[at] == 0x25 and len(path) > at + 2 and path[at + 1] in HEX and path[at + 2] in HEX:
            out.append(int(path[at + 1 : at + 3], 16))
            at += 3
        else:
            out.append(path[at])
            at += 1
    return bytes(out)


def leads_to_us(path):
    """As a lenient server walks it."""
    walked = []
    for segment in path.replace(b"\\", b"/").split(b"/"):
        if segment == b"..":
            walked[-1:] = []
        elif segment not in {b"", b"."}:
            walked.append(segment)
    return bool(walked) and walked[0].partition(b";")[0] == b"__failover"


def one(data):
    data, numbers = taken_apart(data)
    target = b"/" + bytes(byte for byte in data if 0x21 <= byte <= 0x7E and byte != 0x23)
    try:
        head = HeadReader().request(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    except Malformed:
        return
    path = target.partition(b"?")[0]
    ours = is_own(target)
    for _ in range(4):
        path = decoded(path)
    if leads_to_us(path):
        assert ours, target
    if head.plain:
        assert not ours, target
    if ours and decoded(target) == target:
        written = target
        for number in numbers[:3]:
            at = number % len(written)
            if written[at : at + 1] not in b"?%":
                written = written[:at] + b"%%%02x" % written[at] + written[at + 1 :]
        written = written if written.startswith(b"/") else target
        if b"?" not in target:
            assert is_own(written), (target, written)
