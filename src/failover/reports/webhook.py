"""The generic webhook: Standard Webhooks 1.0, whose data is the incident document itself.

A body is to stay below 20 kB. What is too large loses its bulk step by step, and says in `shortened` what is missing:
the whole is in the report.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import msgspec

from failover.reports.fitting import size
from failover.reports.words import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.core.document import Telling

WHOLE = 19_900
_PREFIX = "whsec_"
_KEPT = 10
_TEXT = 64
_LINK = 500

Data = dict[str, Any]


def event(telling: Telling) -> dict[str, Any]:
    """`type`, `timestamp` and `data`: the document as JSON values, and `late` and `resent` if there is a word to say.

    `timestamp` is when the document was up to date, RFC 3339 in UTC.
    """
    data: Data = msgspec.to_builtins(telling.document)
    data |= {"late": telling.late} if telling.late else {}
    data |= {"resent": True} if telling.resent else {}
    return _bounded({"type": telling.occasion.value, "timestamp": data["updated"], "data": _clean(data, None)})


def sign(secrets: tuple[str, ...], message_id: str, at: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each secret (`whsec_` and base64), so that they can be changed.

    `at` is Unix seconds, the same as in `webhook-timestamp`. ValueError: a secret that is no base64.
    """
    signed = b".".join((message_id.encode(), str(at).encode(), body))
    return " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets)


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _bounded(made: dict[str, Any]) -> dict[str, Any]:
    data, shortened = made["data"], []
    for said, shorten in _STEPS:
        before = size(made)
        if before <= WHOLE:
            break
        shorten(data)
        if size(made) < before:
            shortened.append(said)
            data["shortened"] = shortened
    return made


def _no_traffic(data: Data) -> None:
    data["traffic"] = []


def _no_bodies(data: Data) -> None:
    evidence = data["evidence"]
    evidence["body"] = ""
    for one in ("before", "first", "last"):
        if evidence[one]:
            evidence[one] |= {"body": "", "headers": {}}


def _short_timeline(data: Data) -> None:
    data["timeline"] = _ends(data["timeline"], 2 * _KEPT)


def _short_bands(data: Data) -> None:
    data["phases"], data["shifts"] = _ends(data["phases"], _KEPT), _ends(data["shifts"], _KEPT)


def _short_lists(data: Data) -> None:
    for one in ("paths", "errors", "suggestions", "backups"):
        data[one] = list(data[one][:_KEPT])
    data["statuses"] = dict(list(data["statuses"].items())[:_KEPT])
    if data["cause"]:
        data["cause"]["facts"] = list(data["cause"]["facts"][:_KEPT])


def _no_evidence(data: Data) -> None:
    data["evidence"] = {"before": None, "first": None, "last": None, "requests": [], "changed": [], "body": ""}


def _shorter_timeline(data: Data) -> None:
    data["timeline"] = _ends(data["timeline"], _KEPT)


def _short_texts(data: Data) -> None:
    """Not so short that an id, a moment or a digest would be cut. A link that is cut leads nowhere."""
    link = data["link"]
    data |= _clean(data, _TEXT)
    data["link"] = link if len(link) <= _LINK else ""


def _no_lists(data: Data) -> None:
    for one in ("paths", "errors", "suggestions", "timeline", "phases", "shifts"):
        data[one] = []
    data["statuses"], data["backups"] = {}, data["backups"][:2]
    if data["cause"]:
        data["cause"]["facts"] = []


_STEPS: tuple[tuple[str, Callable[[Data], None]], ...] = (
    ("traffic", _no_traffic),
    ("evidence bodies and headers", _no_bodies),
    ("the middle of the timeline", _short_timeline),
    ("the middle of phases and shifts", _short_bands),
    ("the ends of lists", _short_lists),
    ("evidence", _no_evidence),
    ("more of the timeline", _shorter_timeline),
    (f"texts of more than {_TEXT} characters", _short_texts),
    ("all lists", _no_lists),
)


def _ends(entries: list[Any], most: int) -> list[Any]:
    """The beginning and the end."""
    return [*entries[: most // 2], *entries[len(entries) - most // 2 :]] if len(entries) > most else list(entries)


def _clean(value: Any, width: int | None) -> Any:
    """Without halves of pairs, which no JSON can hold, and on request with no text longer than `width`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if width is None else plain(value, width)
    if isinstance(value, dict):
        return {_clean(key, width): _clean(one, width) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one, width) for one in value]
    return value
