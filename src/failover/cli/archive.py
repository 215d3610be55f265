"""Where a command finds incidents: in the store on disk, or, where the proxy keeps them in memory, by asking it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec

from failover.core.document import Document
from failover.errors import StoreError, UnreachableError
from failover.incidents import queries
from failover.incidents.opening import open_beside
from failover.incidents.place import find_folder
from failover.notify.channels import channels
from failover.settings.sources import load_some

if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType

    from failover.cli.control import Proxy

_SETTINGS = ("listen", "state_dir", "webhook_url", "webhook_format")
_MOST_FROM_A_PROXY = 200


class Archive(Protocol):
    """Incidents as a command needs them. Raises StoreError with a sentence."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def names(self, beginning: str) -> list[str]:
        """The ids that begin like this, newest first."""

    def listed(self, most: int) -> list[Document]: ...

    def load(self, name: str) -> Document | None: ...

    def note(self, name: str, who: str, text: str) -> None: ...

    def resend(self, name: str) -> list[str]:
        """Want it told again; the names of the channels."""


def open_archive(place: dict[str, Any], *, write: bool = False) -> Archive:
    """The store where the proxy has it, or the proxy that has it in memory. Raises FailoverError."""
    given = {key: value for key, value in place.items() if value is not None}
    settings = load_some(_SETTINGS, given, os.environ)
    folder, reason = find_folder(settings["state_dir"], settings["listen"].port, os.environ)
    try:
        if folder is not None:
            return OnDisk(open_beside(folder, write=write), settings)
        failed = StoreError(f"there is no store to read: {reason}")
    except StoreError as error:
        failed = error
    # A folder that was named is what was meant; else it may be a proxy that keeps everything in memory.
    found = _in_memory(given) if settings["state_dir"] is None or folder is None else None
    if found is None:
        raise failed
    return found


def _in_memory(given: dict[str, Any]) -> InMemory | None:
    from failover.cli.control import find_running  # noqa: PLC0415 - the usual case does not need it

    try:
        proxy = find_running(given.get("listen"), given.get("config"))
    except UnreachableError:
        return None
    return InMemory(proxy) if proxy is not None else None


class OnDisk:
    def __init__(self, connection: sqlite3.Connection, settings: dict[str, Any]) -> None:
        self._read = connection
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._read.close()

    def names(self, beginning: str) -> list[str]:
        return queries.names(self._read, beginning)

    def listed(self, most: int) -> list[Document]:
        return queries.listed(self._read, most)

    def load(self, name: str) -> Document | None:
        return queries.load(self._read, name)

    def note(self, name: str, who: str, text: str) -> None:
        queries.note(self._read, name, _now(), who, text)

    def resend(self, name: str) -> list[str]:
        set_up = channels(self._settings["webhook_url"], self._settings["webhook_format"])
        keys = {channel.key: channel.name for channel in set_up}
        keys = {key: key for key in queries.told_channels(self._read, name)} | keys
        if not keys:
            raise StoreError("there is no channel to send it to; set one with --webhook-url")
        queries.resend(self._read, name, tuple(keys), _now())
        return list(keys.values())


class InMemory:
    """The incidents of a proxy that keeps them nowhere else."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def names(self, beginning: str) -> list[str]:
        found = [one["id"] for one in self._proxy.get(f"/api/v1/incidents?last={_MOST_FROM_A_PROXY}")]
        return [name for name in found if name.startswith((beginning, f"inc_{beginning}"))]

    def listed(self, most: int) -> list[Document]:
        names = self.names("")[:most]
        return [told for name in names if (told := self.load(name)) is not None]

    def load(self, name: str) -> Document | None:
        return msgspec.convert(self._proxy.get(f"/api/v1/incidents/{name}"), Document, strict=False)

    def note(self, name: str, who: str, text: str) -> None:
        self._proxy.post(f"/api/v1/incidents/{name}/notes", {"text": text, "who": who})

    def resend(self, name: str) -> list[str]:  # noqa: ARG002 - there is nothing to do it with
        raise StoreError("the proxy keeps its incidents in memory: they cannot be sent again; give it a --state-dir")


def _now() -> float:
    return time.time()  # noqa: TID251 - a person's note is told in the time of people
