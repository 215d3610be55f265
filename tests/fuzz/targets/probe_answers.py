"""What a probe brings home (`controller/answer`, `controller/readable`): answers and error pages of anything at all.

1. A callback of the reader never raises; the answer is whole or a Fault once the connection is over.
2. However the bytes are split, the same comes out.
3. An error page becomes at most 1024 printable characters, without a secret, and never an exception.
"""

from __future__ import annotations

import asyncio

from failover.controller.answer import Answer
from failover.controller.prober import look_of
from failover.controller.readable import LONGEST, readable
from failover.faults import Fault
from failover.targets import parse_target
from fuzz.parts import pieces, taken_apart

DICTIONARY = "http"
TARGET = parse_target("http://app.example.com", "primary")
TYPES = ("text/html", "text/plain; charset=utf-16", "text/html; charset=shift_jis", "", "text/html; charset=gb18030")
_loop = asyncio.new_event_loop()


def answered(parts, method):
    answer = Answer(_loop, method)
    for part in parts:
        answer.data_received(part)
    answer.connection_lost(None)
    assert answer.whole.done()
    fault = answer.whole.exception()
    assert fault is None or isinstance(fault, Fault)
    look_of(TARGET, answer)
    return fault is None, answer.status, answer.server, answer.headers, answer.beginning, answer.length


def one(data):
    data, numbers = taken_apart(data)
    for method in ("GET", "HEAD"):
        whole = answered([data] if data else [], method)
        split = answered(pieces(data, numbers), method)
        assert whole[:2] == split[:2] or not whole[0]
        if whole[0] and split[0]:
            assert whole[1:4] == split[1:4]
    kind = TYPES[(numbers or [0])[0] % len(TYPES)]
    page = readable(data[:8192], kind)
    assert len(page) <= LONGEST
    assert all(line.isprintable() for line in page.split("\n"))
