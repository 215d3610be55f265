"""Rescue: may a request whose try failed be sent again, and where? Decided by how far it got, never by method alone.

Pure. `TABLE` is the contract's table (spec section 5) row by row; a progress it does not list ends the exchange.
"""

from __future__ import annotations

from enum import Enum, auto

MAX_TRIES = 3
"""All tries of one exchange together, the first included."""


class Progress(Enum):
    """How far a request got before its target failed."""

    NOTHING_SENT = auto()
    """Name, connect or TLS failed."""
    REUSED_CLOSED = auto()
    """A kept-alive connection was closed under the request before any byte of an answer (RFC 9112 section 9.3.1)."""
    SENT = auto()
    """Sent, wholly or in part, and no response head came."""
    FIRST_BYTE_TIMEOUT = auto()
    """Sent, and no response head came in time: the target may be working on it still."""
    GATEWAY_ERROR = auto()
    """Answered 502, 503 or 504: somebody before the app, or the app itself, says that it cannot."""
    INCOMPLETE = auto()
    """The answer broke off, and the client has not seen its head."""
    HEAD_PASSED_ON = auto()
    """The client has seen the beginning of the answer."""


class Request(Enum):
    """What sort of request it is, as far as repeating it goes (RFC 9110 section 9.2)."""

    SAFE = auto()
    IDEMPOTENT = auto()
    """PUT and DELETE."""
    ONCE = auto()
    """POST, PATCH and every method not known to us."""
    KEYED = auto()
    """Any write that carries an Idempotency-Key."""


class Step(Enum):
    """What to do next."""

    SAME_FRESH = auto()
    """The same target, once, on a fresh connection."""
    NEXT = auto()
    """The next target of the ladder."""
    HOLD = auto()
    """Nobody can take this write now and nothing of it was sent: keep it for the primary to come back."""
    END = auto()
    """Answer with an error: it must not be sent again."""


TABLE: dict[Progress, dict[Request, Step]] = {
    Progress.NOTHING_SENT: dict.fromkeys(Request, Step.NEXT),
    Progress.REUSED_CLOSED: {
        Request.SAFE: Step.SAME_FRESH,
        Request.IDEMPOTENT: Step.SAME_FRESH,
        Request.ONCE: Step.END,
        Request.KEYED: Step.SAME_FRESH,
    },
    # A write with an Idempotency-Key goes on to replicas only: there is nothing else on its ladder.
    Progress.SENT: {Request.SAFE: Step.NEXT, Request.KEYED: Step.NEXT},
    Progress.FIRST_BYTE_TIMEOUT: {Request.SAFE: Step.NEXT},
    Progress.GATEWAY_ERROR: {Request.SAFE: Step.NEXT},
    Progress.INCOMPLETE: {Request.SAFE: Step.NEXT},
}


def next_step(progress: Progress, request: Request, tries: int, *, body_at_hand: bool) -> Step:
    """The step after a failed try. `tries` counts those made; `body_at_hand` says whether the body can be sent again
    from its first byte.
    """
    if tries >= MAX_TRIES or not body_at_hand:
        return Step.END
    return TABLE.get(progress, {}).get(request, Step.END)


def with_nobody_next(progress: Progress, request: Request) -> Step:
    """The step instead of NEXT when there is no next target."""
    return Step.HOLD if progress is Progress.NOTHING_SENT and request is not Request.SAFE else Step.END
