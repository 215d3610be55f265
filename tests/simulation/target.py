"""Simulated targets: an app that speaks enough HTTP/1.1, has weather, and keeps a ledger of all that it was sent.

The weather is what an operator would call it; `WEATHER` says what each does to a request or to the whole host.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

PROBE_MARK = b"(health check)"

# What happens to a request, as it is read: each is a method of `Talk`.
ANSWERS = {
    "good": "answer",
    "slow": "answer_late",
    "busy": "answer_503",
    "gateway": "answer_502",
    "one page broken": "answer_500_on_some",
    "resets on accept": "reset",
    "resets on request": "reset",
    "closes on request": "close",
    "cuts answers": "cut",
    "talks nonsense": "talk_nonsense",
    "hung": "keep_silent",
    "pages hung": "keep_silent",
    "pages busy": "answer_503",
    "refused": "keep_silent",
    "frozen": "keep_silent",
    "swallowed": "answer",
    "unreachable": "answer",
}
PROBES_PASS = frozenset({"pages hung", "pages busy", "one page broken"})
NETWORK_WEATHER = frozenset({"swallowed", "unreachable"})
BAD_WEATHER = tuple(weather for weather in ANSWERS if weather != "good")


@dataclass(slots=True)
class Entry:
    """One request that a target received whole. `nth` is its number on its connection, `size` its body's; `fresh` tells
    that the connection was made for it, `said` that a byte of an answer left, `answered` that a head did.
    """

    visit: str
    alias: str
    at: float
    worker: str
    connection: int
    nth: int
    size: int
    performed: bool = False
    fresh: bool = False
    said: bool = False
    answered: bool = False


class Host:
    """One target: an address, a road to it, an app."""

    def __init__(self, world, alias, address, road, chance):
        self.world = world
        self.alias = alias
        self.address = address
        self.road = road
        self.chance = chance
        self.weather = "good"
        self.listens = True
        self.ledger = []
        self.talks = {}
        self.connections = 0
        self.closes_idle = chance.choice((0.0, 0.0, 0.05, 0.3))

    def turn(self, weather):
        """From now on the weather is another one."""
        before, self.weather = self.weather, weather
        self.world.say(f"{self.alias} is {weather}")
        self.listens = weather != "refused"
        self.world.network.set_road(self, weather if weather in NETWORK_WEATHER else "open")
        if weather == "refused":
            self._kill()
        elif weather == "frozen":
            for talk in self.talks:
                talk.end.pause_reading()
        elif before == "frozen":
            for talk in list(self.talks):
                talk.end.resume_reading()
        elif before in ("hung", "pages hung") and self.chance.random() < 0.5:
            self._kill()  # somebody has restarted it

    def _kill(self):
        """`kill -9`: whatever is in hand is lost."""
        resets = self.chance.random() < 0.7
        for talk in list(self.talks):
            talk.end.lingers = not resets
            talk.end.die()
        self.talks.clear()

    def accept(self, end):
        """A connection has come."""
        if end.closed:
            return
        if not self.listens:
            end.lingers = False
            end.die()
            return
        self.connections += 1
        talk = Talk(self, end, self.connections)
        end.begin(talk)
        if self.weather == "frozen":
            end.pause_reading()
        elif self.weather == "resets on accept":
            talk.reset()


class Talk(asyncio.Protocol):
    """One connection to a target's app."""

    def __init__(self, host, end, number):
        self.host = host
        self.end = end
        self.number = number
        self.worker = end.peer.process.name
        self.count = 0
        self.busy = False
        self.is_probe = False
        self._buffer = b""
        self._entry = None

    def connection_made(self, transport):
        self.host.talks[self] = True

    def connection_lost(self, exc):
        self.host.talks.pop(self, None)

    def eof_received(self):
        return False

    def data_received(self, data):
        self._buffer += data
        if not self.busy:
            self._next()

    def _next(self):
        """One whole request, if it is here."""
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end == 3:
            return
        head = self._buffer[:end]
        if b"transfer-encoding: chunked" in head.lower():
            last = self._buffer.find(b"0\r\n\r\n", end)
            if last < 0:
                return
            rest = last + 5
            size = self._buffer.count(b"x", end, rest)
        else:
            size = int(field(head, b"content-length") or b"0")
            rest = end + size
            if rest > len(self._buffer):
                return
        self._buffer = self._buffer[rest:]
        self.busy = True
        self.count += 1
        self._received(head, size)

    def _received(self, head, size):
        host = self.host
        self.is_probe = PROBE_MARK in head
        visit = field(head, b"x-visit").decode()
        self._entry = None
        if visit:
            self._entry = Entry(visit, host.alias, host.world.now, self.worker, self.number, self.count, size)
            self._entry.fresh = self.end.peer.is_fresh
            host.ledger.append(self._entry)
            host.world.received(self._entry)
        weather = host.weather
        if self.is_probe and weather in PROBES_PASS:
            weather = "good"
        if weather == "good" and not self.is_probe and self.count > 1 and host.chance.random() < host.closes_idle:
            weather = "closes on request"
        head_only = head.startswith(b"HEAD ")
        getattr(self, ANSWERS[weather])(visit, head_only)

    # -- what becomes of a request

    def _later(self, seconds, *reply):
        self.host.world.loop.at(self.host.world.now + seconds, self._reply, self._entry, *reply)

    def answer(self, visit, head_only, status=200):
        chance = self.host.chance
        body = b"%s for %s" % (self.host.alias.encode(), visit.encode())
        kind = 1.0 if self.is_probe or status != 200 else chance.random()
        if kind < 0.04:
            body += b"." * chance.randrange(65_000, 140_000)
        elif kind < 0.25:
            body += b"." * chance.randrange(3000)
        chunked = 0.25 <= kind < 0.35 and not head_only
        seconds = chance.choice((0.001, 0.003, 0.01, 0.03, chance.uniform(0.0, 0.2)))
        self._later(seconds, status, body, head_only, chunked)

    def answer_late(self, visit, head_only):
        seconds = self.host.chance.uniform(0.3, 9.0)
        self._later(seconds, 200, b"%s for %s" % (self.host.alias.encode(), visit.encode()), head_only, False)

    def answer_503(self, visit, head_only):
        self._later(0.003, 503, b"busy", head_only, False)

    def answer_502(self, visit, head_only):
        self._later(0.003, 502, b"bad gateway", head_only, False)

    def answer_500_on_some(self, visit, head_only):
        if visit.endswith(("0", "5")):
            self._later(0.003, 500, b"a mistake", head_only, False)
        else:
            self.answer(visit, head_only)

    def reset(self, visit="", head_only=False):
        self.end.lingers = False
        self.end.abort()

    def close(self, visit, head_only):
        self.end.abort()

    def talk_nonsense(self, visit, head_only):
        if self._entry is not None:
            self._entry.said = True
        self.end.write(b"I am no web server\r\n\r\n")
        self.end.close()

    def cut(self, visit, head_only):
        """A small answer that breaks off in the middle."""
        if self._entry is not None:
            self._entry.performed = self._entry.said = self._entry.answered = True
        self.end.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly the first part")
        if self.host.chance.random() < 0.5:
            self.end.close()
        else:
            self.host.world.loop.at(self.host.world.now + 0.02, self.reset)

    def keep_silent(self, visit, head_only):
        pass

    def _reply(self, entry, status, body, head_only, chunked):
        """The app has done its work and answers, if there is still somebody to answer."""
        if self.end.closed or self.host.weather == "refused":
            return
        if self.host.weather in ("hung", "frozen"):
            if self.host.weather == "frozen":
                self._later_again(entry, status, body, head_only, chunked)
            return
        if entry is not None:
            entry.performed = entry.performed or status == 200
            entry.said = entry.answered = True
        lines = b"HTTP/1.1 %d X\r\nServer: simulated\r\nX-Target: %s\r\n" % (status, self.host.alias.encode())
        if chunked:
            self._reply_in_chunks(lines, body)
            return
        self.end.write(lines + b"Content-Length: %d\r\n\r\n%s" % (len(body), b"" if head_only else body))
        self._done()

    def _later_again(self, *reply):
        self.host.world.loop.at(self.host.world.now + 0.1, self._reply, *reply)

    def _reply_in_chunks(self, lines, body):
        loop, now, half = self.host.world.loop, self.host.world.now, len(body) // 2
        self.end.write(lines + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (half, body[:half]))
        last = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) - half, body[half:])
        loop.at(now + self.host.chance.uniform(0.0, 0.3), self._last_chunk, last)

    def _last_chunk(self, last):
        if self.end.closed or self.host.weather in ("refused", "hung"):
            return
        self.end.write(last)
        self._done()

    def _done(self):
        self.busy = False
        if self.is_probe:
            self.end.close()
        elif self._buffer:
            self._next()
        elif self.host.chance.random() < self.host.closes_idle:
            seconds = self.host.chance.choice((0.0, 0.001, 0.05, 1.0))
            self.host.world.loop.at(self.host.world.now + seconds, self._close_idle)

    def _close_idle(self):
        """Kept-alive connections are closed when the app feels like it, be it just as the next request comes."""
        if not self.busy and not self.end.closed:
            self.end.close()


def field(head, name):
    """The value of a field, or nothing."""
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    start = at + len(name) + 3
    return head[start : head.index(b"\r\n", start)].strip()
