"""The door: what the pages know of the proxy, and what they may ask of it.

The controller publishes a `Sheet` once a second and at each change; pages, API, stream and metrics are made of the
last one. Who works for the pages has a thread of his own, and nobody ever waits for it. Times are Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from failover.core.drill import Plan
    from failover.core.helm import Wish

Key = tuple[str | int, ...]
"""A counter's name and its labels: `("answers", "primary", "GET", 200)`."""

RING = 500
"""How many events the pages keep."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One probe: `error` is empty for a good one, `sentence` says in words what a bad one met."""

    at: float
    took_ms: float
    error: str = ""
    sentence: str = ""
    status: int = 0


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A target as it is known now. `serving`: new requests go there first. `probes` are the last 60, oldest first.

    `last_ok` is when a probe was answered well for the last time, `certificate_ends` when the certificate does.
    """

    alias: str
    url: str
    kind: str
    usable: bool
    serving: bool
    error: str = ""
    sentence: str = ""
    addresses: list[str] = []
    in_flight: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    last_ok: float | None = None
    last_bad: Probe | None = None
    certificate_ends: float | None = None
    probes: list[Probe] = []


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The traffic of the last minute, and what there is at this moment. `hidden` counts since the proxy was started."""

    requests_per_second: float = 0.0
    failed: int = 0
    failed_ratio: float = 0.0
    p95_ms: float | None = None
    in_flight: int = 0
    clients: int = 0
    held: int = 0
    hidden: int = 0
    workers: int = 0


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of the last quarter of an hour, in steps of `seconds`: primary, backup, rescued, failed, refused."""

    start: float
    seconds: float
    rows: list[tuple[int, int, int, int, int]] = []


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants for the time being. `until` is when it ends by itself, if it does."""

    wish: str
    who: str
    until: float | None = None


class DrillState(msgspec.Struct, frozen=True, kw_only=True):
    """A drill that runs. `compared` and `different` are answers of both sides to the same question (shadow)."""

    sort: str
    percent: int
    who: str
    began: float
    ends: float
    compared: int = 0
    different: int = 0
    hidden: int = 0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at a glance. `serving` is primary, backup, ramp (both) or none; `sentence` says it in words.

    `incident` is the id of the open one, or empty.
    """

    schema: str = "failover.state/v1"
    version: str
    now: float
    started: float
    listening: list[str]
    serving: str
    sentence: str
    reason: str
    verdict: str
    share: int
    since: float
    failback: str
    fail_count: int
    fail_threshold: int
    recover_count: int
    recover_threshold: int
    pinned: Pinned | None = None
    network_cut: bool = False
    incident: str = ""
    drill: DrillState | None = None
    targets: list[Target] = []
    live: Live = Live()
    traffic: Traffic = Traffic(start=0.0, seconds=5.0)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, as the log has it: `action` is for machines, `text` and `reason` for people."""

    id: int
    at: float
    level: str
    action: str
    text: str
    reason: str = ""
    facts: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is published: the state, and all counters by their key."""

    state: State
    counters: Mapping[Key, float]


class RefusedError(Exception):
    """What a person asked for is not done; the text says why."""


class Desk(Protocol):
    """Where people ask for something. From any thread; the future has a sentence, or fails with RefusedError."""

    def steer(self, wish: Wish, who: str, seconds: float | None) -> Future[str]: ...

    def drill(self, plan: Plan) -> Future[str]: ...

    def end_drill(self, who: str) -> Future[str]: ...


class Pages(Protocol):
    """Dashboard, API, event stream and metrics. From any thread; returns at once."""

    def publish(self, sheet: Sheet) -> None: ...

    def tell(self, event: Event) -> None: ...

    def close(self) -> None: ...
