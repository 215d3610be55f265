"""Causes that TLS shows: what is wrong with the certificate, or with the handshake. Pure, one rule a function."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from failover.core.cause_scene import few, moment, span
from failover.core.model import ErrorType
from failover.core.words import CHECK

if TYPE_CHECKING:
    from datetime import datetime

    from failover.core.cause_scene import Scene
    from failover.core.document import Cause, Certificate

_CERTIFICATE = (ErrorType.TLS_CERTIFICATE_ERROR,)
_TLS = (ErrorType.TLS_PROTOCOL_ERROR,)


def certificate(scene: Scene) -> Cause | None:
    if not scene.mostly(_CERTIFICATE):
        return None
    words = _certificate_words(scene)
    kind, title, check = next((row[1:] for row in _CERTIFICATES if re.search(row[0], words)), _OTHER_CERTIFICATE)
    shown, before = scene.findings.certificate, scene.findings.before
    facts = list(scene.counted(_CERTIFICATE, "met by a certificate that was not accepted"))
    if words:
        facts.append(f"TLS says: {words}")
    shown = shown or (before.certificate if before is not None else None)
    if shown is not None:
        if kind == "certificate_expired" and _is_good_yet(scene, shown):
            title, check = _ABOVE_IT
        elif kind == "certificate_expired" and shown.not_after is not None:
            facts.insert(0, f"it ended at {moment(shown.not_after)}{_before(scene, shown.not_after)}")
        if kind == "certificate_not_yet_valid" and shown.not_before is not None:
            facts.insert(0, f"it begins at {moment(shown.not_before)}")
        if shown.names:
            facts.append(f"it is for {few(shown.names)}")
        if shown.issuer:
            facts.append(f"issued by {shown.issuer}")
    old = before.certificate if before is not None else None
    if shown is not None and old is not None and shown.sha256 and old.sha256 and shown.sha256 != old.sha256:
        facts.append("it is another certificate than before the incident")
    return scene.cause(kind, scene.say(title), _CERTIFICATE, facts, check, sure=1 if shown is not None else 0)


_CERTIFICATES = (
    (
        "expired", "certificate_expired", "The certificate {has|had} expired",
        "Renew the certificate, load it into the server, and look why it was not renewed by itself.",
    ),
    (
        "not yet valid", "certificate_not_yet_valid", "The certificate {is|was} not valid yet",
        "Are the clocks of this machine and of the one that issued the certificate right?",
    ),
    (
        "mismatch|wrong name|not match", "certificate_wrong_name", "The certificate {is|was} for another name",
        "Does the name lead to the right server, and is the name in its certificate?",
    ),
    (
        r"self[- ]signed certificate(?! in)|self-signed$", "certificate_self_signed",
        "The certificate {is|was} signed by itself",
        "Give the server its real certificate, or failover the file of your own authority: --upstream-ca.",
    ),
    (
        "issuer|unable to verify|self[- ]signed|unknown", "certificate_unknown_authority",
        "The certificate {is|was} from an unknown authority",
        "Does the server send the intermediate certificates too? For an authority of your own: --upstream-ca.",
    ),
)  # fmt: skip
_OTHER_CERTIFICATE = (
    "certificate_refused", "The certificate {is|was} not accepted", CHECK[ErrorType.TLS_CERTIFICATE_ERROR],
)  # fmt: skip


_ABOVE_IT = (
    "An authority above the certificate {has|had} expired",
    "Load the chain of today into the server; or is the list of authorities of this machine an old one?",
)


def _is_good_yet(scene: Scene, shown: Certificate) -> bool:
    last = scene.findings.last
    return last is not None and shown.not_after is not None and shown.not_after > last.at


def _certificate_words(scene: Scene) -> str:
    """Why it was not accepted: the words of the handshake, or of the look at it."""
    shown = scene.findings.certificate
    return (scene.detail(_CERTIFICATE) or (shown.issue if shown is not None else "")).lower()


def _before(scene: Scene, ended: datetime) -> str:
    seconds = (scene.began - ended).total_seconds() if scene.began is not None else -1.0
    return f", {span(seconds)} before the first bad signal" if seconds >= 0 else ""


def handshake(scene: Scene) -> Cause | None:
    if not scene.mostly(_TLS):
        return None
    detail = scene.detail(_TLS)
    plain = re.search(
        r"wrong version number|http request|unknown protocol|packet length too long", detail, re.IGNORECASE
    )
    return scene.cause(
        "tls_handshake",
        scene.say("The port {does|did} not speak TLS" if plain else "The TLS handshake {fails|failed}"),
        _TLS,
        (*scene.counted(_TLS, "ended by the TLS handshake"), detail and f"TLS says: {detail}"),
        CHECK[ErrorType.TLS_PROTOCOL_ERROR],
    )
