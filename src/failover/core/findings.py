"""What is known of an incident when its cause is asked for: facts alone, no guesses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failover.core.document import Certificate, PathCount, Phase, ProbeFact, RequestFact


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFact:
    """A name of the primary was asked for, `after` seconds after the first bad signal (before it: negative).

    It has other addresses now (`before`, `addresses`), or does not resolve (`error`, `detail`).
    """

    after: float
    host: str
    before: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    error: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All evidence about the primary's failure.

    `probes` and `requests` count bad ones by error type, `statuses` the error answers of the primary by status.
    `good_probes` came between the bad ones, `good_requests` were answered well by the primary meanwhile. `before` is
    the last good probe before the incident, `first` the first bad one, `last` the newest. `latencies` are those of the
    last good probes before it, in seconds, oldest first. `failing` and `healthy` are paths the primary failed at, and
    paths it answered well meanwhile. `certificate` is what an unverified look at the primary's certificate showed.
    `backups_down` are the aliases of backups that are down too, with their error types, of `backups` in all.
    """

    primary: str = "primary"
    probes: Mapping[str, int] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[int, int] = field(default_factory=dict)
    good_probes: int = 0
    good_requests: int = 0
    phases: tuple[Phase, ...] = ()
    before: ProbeFact | None = None
    first: ProbeFact | None = None
    last: ProbeFact | None = None
    samples: tuple[RequestFact, ...] = ()
    body: str = ""
    failing: tuple[PathCount, ...] = ()
    healthy: tuple[PathCount, ...] = ()
    latencies: tuple[float, ...] = ()
    names: tuple[NameFact, ...] = ()
    certificate: Certificate | None = None
    backups: int = 1
    backups_down: Mapping[str, str] = field(default_factory=dict)
    network_cut: bool = False
    resolved: bool = False
