"""The seats of the controller and the workers: who sits there, who is to be born, who is overdue to leave.

Mechanics only: *when* a child is seated or dismissed is the supervisor's decision.
"""

from __future__ import annotations

import mmap
import os
import selectors
import signal
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from failover.launch import CONTROLLER_SLOT, COUNTER_CELLS, READY, Launch
from failover.observe import log
from failover.supervisor.child import Pace, Run, fork
from failover.supervisor.sockets import url_of

if TYPE_CHECKING:
    import socket
    import ssl

    from failover.settings.model import Settings
    from failover.supervisor.sockets import ChannelEnd

_log = log.get("supervisor")

NEVER = float("inf")
_FORK_AGAIN_AFTER = 1.0
_FORK_TOLD_EVERY = 60
_LOOK_EVERY = 3.0
_SILENT_LOOKS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """What children of one reading of the settings have in common."""

    settings: Settings
    public: tuple[socket.socket, ...]
    token: str = field(repr=False)
    ancestor: str = field(default="", repr=False)
    admin: tuple[socket.socket, ...] = ()
    tls: ssl.SSLContext | None = None
    upstream_tls: ssl.SSLContext | None = None
    addresses: tuple[str, ...] = field(init=False)
    counters: mmap.mmap | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.settings.max_connections_per_client:
            object.__setattr__(self, "counters", mmap.mmap(-1, 4 * COUNTER_CELLS * self.settings.workers))
        # asked now: a stop closes the sockets, and children may still be born after that
        addresses = tuple(url_of(one, tls=self.tls is not None) for one in self.public)
        object.__setattr__(self, "addresses", addresses)


@dataclass(slots=True, eq=False)
class Seat:
    """The place of the controller or of one worker. Children die; the seat stays until its child is dismissed.

    `pid` is 0 while nobody sits in it: then `due` is the moment for the next birth. `leaving`: its child was told to
    leave, and is killed at `kill_at`. `silent` is at how many looks in a row its child had given no sign of life,
    `unborn` how many births in a row this machine had no room for. Times are monotonic seconds.
    """

    run: Run
    slot: int
    generation: Generation
    due: float = 0.0
    reborn: bool = False
    pid: int = 0
    born: float = 0.0
    died: float | None = None
    ready: bool = False
    signs_end: int = -1
    silent: int = 0
    unborn: int = 0
    leaving: bool = False
    kill_at: float = NEVER
    killed: bool = False
    pace: Pace = field(default_factory=Pace)

    @property
    def is_controller(self) -> bool:
        return self.slot == CONTROLLER_SLOT

    @property
    def name(self) -> str:
        return "controller" if self.is_controller else f"worker {self.slot}"


