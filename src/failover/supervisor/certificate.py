"""TLS on both sides, loaded for all children of one reading of the settings: what clients are shown, whom we believe.

The supervisor loads it, and children inherit it: whoever dies comes back with the certificate that his brothers show,
whatever has become of the file, and all of them take each other's session tickets. Their own users may read neither.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from failover.dial import upstream_tls
from failover.errors import StartError
from failover.observe import log
from failover.settings.certificate import ends, server_tls

if TYPE_CHECKING:
    import ssl

    from failover.settings.model import Settings

_log = log.get("supervisor")

_SOON = 14 * 86400.0  # what is renewed in time has more


def open_tls(settings: Settings) -> ssl.SSLContext | None:
    """TLS for the public port, None for plain HTTP. A certificate that ends soon is told in the log.

    Raises StartError when the files have changed since the settings were read, and for the worse.
    """
    if settings.tls_cert is None:
        return None
    try:
        context = server_tls(settings.tls_cert, settings.tls_key)
    except ValueError as error:
        raise StartError(f"--tls-cert: {error}") from None
    until = ends(settings.tls_cert, context)
    left = until - time.time() if until is not None else _SOON  # noqa: TID251 - it ends in the time of people
    if until is not None and left < _SOON:
        what = "the certificate ends soon" if left > 0 else "the certificate has expired, clients refuse it"
        why = f"it is good until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC; renew it and send SIGHUP"
        _log.warning(what, action="certificate.ends", reason=why, file=str(settings.tls_cert))
    return context


def open_upstream_tls(settings: Settings) -> ssl.SSLContext | None:
    """What https targets are verified with, None where there are none. Raises StartError as `open_tls` does."""
    try:
        return upstream_tls((settings.primary, *settings.backup), settings.upstream_ca)
    except OSError as error:  # ssl.SSLError is one
        raise StartError(f"--upstream-ca: {settings.upstream_ca} cannot be read: {error.strerror or error}") from None
