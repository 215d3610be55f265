"""A destination whose TLS cannot be trusted is told nothing."""

import asyncio

import pytest

from failover.notify.post import send, session
from failover.notify.verdict import Refusal, Then
from support.flaws import Flawed


@pytest.mark.parametrize("flaw", ["expired", "self-signed", "wrong name", "unknown authority"])
async def test_nothing_is_told_to_a_certificate_with_a_flaw(tmp_path, flaw):
    heard, done = bytearray(), asyncio.Event()

    async def listen(reader, writer):
        heard.extend(await reader.read(1000))
        writer.close()
        done.set()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=Flawed(tmp_path).server(flaw))
    async with server, session(30.0) as http:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Refusal) as refused:
            await send(http, f"https://localhost:{port}/hook", payload={"text": "secret"})
    assert not heard
    assert refused.value.verdict.then is Then.RETRY
    assert not refused.value.verdict.unsure
    assert "certificate" in refused.value.verdict.reason
