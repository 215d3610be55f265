"""A hundred more places, through Apprise: an extra, since it is large. It blocks, so it has threads of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Self

from failover.core.document import Occasion
from failover.notify.verdict import Receipt, Refusal, Then, Verdict
from failover.reports import plain

if TYPE_CHECKING:
    import aiohttp

    from failover.core.document import Telling
    from failover.notify.channels import Channel

EDITS = False
IDEMPOTENT = False

_MISSING = "this address needs Apprise, which is not installed: pip install 'failover[apprise]'"


async def deliver(http: aiohttp.ClientSession, channel: Channel, telling: Telling, remote: str) -> Receipt:  # noqa: ARG001 - the contract's
    """One message. Apprise only says whether it went; why not stands in its log."""
    title, body = plain.message(telling)
    verdict = await asyncio.get_running_loop().run_in_executor(None, _notify, channel.url, title, body, _kind(telling))
    if verdict:
        raise Refusal(verdict)
    return Receipt()


def _kind(telling: Telling) -> str:
    if telling.occasion is Occasion.TEST:
        return "info"
    return "success" if telling.document.resolved else "failure"


def _notify(url: str, title: str, body: str, kind: str) -> Verdict | None:
    try:
        import apprise  # noqa: PLC0415 - an extra, and 100 ms
    except ImportError:
        return Verdict(then=Then.BROKEN, reason=_MISSING)
    with _Heard() as heard:
        there = apprise.Apprise()
        if not there.add(url):
            return Verdict(then=Then.BROKEN, reason="Apprise does not know what to do with this address")
        if there.notify(body=body, title=title, notify_type=apprise.NotifyType(kind)):
            return None
    return Verdict(then=Then.RETRY, reason="Apprise could not deliver it", words=heard.words, unsure=True)


class _Heard(logging.Handler):
    """What Apprise says in this thread. It goes no further: it may hold parts of the address."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("apprise")
        self.words = ""

    def __enter__(self) -> Self:
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if threading.get_ident() == self._thread:
            self.words = " ".join(filter(None, (self.words, record.getMessage())))
