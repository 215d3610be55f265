"""Turns: A B C A B C, so that a machine that changes its mind treats all alike."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from stage import BenchError, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def take_turns(
    title: str, subjects: Mapping[str, Callable[[float], Turn]], *, rounds: int, seconds: float, warm: bool = True
) -> tuple[dict[str, list[Turn]], dict[str, str]]:
    """All turns of all subjects, and the reasons of those that cannot.

    With `warm` each has a short turn before, which counts for nothing: code, caches, connections to the origin.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in subjects}
    cannot: dict[str, str] = {}
    gc.disable()  # a pause of the load would look like one of the proxy
    for number in range(0 if warm else 1, rounds + 1):
        for name, subject in subjects.items():
            if name in cannot:
                continue
            try:
                turn = subject(seconds if number else seconds / 3)
            except BenchError as error:
                cannot[name] = str(error)
                continue
            if number:
                turns[name].append(turn)
                print(f"{title} {number}: {name:10} {_told(turn)}".rstrip(), file=sys.stderr)
    gc.enable()
    return {name: several for name, several in turns.items() if several}, cannot


def _told(turn: Turn) -> str:
    values = "  ".join(f"{name} {value:.4g}" for name, value in turn.values.items())
    beside = f"{turn.beside['per_second']:.0f}/s" if "per_second" in turn.beside else ""
    busy = f"core {turn.beside['busy']:.0%} busy" if "busy" in turn.beside else ""
    return "  ".join(part for part in (values, beside, busy, turn.note, turn.trouble) if part)
