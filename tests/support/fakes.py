"""Providers that cannot be reached from here, as HTTP servers on a port of their own. They speak as the real ones do.

    with FakeSlack() as slack:
        slack.answers.append(slack.rate_limited(2))         # the next answer; afterwards as usual
        slack.hold()                                        # accept and say nothing, until slack.release()
        ...--webhook-url slack.url --webhook-format slack
        slack.wait_for(2).payload["text"]                   # the second message that was taken

`seen` is every request, `taken` the messages that were accepted.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook

from support import limits
from support.program import PATIENCE


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    payload: Any
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, status: int, told: object, *headers: tuple[str, str]) -> Self:
        return cls(status, json.dumps(told), (("Content-Type", "application/json"), *headers))


class Fake:
    """Takes everything with 200. `path` is that of its address."""

    path = "/hook/hunter2hunter2"

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.taken: list[Request] = []
        self.answers: list[Reply] = []
        self._told = threading.Condition()
        self._open = threading.Event()
        self._open.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}{self.path}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fake._serve(self)

            do_PATCH = do_POST  # noqa: N815 - http.server's names

            def log_message(self, *_args: object) -> None:
                pass

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = _read(handler.command, handler.path, headers, body)
        with self._told:
            self.seen.append(request)
            planned = self.answers.pop(0) if self.answers else None
            self._told.notify_all()
        self._open.wait(PATIENCE)
        reply = planned or self.answer(request)
        if reply.status < 300:
            with self._told:
                self.taken.append(request)  # before the answer: whoever reads that may look here at once
        try:
            handler.send_response(reply.status)
            for name, value in reply.headers:
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(reply.body.encode())))
            handler.end_headers()
            handler.wfile.write(reply.body.encode())
        except OSError:  # whoever asked has given up
            if reply.status < 300:
                with self._told:
                    self.taken.remove(request)
            return
        with self._told:
            self._told.notify_all()

    def answer(self, request: Request) -> Reply:
        return Reply(200, "{}")

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def wait_for(self, number: int) -> Request:
        """The message of that number, counted from 1, that was taken."""
        return self._wait(self.taken, number, "taken")

    def wait_for_seen(self, number: int) -> Request:
        return self._wait(self.seen, number, "seen")

    def _wait(self, requests: list[Request], number: int, what: str) -> Request:
        with self._told:
            assert self._told.wait_for(lambda: len(requests) >= number, PATIENCE), f"{len(requests)} {what}"
            return requests[number - 1]


def _read(method: str, path: str, headers: dict[str, str], body: bytes) -> Request:
    kind = headers.get("content-type", "")
    files: dict[str, bytes] = {}
    payload: Any = None
    if kind.startswith("multipart/"):
        parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        for part in parts.get_payload():
            name = part.get_param("name", header="content-disposition")
            if name == "payload_json":
                payload = json.loads(part.get_payload(decode=True))
            else:
                files[name] = part.get_payload(decode=True)
    elif kind.startswith("application/json"):
        payload = json.loads(body)
    return Request(method, path, headers, body, payload, files)


def _is_within(check: Any, payload: Any) -> bool:
    try:
        check(payload)
    except AssertionError:
        return False
    return True


class FakeSlack(Fake):
    """An incoming webhook: `ok`, or one word (docs.slack.dev, changelog of 2016-05-17)."""

    path = "/services/T000/B000/hunter2hunter2"

    def answer(self, request: Request) -> Reply:
        if not _is_within(limits.slack, request.payload):
            return self.refused("invalid_blocks")
        return Reply(200, "ok")

    @staticmethod
    def rate_limited(seconds: float) -> Reply:
        told = {"retry_after": seconds, "ok": False, "error": "rate_limited"}
        return Reply.of(429, told, ("Retry-After", f"{seconds:g}"))

    @staticmethod
    def refused(word: str) -> Reply:
        status = {"no_service": 404, "channel_not_found": 404, "invalid_token": 403, "channel_is_archived": 410}
        return Reply(status.get(word, 400), word)

    @staticmethod
    def choked() -> Reply:
        return Reply(500)


class FakeSlackApi(Fake):
    """The Web API: 200 whatever happened, and the truth in `ok`."""

    path = "/?channel=C0123"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"http://xoxb-hunter2hunter2@127.0.0.1:{self.port}/?channel=C0123"

    def answer(self, request: Request) -> Reply:
        if request.path == "/upload":
            return Reply(200, "OK")
        if request.headers.get("authorization") != "Bearer xoxb-hunter2hunter2":
            return Reply.of(200, {"ok": False, "error": "invalid_auth"})
        method = request.path.removeprefix("/api/")
        if method == "files.getUploadURLExternal":
            return Reply.of(200, {"ok": True, "upload_url": f"http://127.0.0.1:{self.port}/upload", "file_id": "F1"})
        return Reply.of(200, {"ok": True, "channel": "C0123", "ts": f"17000000{len(self.taken):02}.000100"})

    def methods(self) -> list[str]:
        return [request.path.removeprefix("/api/") for request in self.taken]


class FakeDiscord(Fake):
    """A webhook of Discord's: the message with its id if asked to wait, limits held, buckets in headers."""

    path = "/api/webhooks/1/hunter2hunter2"

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, dict[str, Any]] = {}
        self.remaining = 4

    def answer(self, request: Request) -> Reply:
        told = request.payload
        bucket = (("X-RateLimit-Remaining", str(self.remaining)), ("X-RateLimit-Reset-After", "0.2"))
        if not _is_within(limits.discord, told):
            errors = {"embeds": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 6000 or fewer"}]}}
            return Reply.of(400, {"code": 50035, "message": "Invalid Form Body", "errors": errors}, *bucket)
        if request.method == "PATCH":
            name = request.path.partition("?")[0].rpartition("/")[2]
            if name not in self.messages:
                return Reply.of(404, {"message": "Unknown Message", "code": 10008}, *bucket)
        else:
            if "wait=true" not in request.path:
                return Reply(204, "", bucket)
            name = str(1000 + len(self.messages))
        self.messages[name] = told
        return Reply.of(200, {"id": name, "content": told["content"]}, *bucket)

    @staticmethod
    def rate_limited(seconds: float) -> Reply:
        told = {"message": "You are being rate limited.", "retry_after": seconds, "global": False}
        return Reply.of(429, told, ("Retry-After", "1"), ("X-RateLimit-Scope", "user"))

    @staticmethod
    def unknown_webhook() -> Reply:
        return Reply.of(404, {"message": "Unknown Webhook", "code": 10015})


class FakeTeams(Fake):
    """A workflow of Power Automate."""

    def answer(self, request: Request) -> Reply:
        return (
            Reply(202) if _is_within(limits.teams, request.payload) else Reply(400, "Bad payload received by workflow")
        )


class FakePagerDuty(Fake):
    """Events API v2."""

    path = "/v2/enqueue?routing_key=hunter2hunter2"

    def answer(self, request: Request) -> Reply:
        told = request.payload
        if told["event_action"] == "trigger" and not _is_within(limits.pagerduty, told):
            return Reply.of(
                400, {"status": "invalid event", "message": "Event object is invalid", "errors": ["payload"]}
            )
        return Reply.of(202, {"status": "success", "message": "Event processed", "dedup_key": told["dedup_key"]})


class FakeReceiver(Fake):
    """Anybody's webhook, which verifies the signature with the reference library."""

    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    def answer(self, request: Request) -> Reply:
        try:
            Webhook(self.secret).verify(request.body, request.headers)
        except Exception as error:  # noqa: BLE001 - whatever it does not like
            return Reply(401, f"{type(error).__name__}: {error}")
        return Reply(204)