class Nursery:
    """`held` are the supervisor's own sockets: a child closes those that its launch does not name.

    `peers` are the user numbers that its children will have, and its own.
    """

    def __init__(
        self, selector: selectors.BaseSelector, channel: ChannelEnd, pages: ChannelEnd, peers: frozenset[int]
    ) -> None:
        self._peers = peers
        self._selector = selector
        self._channel = channel
        self._pages = pages
        self._lifeline, self._lifeline_kept = os.pipe()
        self.held: set[socket.socket] = {channel.socket, pages.socket}
        self.seats: list[Seat] = []
        self._look_at = time.monotonic() + _LOOK_EVERY

    def nearest(self) -> float:
        """The next moment at which `tend` has something to do, or NEVER."""
        return min([self._look_at, *(seat.kill_at if seat.pid else self._due(seat) for seat in self.seats)])

    def tend(self, now: float) -> list[Seat]:
        """Bear who is due. Kill and return those who should have left by now."""
        overdue = [seat for seat in self.seats if seat.pid and now >= seat.kill_at]
        for seat in overdue:
            seat.killed, seat.kill_at = True, NEVER
            os.kill(seat.pid, signal.SIGKILL)
        for seat in self.seats:
            if not seat.pid and now >= self._due(seat):
                self._bear(seat, now)
        return overdue

    def look(self, now: float) -> list[Seat]:
        """Kill and return those who have given no sign of life for too long. Looks are counted, not seconds: where all
        of us were stopped together, a machine that was suspended say, nobody has been silent meanwhile.
        """
        if now < self._look_at:
            return []
        self._look_at = now + _LOOK_EVERY
        hung = []
        for seat in self.seats:
            if seat.pid and not seat.leaving:
                seat.silent = 0 if self._heard(seat) else seat.silent + 1
                if seat.silent == _SILENT_LOOKS:
                    os.kill(seat.pid, signal.SIGKILL)
                    hung.append(seat)
        return hung

    def dismiss(self, seat: Seat, kill_at: float) -> None:
        """Tell a child to finish and leave, and keep its seat for nobody else."""
        seat.leaving, seat.kill_at = True, min(seat.kill_at, kill_at)
        if seat.pid:
            # A child that is dead but not reaped yet keeps its number: no stranger can be hit.
            os.kill(seat.pid, signal.SIGTERM)
        else:
            self.give_up(seat)

    def pass_on(self, number: signal.Signals) -> bool:
        """Give a signal that is meant for the controller to the one that serves. False when there is none now."""
        serving = [seat for seat in self.seats if seat.is_controller and seat.pid and not seat.leaving]
        for seat in serving:
            os.kill(seat.pid, number)
        return bool(serving)

    def give_up(self, seat: Seat) -> None:
        """Keep the seat no longer."""
        if seat in self.seats:
            self.seats.remove(seat)

    def reap(self, now: float) -> list[tuple[Seat, int, int]]:
        """Take note of all who have died: (seat, process number, wait status) of each that was ours."""
        gone: list[tuple[Seat, int, int]] = []
        while True:
            try:
                # Any child at all: as process 1 of a container, orphans are ours to bury as well.
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return gone
            if pid == 0:
                return gone
            seat = next((seat for seat in self.seats if seat.pid == pid), None)
            if seat is None:
                continue
            self._forget_signs_end(seat)
            seat.pid, seat.ready, seat.died = 0, False, now
            gone.append((seat, pid, status))

    def close(self) -> None:
        """Leave nothing open and nobody alone: whoever is still there sees the lifeline end, and is killed."""
        for seat in self.seats:
            self._forget_signs_end(seat)
            if seat.pid:
                os.kill(seat.pid, signal.SIGKILL)
                os.waitpid(seat.pid, 0)
        self.seats.clear()
        os.close(self._lifeline)
        os.close(self._lifeline_kept)
        for one in self.held:
            one.close()
        self._channel.remove()
        self._pages.remove()

    def _due(self, seat: Seat) -> float:
        # While a controller leaves nobody is born: it might still tell a new worker what is true no longer.
        return NEVER if any(other.is_controller and other.leaving for other in self.seats) else seat.due

    def _bear(self, seat: Seat, now: float) -> None:
        generation = seat.generation
        try:
            seat.signs_end, signs = os.pipe()
        except OSError as error:
            self._not_born(seat, error, now)
            return
        os.set_blocking(seat.signs_end, False)
        os.set_blocking(signs, False)
        launch = Launch(
            settings=generation.settings,
            channel=self._channel.address,
            token=generation.token,
            ancestor=generation.ancestor,
            slot=seat.slot,
            listening=(self._channel.socket,) if seat.is_controller else generation.public,
            peers=self._peers,
            tls=None if seat.is_controller else generation.tls,
            upstream_tls=generation.upstream_tls,
            counters=None if seat.is_controller else generation.counters,
            lifeline=self._lifeline,
            reborn=seat.is_controller and (seat.reborn or seat.died is not None),
            signs=signs,
            public=generation.addresses,
            pages=self._pages.address,
            pages_listening=self._pages.socket if seat.is_controller else None,
            admin=generation.admin if seat.is_controller else (),
        )
        try:
            seat.pid = fork(seat.run, launch, partial(self._leave_behind, launch))
        except OSError as error:
            os.close(seat.signs_end)
            self._not_born(seat, error, now)
            return
        finally:
            os.close(signs)
        seat.born, seat.silent, seat.unborn, seat.killed = time.monotonic(), 0, 0, False
        self._selector.register(seat.signs_end, selectors.EVENT_READ, partial(self._on_sign, seat))

    def _not_born(self, seat: Seat, error: OSError, now: float) -> None:
        seat.signs_end, seat.due = -1, now + _FORK_AGAIN_AFTER
        if seat.unborn % _FORK_TOLD_EVERY == 0:
            _log.error(
                f"cannot start {seat.name}",
                action="failover.child_not_born",
                reason=error.strerror,
                next_try=f"each {_FORK_AGAIN_AFTER:g} s",
            )
        seat.unborn += 1

    def _leave_behind(self, launch: Launch) -> None:
        """In a child: close what is the supervisor's or another child's, so that what they close is really closed."""
        os.close(self._lifeline_kept)
        for seat in self.seats:
            if seat.signs_end >= 0:
                os.close(seat.signs_end)
        for one in self.held.difference(launch.sockets):
            one.close()

    def _on_sign(self, seat: Seat) -> None:
        """One that does not serve yet has given a sign. Once it serves nobody is woken by its signs any more."""
        said = os.read(seat.signs_end, 64)
        seat.silent = 0
        if not said:
            self._forget_signs_end(seat)
            return  # it is dying; the reaping tells how
        if READY not in said:
            return
        seat.ready = True
        self._selector.unregister(seat.signs_end)
        if seat.died is not None and not seat.leaving:
            away = time.monotonic() - seat.died
            _log.info(f"{seat.name} is back", action="failover.child_back", process=seat.pid, duration=away)

    def _heard(self, seat: Seat) -> bool:
        """Whether it has given a sign since the last look. Who does not serve yet is heard at once."""
        if not seat.ready:
            return False
        try:
            return bool(os.read(seat.signs_end, 4096))
        except BlockingIOError:
            return False

    def _forget_signs_end(self, seat: Seat) -> None:
        if seat.signs_end >= 0:
            if not seat.ready:
                self._selector.unregister(seat.signs_end)
            os.close(seat.signs_end)
            seat.signs_end = -1
