"""What the proxy answers itself on the public port: all under `/__failover/`, in whatever encoding it is written."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import msgspec

from failover.core.model import Verdict
from failover.proxy.answers import simple

if TYPE_CHECKING:
    from failover.proxy.fields import RequestHead
    from failover.proxy.worker import Worker

_PREFIX = b"/__failover"
_TEXT = b"text/plain; charset=utf-8"
_JSON = b"application/json"


def is_own(target: bytes) -> bool:
    """True for every spelling of a path under `/__failover`: such a request is never forwarded."""
    if b"__failover" not in target and b"%" not in target:
        return False
    path = target.partition(b"?")[0]
    for _ in range(4):
        plain = unquote_to_bytes(path)
        if plain == path:
            break
        path = plain
    # Servlet containers drop the parameters of every segment, of `..;x` as well.
    segments = [segment.partition(b";")[0] for segment in path.replace(b"\\", b"/").split(b"/")]
    path = posixpath.normpath(b"/" + b"/".join(segments).lstrip(b"/"))
    return path.split(b"/")[1] == _PREFIX[1:]


def has(target: bytes) -> bool:
    """Whether we answer there ourselves, without the controller."""
    return target.partition(b"?")[0] in _PAGES


def answer(worker: Worker, head: RequestHead, *, closing: bool) -> bytes:
    """The answer to a request for one of our own paths."""
    path = head.target.partition(b"?")[0]
    body = head.method != b"HEAD"
    page = _PAGES.get(path)
    if page is None or (page is _state and worker.settings.public_state == "off"):
        return simple(404, b"not found\n", _TEXT, closing=closing, body=body)
    if head.method not in (b"GET", b"HEAD"):
        return simple(405, b"only GET and HEAD\n", _TEXT, closing=closing, body=body, extra=(b"Allow: GET, HEAD",))
    status, content, kind = page(worker)
    return simple(status, content, kind, closing=closing, body=body)


def _health(_worker: Worker) -> tuple[int, bytes, bytes]:
    return 200, b"OK", _TEXT


def _ready(worker: Worker) -> tuple[int, bytes, bytes]:
    if any(target.usable for target in worker.routing.targets):
        return 200, b"ready\n", _TEXT
    return 503, b"no target is usable\n", _TEXT


def _state(worker: Worker) -> tuple[int, bytes, bytes]:
    routing = worker.routing
    state: dict[str, object] = {
        "on_backup": routing.verdict in (Verdict.BACKUP, Verdict.RAMP),
        "since_unix": int(routing.since_unix),
    }
    if worker.settings.public_state == "full":
        primary, *backups = worker.targets
        states = {state.alias: state for state in routing.targets}
        state |= {
            "primary": primary.url,
            "backup": backups[0].url,
            "fail_count": routing.fail_count,
            "recover_count": routing.recover_count,
            "mode": worker.settings.failback,
            "verdict": routing.verdict.value,
            "share": routing.share,
            "targets": [
                {
                    "alias": target.alias,
                    "url": target.url,
                    "kind": states[target.alias].kind.value,
                    "usable": states[target.alias].usable,
                    "error": states[target.alias].error,
                }
                for target in (primary, *backups)
            ],
        }
    return 200, msgspec.json.encode(state) + b"\n", _JSON


_PAGES = {
    b"/__failover/health": _health,
    b"/__failover/ready": _ready,
    b"/__failover/state": _state,
}
