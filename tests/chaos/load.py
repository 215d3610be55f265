"""The visitors as the lab holds them: what became of each request, as it becomes known.

with Load(port, methods=["GET"]) as load:  # 150 requests a second, come what may
    load.wait_for_answers(150, by="primary")
    ...
records = load.records  # whole when the block is left
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from chaos.visitors import WHOLE
from support.program import PATIENCE, Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Record:
    """One request that is over. Moments are monotonic seconds, the same for all processes of this machine."""

    id: str
    method: str
    due: float
    tick: float
    began: float
    done: float
    times: int
    status: int
    origin: str
    outcome: str

    @property
    def failed(self) -> bool:
        """No answer, a cut one, or one from 500 on."""
        return self.outcome != WHOLE or self.status >= 500

    @property
    def took(self) -> float:
        """Seconds since it was due, our own lateness and a wait for somebody free included."""
        return self.done - self.due

    @classmethod
    def read(cls, line: str) -> Record:
        _, number, method, due, tick, began, done, times, status, origin, outcome = line.split(" ")
        moments = (float(due), float(tick), float(began), float(done))
        return cls(number, method, *moments, int(times), int(status), origin, outcome)


class Load(Process):
    """See `chaos.visitors`. `by` counts good answers by who gave them."""

    def __init__(
        self,
        port: int,
        *,
        rate: float = 150.0,
        methods: Sequence[str] = ("GET",),
        visitors: int = 256,
        most: int = 256,
    ) -> None:
        self.records: list[Record] = []
        self.by: Counter[str] = Counter()
        flags = {"port": port, "rate": rate, "methods": ",".join(methods), "visitors": visitors, "most": most}
        words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
        super().__init__([sys.executable, "-m", "chaos.visitors", *words], cwd=_TESTS, orders=True)

    def _take(self, line: str) -> None:
        if line.startswith("did "):
            record = Record.read(line)
            self.records.append(record)
            self.by[record.origin] += not record.failed
        else:
            super()._take(line)

    def start(self) -> Self:
        super().start()
        self.wait_for("^began ")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                with contextlib.suppress(BrokenPipeError):  # it has ended by a mistake, which its log tells
                    self.tell("finish")
                assert self.wait(2 * PATIENCE) == 0, self.log
        finally:
            self.end()

    @property
    def began(self) -> float:
        return float(self.wait_for(r"^began (\S+)")[1])

    def wait_for_answers(self, count: int, by: str | None = None) -> None:
        """Wait until that many more good answers have come, at all or from that origin."""
        wanted = self._good(by) + count
        self.wait_until(
            lambda: self._good(by) >= wanted, lambda: f"{count} more answers by {by or 'anybody'}: {self.story()}"
        )

    def _good(self, by: str | None) -> int:
        return self.by.total() if by is None else self.by[by]

    def story(self) -> str:
        kinds = Counter(f"{record.outcome} {record.status}" for record in self.records if record.failed)
        return f"{len(self.records)} over, failed: {dict(kinds)}, answered by {_plain(self.by)}"


def _plain(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
