"""Ten thousand connections that do nothing, and a visitor who still gets his answer."""

from __future__ import annotations

import asyncio
import contextlib
import resource

import pytest

from support.load import Load
from support.memory import linux_only, share
from support.origin import Origin
from support.program import PATIENCE, Program

_COUNT = 10_000
_A_PORT_RANGE = 5_000  # connections from one address: fewer than any system has ports for
_REQUEST = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"

pytestmark = linux_only


@pytest.fixture
def _many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _COUNT + 1000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} open files, and this system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Idle(asyncio.Protocol):
    """A client with one request and one answer, who then stays."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[bytes] = loop.create_future()
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            self.answered.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError())

    def again(self) -> asyncio.Future[bytes]:
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(_REQUEST)
        return self.answered


@pytest.mark.usefixtures("_many_files")
async def test_ten_thousand_idle_connections() -> None:
    loop = asyncio.get_running_loop()
    with (
        Origin("primary") as primary,
        Origin("backup") as backup,
        Program("--primary", primary.url, "--backup", backup.url, "--idle-timeout", "10m") as program,
        contextlib.ExitStack() as staying,
    ):
        port = program.ready().port
        workers = program.workers()
        before = share(workers)
        idle: list[Idle] = []
        async with asyncio.timeout(4 * PATIENCE):
            for number in range(_COUNT):
                source = f"127.0.0.{2 + number // _A_PORT_RANGE}"
                _, client = await loop.create_connection(Idle, "127.0.0.1", port, local_addr=(source, 0))
                staying.callback(client.transport.abort)
                idle.append(client)
                if number % 100 == 99:
                    answers = await asyncio.gather(*(one.answered for one in idle[-100:]))
                    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
        each = (share(workers) - before) / _COUNT

        # Everybody else is served as ever, and so is who has been silent.
        with Load(program.url, visitors=4) as load:
            await asyncio.to_thread(load.wait_for, answered=1000)
        assert not load.tally.failures, load.tally
        for client in idle[::50]:
            assert (await client.again()).startswith(b"HTTP/1.1 200 ")
        assert not any(client.gone for client in idle)
        assert primary.connections < 200, "idle visitors hold connections to the target"
        assert each < 16_384, f"an idle connection costs {each:.0f} bytes"
