"""What leads visitors past the proxy, or round and round: redirects, cookies, and links with a target's own name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from failover.core.words import count
from failover.doctor.base import Finding, warn
from failover.settings.secret import mask_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failover.core.model import Target
    from failover.doctor.look import Answer, Asker

_DOMAIN = re.compile(r"(?i);\s*domain\s*=\s*\.?([^;\s]*)")


def leaks(target: Target, path: str, answer: Answer, asker: Asker) -> Iterator[Finding]:
    """Of one answer, to a request for this path of the target's own."""
    yield from _redirect(target, path, answer, asker)
    for cookie in answer.cookies:
        yield from _cookie(target, cookie, asker)
    yield from _links(target, answer, asker)


def _redirect(target: Target, path: str, answer: Answer, asker: Asker) -> Iterator[Finding]:
    location = answer.fields.get("location", "")
    if not 300 <= answer.status < 400 or not location:
        return
    shown = mask_text(location)
    asked = path.removeprefix(target.base_path) or "/"
    seen = urljoin(asked, asker.seen_location(target, answer))
    if seen == asked:  # to the public name a visitor has asked for just that
        https = location.lower().startswith("https:") and not target.tls
        text = f"redirects {asked} to {shown}, which leads visitors back to the same request, for ever"
        over = (
            f"write https://{target.host} as its address" if https else "let it answer under the name that it is sent"
        )
        remedy = f"{over}; if it wants https, it has to believe X-Forwarded-Proto"
        yield warn("redirect", target.alias, text, remedy)
    elif not seen.startswith("/") or seen.startswith("//"):
        name = urlsplit(seen).hostname or seen
        whose = next((one.alias for one in _all(asker) if one.host == name and one.alias != target.alias), "")
        whose = f", the {whose}'s own name," if whose else ""
        text = f"redirects to {shown}: {name}{whose} is not this target, so visitors leave the proxy there"
        remedy = "make its redirects relative; if it is your public name, give it as --public-url"
        yield warn("redirect", target.alias, text, remedy)


def _cookie(target: Target, cookie: str, asker: Asker) -> Iterator[Finding]:
    found = _DOMAIN.search(cookie)
    domain = found[1].lower() if found else ""
    public = (urlsplit(f"//{asker.public_host}").hostname or "").lower()
    if not domain or _within(target.host, domain) or (public and _within(public, domain)):
        return  # what names the target is written anew for the public name
    name = cookie.partition("=")[0]
    text = f"sets the cookie {name} for {domain}, which is not its own name: browsers refuse it under another one"
    remedy = "leave Domain out of it: the cookie is then the public name's own; if it is that name, give --public-url"
    yield warn("cookie", target.alias, text, remedy)


def _links(target: Target, answer: Answer, asker: Asker) -> Iterator[Finding]:
    """Bodies are never rewritten, so a browser takes such a file from the target, whoever serves the page."""
    if answer.status != 200 or target.host == (urlsplit(f"//{asker.public_host}").hostname or ""):
        return
    urls = [link for link in answer.page.links if _host(link) == target.host]
    if urls:
        text = f"its page fetches {count(len(urls), 'file')} from {target.host} by name, past this proxy"
        yield warn("links", target.alias, text, "make them relative, or build them from the Host: --host client")


def _host(link: str) -> str:
    try:
        return urlsplit(link.strip()).hostname or ""
    except ValueError:
        return ""


def _within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _all(asker: Asker) -> tuple[Target, ...]:
    return (asker.settings.primary, *asker.settings.backup)
