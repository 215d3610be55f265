"""The picture of an incident, drawn off the loop; None without the extra `charts`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from failover.core.document import Rung
from failover.observe import log

if TYPE_CHECKING:
    from failover.core.document import Document, Telling

NAME = "incident.png"
_LARGEST = 8_000_000

_log = log.get("notify")


async def of(telling: Telling) -> bytes | None:
    """A PNG, for a rich message alone. A picture that fails never keeps a message from going."""
    if telling.rung is not Rung.RICH:
        return None
    try:
        return await asyncio.get_running_loop().run_in_executor(None, _draw, telling.document)
    except OSError:  # no thread to draw it in
        return None


def _draw(document: Document) -> bytes | None:
    try:
        from failover.reports.picture import png  # noqa: PLC0415 - loads a large library, if it is there

        picture = png(document)
    except Exception as error:  # noqa: BLE001 - the message goes without it
        _log.exception("no picture of the incident", incident=document.id, detail=type(error).__name__)
        return None
    return picture if picture and len(picture) <= _LARGEST else None
