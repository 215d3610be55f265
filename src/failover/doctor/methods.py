"""What is asked beside a plain GET: HEAD, parts of a file, and who takes writes in an outage.

A write is never tried: what a target would do with one is read from what it says of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.model import PRIMARY, Kind
from failover.core.words import failing
from failover.doctor.base import Finding, ok, warn
from failover.faults import Fault

if TYPE_CHECKING:
    from failover.core.model import Target
    from failover.doctor.look import Answer, Asker

_STORE = "amazons3"
_XML = ("application/xml", "text/xml")


async def head(target: Target, path: str, page: Answer, asker: Asker) -> Finding:
    remedy = "let the app answer HEAD as it answers GET, without the body: caches and monitors ask so"
    try:
        status, has_body = await asker.head(target, path)
    except Fault as fault:
        return warn("head", target.alias, f"HEAD is not answered: {failing('it', fault.error, fault.detail)}", remedy)
    if status != page.status:
        return warn("head", target.alias, f"HEAD is answered {status}, and GET {page.status}", remedy)
    if has_body:
        return warn("head", target.alias, "HEAD is answered with a body, which breaks the next request", remedy)
    return ok("head", target.alias, f"HEAD is answered as GET is: {status}")


async def part(target: Target, path: str, page: Answer, asker: Asker) -> list[Finding]:
    """The first byte alone. To answer with the whole is allowed."""
    if page.status != 200:
        return []
    remedy = "let it ignore Range where it cannot serve parts: players and downloads ask so"
    try:
        status = (await asker.ask(target, path, fields={"Range": "bytes=0-0"}, body=False)).status
    except Fault as fault:
        told = failing("it", fault.error, fault.detail)
        return [warn("range", target.alias, f"a request for a part is not answered: {told}", remedy)]
    if status in {200, 206} or not page.length:
        return [ok("range", target.alias, f"a request for a part is answered {status}")]
    return [warn("range", target.alias, f"a request for a part is answered {status}, not 206 or 200", remedy)]


async def writes(target: Target, path: str, page: Answer, asker: Asker) -> list[Finding]:
    """Who takes a POST while the primary is down."""
    if target.alias == PRIMARY:
        return []
    is_store = _STORE in page.fields.get("server", "").lower()
    if target.kind is Kind.STATIC or (is_store and not target.kind_is_certain):
        held = "held and then refused" if asker.settings.hold_writes else "refused"
        text = f"counts as static, so writes are {held} while the primary is down"
        return [warn("writes", target.alias, text, "a second app as backup (--backup-kind replica)")]
    why = "" if not is_store else "its Server is AmazonS3"
    if not why:
        why = await _refuses(target, path, asker)
    if why:
        text = f"counts as a second app, but {why}: it serves files only, and would answer writes with errors"
        return [warn("writes", target.alias, text, "--backup-kind static")]
    return [ok("writes", target.alias, "counts as a second app: it gets the writes while the primary is down")]


async def _refuses(target: Target, path: str, asker: Asker) -> str:
    """Stores of files answer OPTIONS with an error in XML."""
    try:
        answer = await asker.ask(target, path, method="OPTIONS")
    except Fault:
        return ""
    is_xml = answer.fields.get("content-type", "").lower().startswith(_XML)
    is_store = _STORE in answer.fields.get("server", "").lower() or "x-amz-request-id" in answer.fields
    if answer.status in {403, 405} and (is_xml or is_store):
        return f"OPTIONS is answered {answer.status} as a store of files does"
    return ""
