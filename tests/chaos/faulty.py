"""The faulty origin, as a process: `python -m chaos.faulty --name primary --port N --file PATH`, in tests/.

It answers as its mode says, which a line on standard input changes while it runs; it says `mode NAME` once that holds.
It ends with its input. Each POST that it performs is a line with the request's id in the file, written before the
answer: what is written survives `kill -9`. GETs leave nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal

import uvloop

from chaos.message import HEAD_END, closes, end_of_the_lab, field, length
from support.origin_wire import reset_transport

MODES = {
    "well": "answers",
    "unavailable": "answers 503 to everything",
    "late": "answers, and each answer comes 8 s late",
    "slam": "resets each connection as it is accepted",
    "reset": "resets each connection once a request is read; nothing is performed",
    "reset-when-done": "performs the request, and resets the connection instead of answering",
    "cut": "closes each connection in the middle of a small body",
    "flap": "unavailable for 1.5 s, well for 1 s, and so on",
}
_LATE = 8.0
_FLAP_BAD, _FLAP_GOOD = 1.5, 1.0
_BODY = b"x" * 200


class Faulty:
    """One origin: its mode, and the file of what it performed."""

    def __init__(self, name: str, file: str) -> None:
        self.name, self.mode = name, "well"
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._flap: asyncio.TimerHandle | None = None
        self._answers = {status: self._answer(status) for status in ("200 OK", "503 Service Unavailable")}

    def _answer(self, status: str) -> bytes:
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(_BODY)}\r\nX-Origin: {self.name}"
        return head.encode() + HEAD_END + _BODY

    @property
    def good(self) -> bytes:
        return self._answers["200 OK"]

    @property
    def bad(self) -> bytes:
        return self._answers["503 Service Unavailable"]

    def perform(self, request_id: str) -> None:
        os.write(self._file, f"{request_id}\n".encode())

    def set(self, mode: str) -> None:
        assert mode in MODES, mode
        if self._flap is not None:
            self._flap.cancel()
            self._flap = None
        if mode == "flap":
            self._turn(bad=True)
        else:
            self.mode = mode
        print(f"mode {mode}", flush=True)

    def _turn(self, *, bad: bool) -> None:
        self.mode = "unavailable" if bad else "well"
        print(f"flapped: {self.mode}", flush=True)
        loop = asyncio.get_running_loop()
        self._flap = loop.call_later(_FLAP_BAD if bad else _FLAP_GOOD, lambda: self._turn(bad=not bad))


class Door(asyncio.Protocol):
    """One connection."""

    def __init__(self, origin: Faulty) -> None:
        self._origin = origin
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if self._origin.mode == "slam":
            reset_transport(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._origin.mode == "slam":
            self._reset()
            return
        self._buffer += data
        while (end := self._buffer.find(HEAD_END)) >= 0:
            head = self._buffer[: end + 2]
            whole = end + len(HEAD_END) + (length(head) or 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._serve(head)

    def _serve(self, head: bytes) -> None:
        """A request is read: do as the mode says."""
        origin, mode = self._origin, self._origin.mode
        if mode == "unavailable":
            self._send(origin.bad, close=closes(head))
        elif mode == "reset":
            self._reset()
        else:
            if head.startswith(b"POST "):
                origin.perform(field(head, "X-Id") or "?")
            if mode == "reset-when-done":
                self._reset()
            elif mode == "cut":
                self._send(origin.good[: -len(_BODY) // 2], close=True)
            elif mode == "late":
                asyncio.get_running_loop().call_later(_LATE, self._send, origin.good, closes(head))
            else:
                self._send(origin.good, close=closes(head))

    def _send(self, answer: bytes, close: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return  # left while it waited
        self._transport.write(answer)
        if close:
            self._transport.close()

    def _reset(self) -> None:
        if self._transport is not None:
            reset_transport(self._transport)
            self._transport = None


async def serve(name: str, port: int, file: str) -> None:
    loop = asyncio.get_running_loop()
    origin = Faulty(name, file)
    ended = asyncio.Event()

    def ordered() -> None:
        orders = os.read(0, 4096)
        for mode in orders.decode().split():
            origin.set(mode)
        if not orders:
            ended.set()

    loop.set_exception_handler(end_of_the_lab)
    loop.add_reader(0, ordered)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await loop.create_server(lambda: Door(origin), "127.0.0.1", port, reuse_port=True, backlog=4096)
    print(f"origin on http://127.0.0.1:{port}", flush=True)
    await ended.wait()


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--name", required=True)
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--file", required=True)
    args = flags.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the lab, which ends us
    gc.disable()  # lives for a minute; a collection would be measured as the proxy's delay
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(args.name, args.port, args.file))


if __name__ == "__main__":
    main()
