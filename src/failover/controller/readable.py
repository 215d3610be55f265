"""The beginning of an error page as a person may read it: no markup, nobody's secrets. Pure."""

from __future__ import annotations

import html
import re

from failover.settings.secret import MASK, mask_text

LONGEST = 1024

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_FOR_TEXT = re.compile(r"(utf-?(8|16)|us-ascii|ascii|latin|iso|windows|cp\d|koi|shift|euc|gb|big5)", re.IGNORECASE)

_UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|svg|template)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_FRAME = re.compile(r"<iframe\b[^>]{0,400}?\bsrc\s*=\s*[\"']?([^\"'\s>]{1,200})[^>]*>", re.IGNORECASE)
_INLINE = re.compile(r"</?(a|abbr|b|code|em|font|i|small|span|strong|u|wbr)\b[^>]*>", re.IGNORECASE)
_NO_SIGN = re.compile(r"&#[0-9]{8,};?")  # Python makes no number of more than 4300 digits
_TAG = re.compile(r"<[/!?a-z][^>]*(?:>|\Z)", re.IGNORECASE)

_SECRETS = re.compile(
    r"(?P<what>"
    r"(?:authorization|api[_-]?key|token|secret|passw(?:or)?d|pwd|session(?:[_-]?id)?|cookie)[\"']?\s{0,3}[:=]\s{0,3}"
    r"[\"']?(?:(?:bearer|basic)\s)?"
    r"|\b(?:bearer|basic)\s"
    r"|[?&][\w.-]{1,40}="
    r")(?!\s)[^\s\"',;&<>]+"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"  # somebody's address
    r"|\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"  # JSON web token
    r"|\b(?:sk|pk|rk|gh[pousr]|glpat|xox[abprs])[-_][\w-]{8,}"
    r"|(?<![\w+=-])(?!\w{1,16}(?:-\w{1,16})+(?![\w+=-]))"  # short parts are the number of a request: a page's best clue
    r"(?=[A-Za-z_+=-]{0,200}\d)(?=[\d_+=-]{0,200}[A-Za-z])[A-Za-z0-9_+=-]{32,}",
    re.IGNORECASE,
)


def readable(body: bytes, content_type: str) -> str:
    """The first 1024 characters of a body as text, secrets masked, HTML without its markup."""
    text = _decoded(body, content_type)
    if "html" in content_type.lower() or text.lstrip()[:1] == "<":
        text = unescaped(_without_markup(text))
    lines = (" ".join(clean.split()) for clean in map(_printable, text.splitlines()))
    return "\n".join(_masked(line) for line in lines if line)[:LONGEST]


def unescaped(text: str) -> str:
    """The text with its character references read."""
    return html.unescape(_NO_SIGN.sub("\ufffd", text))


def _decoded(body: bytes, content_type: str) -> str:
    named = _CHARSET.search(content_type)
    if named is not None and _FOR_TEXT.match(named[1]):
        try:
            return body.decode(named[1], "replace")
        except (LookupError, ValueError):
            pass
    return body.decode("utf-8", "replace")


def _without_markup(text: str) -> str:
    text = _FRAME.sub(r"\n\1\n", _UNSEEN.sub(" ", text))  # some platforms show their error page in a frame
    return _TAG.sub("\n", _INLINE.sub("", text))


def _printable(line: str) -> str:
    return "".join(one if one.isprintable() else " " for one in line)


def _masked(line: str) -> str:
    return _SECRETS.sub(lambda found: f"{found['what'] or ''}{MASK}", mask_text(line))
