"""A whole worker, with a stranger on one of its sides (`proxy/`, on the virtual clock of `tests/simulation`).

1. Whatever a client sends, and a target answers, no callback raises.
2. Nothing is left behind: no connection, rescue, held write or file.
3. What a stranger sends reaches no exchange of another client: that has its own answer, exact.
4. A target that babbles cannot make an answer look whole that is none: the client has what a strict reader calls one
   answer to each of its requests, or sees the connection end.
"""

from __future__ import annotations

import contextlib
import sys

from fuzz.parts import pieces, taken_apart
from simulation.stage import Stage
from simulation.street import Answer, Babbler, Client, Request, Script, Stranger, content, play

DICTIONARY = "http"
HONEST = Script([Client([Request("POST", size=200, answer=Answer(size=7)), Request(answer=Answer(size=5_000))])])
ASKING = Script([Client([Request(), Request("HEAD")]), Client([Request("POST", "chunked", size=7)], begins=0.004)])
if "atheris" in sys.modules:  # to set the clocks takes longer than to play; in other tests they must go right again
    FOR_EVER = Stage().__enter__()


def one(data):
    data, numbers = taken_apart(data)
    parts = pieces(data, numbers[1:])[:200]
    how = (numbers or [0])[0] % 4
    with contextlib.nullcontext(FOR_EVER) if "atheris" in sys.modules else Stage() as stage:
        if how == 3:
            street = play(stage, HONEST, lambda street: Stranger(street, parts))
            got = street.visitors[0].got
            for name, size in (("c0r0", 7), ("c0r1", 5_000)):
                head, _, got = got.partition(b"\r\n\r\n")
                assert b"X-Name: " + name.encode() in head
                assert got[:size] == content(name, size)
                got = got[size:]
            assert not got
            assert not street.wrong, street.wrong
        else:
            street = play(stage, ASKING, lambda street: babbling(street, parts, how))
            assert all(visitor.ended for visitor in street.visitors)
    assert not street.loop.mishaps, street.loop.mishaps
    assert not street.left_behind(), street.left_behind()


def babbling(street, parts, how):
    for host in street.network.hosts.values():
        host.accept = lambda end: end.begin(Babbler(street, list(parts), how))
