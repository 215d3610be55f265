"""How many connections each network has, at all workers together: counters in memory that the workers share.

A worker writes its own row only, and reads all of them: nothing is locked, nobody is asked. A network is found by two
hashes with a secret key and counts what the lesser cell says (a count-min sketch): one that shares a cell with a greedy
one is not taken for it, and nobody can choose whose cells to fill. A worker that dies takes its row with it: its
successor begins with an empty one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from failover.launch import COUNTER_CELLS

if TYPE_CHECKING:
    import mmap

_HALF = COUNTER_CELLS // 2


class Headcount:
    """`memory` has a row for each worker, this one's at `slot`."""

    def __init__(self, memory: mmap.mmap | bytearray, slot: int, key: str) -> None:
        cells = memoryview(memory).cast("I")
        self._rows = [cells[start : start + COUNTER_CELLS] for start in range(0, len(cells), COUNTER_CELLS)]
        self._own = self._rows[slot]
        self._own[:] = memoryview(bytes(4 * COUNTER_CELLS)).cast("I")
        self._key = hashlib.sha256(key.encode()).digest()

    def add(self, network: str) -> int:
        """One connection more: how many it has now."""
        first, second = self._cells(network)
        self._own[first] += 1
        self._own[second] += 1
        return min(sum(row[first] for row in self._rows), sum(row[second] for row in self._rows))

    def take(self, network: str) -> None:
        """One connection less."""
        for cell in self._cells(network):
            self._own[cell] -= 1

    def _cells(self, network: str) -> tuple[int, int]:
        digest = hashlib.blake2b(network.encode(), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest[:4]) % _HALF, _HALF + int.from_bytes(digest[4:]) % _HALF
