"""A foreign text for a place of which nobody knows how it reads it: an e-mail, a workflow, a hundred chats."""

from __future__ import annotations

from failover.reports.words import plain

_TAMED = str.maketrans({"<": "\u2039", ">": "\u203a", "@": "\uff20", "`": "'", "[": "(", "]": ")"})


def tame(text: str) -> str:
    """One line without what mentions, links under another name, or is markup anywhere: signs that look like them."""
    return plain(text).translate(_TAMED)
