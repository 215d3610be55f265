"""What a site lets scripts of other origins read, remembered for the answers that we must give ourselves.

Without these fields a browser tells a script nothing of a 503, not even that it was one. They are those that the site
itself gave the same origin, so nothing is allowed that it did not allow. Only answers that have them cost anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failover.proxy.fields import RequestHead, ResponseHead

_MOST = 1000
_ASKS = b"access-control-request-method"

Key = tuple[bytes, bytes, bytes]


class Cors:
    """The fields by route, origin and, for preflights, the method asked for. One a worker; bounded."""

    def __init__(self) -> None:
        self._known: dict[Key, list[bytes]] = {}

    def learn(self, request: RequestHead, answer: ResponseHead) -> None:
        """Remember what this answer allows to the origin that asked."""
        origin = request.field(b"origin")
        if not origin or answer.status >= 400:
            return
        lines = [line for line in answer.lines if line[:15].lower() == b"access-control-"]
        asked = request.field(_ASKS) if request.method == b"OPTIONS" else b""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[_route(request), origin, asked] = lines
        if not asked:
            self._known[b"", origin, b""] = lines  # the best guess for a route that was never seen

    def fields(self, request: RequestHead) -> list[bytes]:
        """The fields for an answer of our own to this request; empty where nothing is known."""
        origin = request.field(b"origin")
        if not origin:
            return []
        known = self._known.get((_route(request), origin, b"")) or self._known.get((b"", origin, b""))
        return [*known, b"Vary: Origin"] if known else []

    def preflight(self, request: RequestHead) -> list[bytes]:
        """The fields that answered the same preflight before; empty where it is none, or is not known."""
        asked = request.field(_ASKS)
        known = self._known.get((_route(request), request.field(b"origin"), asked)) if asked else None
        return [*known, b"Vary: Origin, Access-Control-Request-Method"] if known else []


def _route(request: RequestHead) -> bytes:
    return request.target.partition(b"?")[0]
