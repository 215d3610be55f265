"""Who looks on while the loop works: told of what may be shown, and of what may end a drill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failover.core.events import VerdictChanged


class Watcher(Protocol):
    def changed(self) -> None:
        """What the workers are told is different now."""

    def verdict_changed(self, change: VerdictChanged) -> None:
        """Told before it is written down."""

    def asked_by_users(self, targets: Sequence[str]) -> None:
        """What users asked for in a shadow drill."""


class Nobody:
    """Nobody looks on."""

    def changed(self) -> None:
        pass

    def verdict_changed(self, change: VerdictChanged) -> None:
        pass

    def asked_by_users(self, targets: Sequence[str]) -> None:
        pass
