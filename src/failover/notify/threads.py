"""Threads for what blocks (names, pictures, foreign libraries): as many as are asked for, and nobody waits for them.

A pool would be full when a name server hangs, and an exit would wait for it (`resolver` has the same reasons).
"""

from __future__ import annotations

import errno
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Threads(ThreadPoolExecutor):
    """A daemon thread for each call, OSError where this machine has no room for one.

    A loop takes nothing but a ThreadPoolExecutor as its own.
    """

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        future: Future[_T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is the caller's to judge
                future.set_exception(error)
            else:
                future.set_result(result)

        try:
            threading.Thread(target=call, name="courier's", daemon=True).start()
        except RuntimeError:
            raise OSError(errno.EAGAIN, "no room for another thread") from None
        return future
