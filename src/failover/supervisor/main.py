"""The supervisor: it holds the sockets, forks the controller and the workers, and brings back whoever dies.

Its law: it must not be able to fall. No event loop, no threads, no network, nothing parsed but the settings at a
reload. It sleeps in one `select` on three kinds of things: the wakeup pipe that signals write to, the pipes through
which children say that they serve, and the nearest deadline.

A reload goes: the old controller leaves; its successor starts and learns the routing from the old workers; new workers
start; once all of them serve, the old ones drain. Both kinds of workers accept from the same sockets meanwhile, so no
connection is refused. If the new ones cannot get to serve, they are given up and the old controller comes back.
"""

from __future__ import annotations

import errno
import gc
import os
import secrets
import selectors
import signal
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failover.errors import FailoverError, StartError
from failover.launch import CONTROLLER_SLOT
from failover.observe import log
from failover.settings.secrets import secrets_of
from failover.supervisor import systemd
from failover.supervisor.become import Users
from failover.supervisor.certificate import open_tls, open_upstream_tls
from failover.supervisor.child import HANDLED, Run, how_it_ended
from failover.supervisor.nursery import NEVER, Generation, Nursery, Seat
from failover.supervisor.sockets import open_admin, open_channel, open_public, url_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from failover.settings.model import Settings

_log = log.get("supervisor")

_DEATHS_TO_GIVE_UP = 5
_READY_WITHIN = 15.0
_CONTROLLER_LEAVES_WITHIN = 5.0
_GRACE = 2.0
_NO_ROOM_TO_LOOK = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))  # which says nothing of a terminal


@dataclass(frozen=True, slots=True)
class Roles:
    """What children are born to do, and as whom: see to it that `run` becomes that user first."""

    controller: Run
    worker: Run
    users: Users = field(default_factory=Users)


