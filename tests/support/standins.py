"""The real supervisor with stand-ins for the controller and the workers: `python standins.py FOLDER`.

FOLDER/settings.json says `workers`, `drain`, `port`, `primary`; it is read again at a reload. FOLDER/orders holds empty
files that make children misbehave: `worker-fails`, `controller-fails`, `worker-mute` (serves only when that is taken
away), `worker-deaf` (ignores SIGTERM), `worker-fails-on-PRIMARY` for the generation with that primary.
A worker answers the line `who` with its slot, its process number and its primary; the line `hold` when the next line
has come. A client may send as many as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from failover.errors import Mistake, SettingsError, StartError
from failover.launch import READY, say_ready
from failover.observe import log
from failover.settings.types import Listen
from failover.supervisor import systemd
from failover.supervisor.main import Roles, Supervisor
from failover.supervisor.sockets import open_public, url_of

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()


def ordered(what):
    return (FOLDER / "orders" / what).exists()


def read_settings():
    try:
        told = json.loads((FOLDER / "settings.json").read_text())
    except ValueError as error:
        raise SettingsError([Mistake("settings.json", str(error)), Mistake("settings.json", "twice wrong")]) from None
    return SimpleNamespace(
        admin_listen=None,
        tls_cert=None,
        workers=told.get("workers", 2),
        drain_timeout=told.get("drain", 30.0),
        listen=Listen("127.0.0.1", told.get("port", 0)),
        primary=told.get("primary", "one"),
        backup=("other",),
        json_logs=told.get("json_logs", False),
        log_level="info",
    )


async def worker(launch):
    loop = asyncio.get_running_loop()
    leave, busy = asyncio.Event(), set()

    def accept(public):
        # Not asyncio's own server: closing that one drops what it accepted in the same moment.
        with contextlib.suppress(BlockingIOError):
            task = loop.create_task(answer(public.accept()[0]))
            busy.add(task)
            task.add_done_callback(busy.discard)

    async def answer(client):
        reader, writer = await asyncio.open_connection(sock=client)
        while line := await reader.readline():
            if line == b"hold\n":
                writer.write(b"held\n")
                await reader.readline()
            writer.write(f"{launch.slot} {os.getpid()} {launch.settings.primary}\n".encode())
            await writer.drain()
            if leave.is_set():
                break
        writer.close()
        await writer.wait_closed()

    for public in launch.listening:
        loop.add_reader(public, accept, public)
    loop.add_signal_handler(signal.SIGTERM, lambda: None if ordered("worker-deaf") else leave.set())
    loop.add_reader(launch.lifeline, leave.set)
    while ordered("worker-mute") and not leave.is_set():  # noqa: ASYNC110 - a file sends no event
        await asyncio.sleep(0.005)
    say_ready(launch, loop)
    await leave.wait()
    loop.remove_reader(launch.lifeline)
    for public in launch.listening:
        loop.remove_reader(public)
        public.close()
    while busy:
        await asyncio.wait(busy)
    loop.remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return 0


def run_worker(launch):
    if ordered("worker-fails") or ordered(f"worker-fails-on-{launch.settings.primary}"):
        return 3
    return asyncio.run(worker(launch))


def run_controller(launch):
    if ordered("controller-fails"):
        raise RuntimeError("a mistake in the controller")
    log.get("controller").info("controller told", reborn=launch.reborn, token=launch.token[:4], fds=open_files())
    os.write(launch.ready, READY)
    if not launch.pulse:
        os.close(launch.ready)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    while not os.get_blocking(launch.lifeline) or not gone(launch.lifeline):
        if launch.pulse:
            os.write(launch.ready, READY)
        if signal.sigtimedwait([signal.SIGTERM], 0.02):
            break
    return 0


def gone(lifeline):
    os.set_blocking(lifeline, False)
    try:
        return os.read(lifeline, 1) == b""
    except BlockingIOError:
        return False
    finally:
        os.set_blocking(lifeline, True)


def open_files():
    with contextlib.suppress(OSError):
        return len(list(Path("/proc/self/fd").iterdir())) - 1
    return 0


def main():
    log.configure(json_logs=False)
    settings = read_settings()
    activated = systemd.activated()
    public = activated or open_public(settings.listen)
    print(f"listening on {url_of(public[0])} at {time.monotonic()}", flush=True)
    roles = Roles(run_controller, run_worker)
    try:
        watched = systemd.watchdog()
        code = Supervisor(roles, settings, public, read_settings, activated=bool(activated), watchdog=watched).run()
    except StartError as error:
        print(error, flush=True)
        code = 1
    print("left", code, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
