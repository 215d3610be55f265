"""The user that a process becomes: from a name or number, as `www-data` or `1001:1001`, to numbers."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass, field

from failover.settings.types import Form, did_you_mean, quoted

_MOST = 2**32 - 2  # the number above means "leave it as it is" to the system (setresuid(2))


@dataclass(frozen=True, slots=True)
class User:
    """`groups` are all that the process is in, `gid` among them. `home` is empty for a number without a name.

    Whoever is put into another group meanwhile is the same user: a reload need not be refused for that.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = field(compare=False)
    home: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.name


def parse_user(text: str) -> User:
    """`NAME`, `NAME:GROUP`, or numbers. Without a group: those of the user; with one: that one alone."""
    word = text.strip()
    name, colon, group = word.partition(":")
    if not name or (colon and not group):
        raise ValueError(f"{quoted(word)} is not a user; write it as www-data, www-data:www-data or 1001:1001")
    user = _user(name)
    if group:
        gid = _group(group)
        user = User(f"{user.name}:{group}", user.uid, gid, (gid,), user.home)
    return user


def _user(name: str) -> User:
    number = _number(name)
    try:
        known = pwd.getpwnam(name) if number is None else pwd.getpwuid(number)
    except (KeyError, ValueError):  # the latter for what no name can hold
        if number is None:
            names = [one.pw_name for one in pwd.getpwall()]
            raise ValueError(f"{quoted(name)} is no user of this machine{did_you_mean(name, names)}") from None
        return User(name, number, number, (number,))
    groups = tuple(os.getgrouplist(known.pw_name, known.pw_gid))
    return User(known.pw_name, known.pw_uid, known.pw_gid, groups, known.pw_dir)


def _group(name: str) -> int:
    number = _number(name)
    if number is not None:
        return number
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        names = [one.gr_name for one in grp.getgrall()]
        raise ValueError(f"{quoted(name)} is no group of this machine{did_you_mean(name, names)}") from None


def _number(word: str) -> int | None:
    if not (word.isascii() and word.isdigit()):
        return None
    if len(word) > 10 or int(word) > _MOST:
        raise ValueError(f"{quoted(word)} is too large for the number of a user or group")
    return int(word)


def nobody() -> User:
    """Who owns nothing: what becomes of him can touch nothing of anybody's."""
    try:
        known = pwd.getpwnam("nobody")
    except KeyError:
        return User("nobody", 65534, 65534, (65534,))
    return User("nobody", known.pw_uid, known.pw_gid, (known.pw_gid,))


USER = Form("NAME[:GROUP]", parse_user)