class Supervisor:
    """`tls` is what `public` is served with, `upstream_tls` what targets are verified with.

    `reread()` gives the settings as they are now, or raises a FailoverError.
    `activated`: the service manager chose the sockets, so a changed `listen` changes nothing.
    """

    def __init__(
        self,
        roles: Roles,
        settings: Settings,
        public: tuple[socket.socket, ...],
        reread: Callable[[], Settings],
        *,
        admin: tuple[socket.socket, ...] = (),
        tls: ssl.SSLContext | None = None,
        upstream_tls: ssl.SSLContext | None = None,
        activated: bool = False,
    ) -> None:
        self._roles = roles
        self._reread = reread
        self._activated = activated
        self._started = self._now = time.monotonic()
        self._selector = selectors.PollSelector()  # has no descriptor of its own that children would share
        worker = roles.users.worker
        self._nursery = Nursery(self._selector, open_channel(worker), open_channel(worker), roles.users.numbers)
        self._nursery.held.update(public, admin)
        self._current = Generation(settings, public, secrets.token_hex(16), "", admin, tls, upstream_tls)
        self._next: Generation | None = None
        self._next_by = NEVER
        self._announced = False
        self._reload_wanted = False
        self._stopping = False
        self._may_hang_up = False
        self._exit_code = 0

    def run(self) -> int:
        """Serve until told to stop. Returns the exit code: 0 when every child finished what it had in hand.

        Raises StartError when the children never get to serve.
        """
        try:
            with self._signals():
                # Children share the memory of everything loaded so far; a collection would touch and so copy it.
                gc.collect()
                gc.freeze()
                self._seat_controller(self._current, reborn=False)
                self._seat_workers(self._current)
                while self._nursery.seats:
                    self._turn()
        finally:
            self._nursery.close()
            self._selector.close()
        return self._exit_code

    def _turn(self) -> None:
        nearest = min(self._nursery.nearest(), self._next_by)
        events = self._selector.select(None if nearest == NEVER else max(0.0, nearest - time.monotonic()))
        self._now = time.monotonic()
        for key, _ in events:
            key.data()
        for seat, pid, status in self._nursery.reap(self._now):
            self._on_death(seat, pid, status)
        for seat in self._nursery.tend(self._now):
            self._on_overdue(seat)
        for seat in self._nursery.look(self._now):
            why = "it gives no sign of life"
            _log.error(f"{seat.name} is killed", action="failover.child_killed", reason=why, process=seat.pid)
        systemd.watchdog()
        self._advance()

    def _advance(self) -> None:
        """Take the next step of a start, a reload or a stop, once what it waits for has happened."""
        if self._stopping:
            if all(seat.is_controller for seat in self._nursery.seats):
                # The controller leaves last: workers that still finish exchanges are told what it learns.
                self._dismiss(self._nursery.seats, _CONTROLLER_LEAVES_WITHIN)
            return
        if self._next is not None:
            if self._serves(self._next):
                self._promote(self._next)
            elif self._now >= self._next_by:
                self._fall_back(self._next, f"the new workers did not get to serve within {_READY_WITHIN:g} s")
        elif not self._announced and self._serves(self._current):
            self._announce()
        if self._reload_wanted and self._announced and self._next is None:
            self._reload_wanted = False
            self._reload()

    def _announce(self) -> None:
        self._announced = True
        systemd.notify("READY=1", f"STATUS=Serving on {' and '.join(self._current.addresses)}")
        seats = self._seats_of(self._current)
        _log.info(
            "ready",
            action="failover.ready",
            duration=self._now - self._started,
            controller=next(seat.pid for seat in seats if seat.is_controller),
            workers=[seat.pid for seat in seats if not seat.is_controller],
        )

    # -- seats -------------------------------------------------------------------------------------------------------

    def _seat_controller(self, generation: Generation, *, reborn: bool) -> None:
        self._nursery.seats.append(Seat(self._roles.controller, CONTROLLER_SLOT, generation, reborn=reborn))

    def _seat_workers(self, generation: Generation) -> None:
        for slot in range(generation.settings.workers):
            self._nursery.seats.append(Seat(self._roles.worker, slot, generation))

    def _seats_of(self, generation: Generation) -> list[Seat]:
        return [seat for seat in self._nursery.seats if seat.generation is generation and not seat.leaving]

    def _serves(self, generation: Generation) -> bool:
        return all(seat.ready for seat in self._seats_of(generation) if not seat.is_controller)

    def _dismiss(self, seats: list[Seat], within: float) -> None:
        for seat in list(seats):
            if not seat.leaving:
                self._nursery.dismiss(seat, self._now + within)

    def _on_death(self, seat: Seat, pid: int, status: int) -> None:
        if self._stopping or seat.leaving:
            # A service manager may tell every process at once to stop: then the controller goes before its turn.
            self._nursery.give_up(seat)
            if status not in {0, signal.SIGTERM} and not seat.killed:
                self._tell_death(seat, pid, status, None)
                if self._stopping and not seat.is_controller:
                    self._exit_code = self._exit_code or 1  # what it had in hand was cut
            return
        wait = seat.pace.wait_after(self._now - seat.born)
        seat.due = self._now + wait
        self._tell_death(seat, pid, status, "at once" if wait == 0 else f"in {wait:g} s")
        if seat.pace.young >= _DEATHS_TO_GIVE_UP:
            reason = f"{seat.name} {how_it_ended(status)}, {seat.pace.young} times in a row; the log above says why"
            if not self._announced and not self._stopping:
                raise StartError(f"cannot start: {reason}")
            if seat.generation is self._next:
                self._fall_back(self._next, reason)

    def _tell_death(self, seat: Seat, pid: int, status: int, successor: str | None) -> None:
        _log.warning(
            f"{seat.name} died",
            action="failover.child_died",
            reason=how_it_ended(status),
            process=pid,
            successor=successor,
        )

    def _on_overdue(self, seat: Seat) -> None:
        if self._exit_code >= 128:
            return
        self._exit_code = 1 if self._stopping else 0
        _log.warning(
            f"{seat.name} is killed", action="failover.child_killed", reason="it was still busy", process=seat.pid
        )

    # -- signals and the stop ----------------------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        woken, wakes = socket.socketpair()
        self._nursery.held.update((woken, wakes))
        for end in (woken, wakes):
            end.setblocking(False)
        before = {number: signal.signal(number, lambda *_: None) for number in HANDLED}
        # A wish that other servers know (a new binary, a reload) and we do not: children are born with it ignored.
        before[signal.SIGUSR2] = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        self._may_hang_up = _has_terminal() and before[signal.SIGHUP] != signal.SIG_IGN
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ, lambda: self._on_signals(woken.recv(4096)))
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in {signal.SIGTERM, signal.SIGINT}:
                self._stop(signal.Signals(number))
            elif number == signal.SIGHUP and self._may_hang_up and not _has_terminal():
                # Not a wish to reload: the window was closed in which somebody had started us, without nohup.
                self._stop(signal.SIGHUP)
            elif number == signal.SIGHUP:
                self._reload_wanted = True
            elif number == signal.SIGUSR1 and not self._nursery.pass_on(signal.SIGUSR1):
                why = "the controller is being started; send SIGUSR1 again"
                _log.warning("a signal was lost", action="failover.signal_lost", reason=why)

    def _stop(self, number: signal.Signals) -> None:
        if self._stopping:
            _log.warning(
                "stopping at once, requests in hand are cut", action="failover.stopping", reason=f"{number.name} again"
            )
            self._exit_code = 128 + number
            for seat in list(self._nursery.seats):
                self._nursery.dismiss(seat, self._now)
            return
        self._stopping = True
        self._next_by = NEVER
        drain = self._current.settings.drain_timeout
        _log.info(
            f"stopping, requests in hand may finish within {drain:g} s", action="failover.stopping", reason=number.name
        )
        systemd.notify("STOPPING=1")
        self._dismiss([seat for seat in self._nursery.seats if not seat.is_controller], drain + _GRACE)
        for generation in (self._current, self._next):
            if generation is not None:
                self._close(generation.public)
        self._next = None

    def _close(self, public: tuple[socket.socket, ...]) -> None:
        for one in public:
            self._nursery.held.discard(one)
            one.close()

    # -- the reload --------------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        _log.info("reloading", action="failover.reloading", reason="SIGHUP")
        systemd.reloading()
        try:
            settings = self._reread()
            tls, upstream_tls = open_tls(settings), open_upstream_tls(settings)
            if settings.user != self._current.settings.user:
                raise StartError("--user cannot change while old workers serve: restart for that")  # noqa: TRY301
            public, admin = self._sockets_for(settings)
        except Exception as error:  # noqa: BLE001 - whatever a new file may bring about: what runs goes on
            self._refuse(error)
            return
        old = self._current.settings
        same_primary = settings.primary == old.primary
        # Other targets, other token: what the old workers meet is no news about the new ones. But the verdict on the
        # primary is as good as before.
        same_targets = same_primary and settings.backup == old.backup
        token = self._current.token if same_targets else secrets.token_hex(16)
        ancestor = self._current.token if same_primary and not same_targets else ""
        self._next = Generation(settings, public, token, ancestor, admin, tls, upstream_tls)
        self._next_by = self._now + _READY_WITHIN
        self._dismiss([seat for seat in self._nursery.seats if seat.is_controller], _CONTROLLER_LEAVES_WITHIN)
        self._seat_controller(self._next, reborn=same_primary)
        self._seat_workers(self._next)

    def _refuse(self, error: Exception) -> None:
        if isinstance(error, FailoverError):
            for line in error.lines:
                _log.error("reload refused, nothing has changed", action="failover.reload_refused", reason=line)
        else:
            _log.error("reload refused, nothing has changed", action="failover.reload_refused", exc_info=error)
        systemd.notify("READY=1")

    def _sockets_for(self, settings: Settings) -> tuple[tuple[socket.socket, ...], tuple[socket.socket, ...]]:
        admin = self._admin_for(settings)
        try:
            return self._public_for(settings), admin
        except StartError:
            if admin is not self._current.admin:
                self._close(admin)
            raise

    def _public_for(self, settings: Settings) -> tuple[socket.socket, ...]:
        with_tls = settings.tls_cert is not None
        if self._activated or settings.listen == self._current.settings.listen:
            if with_tls is (self._current.tls is None):
                raise StartError("https cannot come or go while old workers accept there too: restart for that")
            return self._current.public
        if settings.listen.port == self._current.settings.listen.port != 0:
            raise StartError(
                f"{settings.listen} and {self._current.settings.listen} share a port: restart to move there"
            )
        public = open_public(settings.listen)
        self._nursery.held.update(public)
        for one in public:
            _log.info(f"listening on {url_of(one, tls=with_tls)} as well", action="failover.listening")
        return public

    def _admin_for(self, settings: Settings) -> tuple[socket.socket, ...]:
        if settings.admin_listen == self._current.settings.admin_listen:
            return self._current.admin
        admin = open_admin(settings.admin_listen)
        self._nursery.held.update(admin)
        return admin

    def _promote(self, generation: Generation) -> None:
        old, self._current, self._next, self._next_by = self._current, generation, None, NEVER
        settings = generation.settings
        log.configure(settings.json_logs, settings.log_level, secrets_of(settings))
        self._dismiss(self._seats_of(old), old.settings.drain_timeout + _GRACE)
        if old.public is not generation.public:
            self._close(old.public)
        if old.admin is not generation.admin:
            self._close(old.admin)
        systemd.notify("READY=1", f"STATUS=Serving on {' and '.join(generation.addresses)}")
        seats = self._seats_of(generation)
        _log.info(
            "reloaded",
            action="failover.reloaded",
            controller=next(seat.pid for seat in seats if seat.is_controller),
            workers=[seat.pid for seat in seats if not seat.is_controller],
        )

    def _fall_back(self, generation: Generation, reason: str) -> None:
        self._next, self._next_by = None, NEVER
        _log.error("reload given up, the settings from before stay", action="failover.reload_refused", reason=reason)
        self._dismiss(self._seats_of(generation), _CONTROLLER_LEAVES_WITHIN)
        if generation.public is not self._current.public:
            self._close(generation.public)
        if generation.admin is not self._current.admin:
            self._close(generation.admin)
        self._seat_controller(self._current, reborn=True)
        systemd.notify("READY=1")


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError as error:
        return error.errno in _NO_ROOM_TO_LOOK
    return True
