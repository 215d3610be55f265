"""The event stream: what is sent to whom, what is sent again, and what is not kept."""

import asyncio
import socket
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from failover.admin import live
from failover.admin.live import Hub, event_stream, message, page_stream
from support.load import ask
from support.pages import Stream
from support.sheets import event, sheet


async def nothing():
    return {}


def hub_with(*numbers):
    hub = Hub(nothing)
    for number in numbers:
        hub.tell(event(number))
    return hub


def ids(events):
    return [one.id for one in events]


# What one has missed


@pytest.mark.parametrize(
    ("last", "expected"),
    [(0, [11, 12, 13]), (10, [11, 12, 13]), (11, [12, 13]), (13, []), (14, [11, 12, 13]), (10**18, [11, 12, 13])],
    ids=["nothing seen", "before all", "one seen", "all seen", "of another life", "nonsense"],
)
async def test_what_came_after_an_id_is_told_again(last, expected):
    assert ids(hub_with(11, 12, 13).since(last)) == expected


async def test_nobody_has_missed_anything_where_nothing_happened():
    assert hub_with().since(0) == hub_with().since(7) == []


async def test_only_the_newest_are_kept():
    hub = hub_with(*range(1, 2001))
    assert len(hub.events) == 500
    assert ids(hub.since(0))[::499] == [1501, 2000]
    assert ids(hub.since(3)) == ids(hub.since(0))


async def test_the_parts_are_drawn_once_for_all_who_look():
    drawn = []

    async def draw():
        drawn.append(await asyncio.sleep(0))
        return {"headline": f"{len(drawn)}"}

    hub = Hub(draw)
    hub.publish(sheet())
    assert await asyncio.gather(*(hub.parts() for _ in range(20))) == [{"headline": "1"}] * 20
    hub.tell(event(1))
    assert await hub.parts() == {"headline": "2"}


async def test_news_between_two_looks_are_not_slept_through():
    hub = hub_with(1)
    seen = hub.turn
    hub.tell(event(2))
    assert await hub.news(0.0, seen)
    assert not await hub.news(0.0, hub.turn)


# The stream


@asynccontextmanager
async def served(hub):
    async def for_a_program(request):
        return await event_stream(request, hub)

    async def for_a_page(request):
        return await page_stream(request, hub)

    app = web.Application()
    app.add_routes([web.get("/events", for_a_program), web.get("/live", for_a_page)])
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    try:
        yield server
    finally:
        await server.close()


def listening(server, path="/events", last=None, method="GET"):
    return Stream(f"http://127.0.0.1:{server.port}", path, last=last, method=method)


def happened(messages):
    return [int(one["id"]) for one in messages if one["event"] == "happened"]


async def test_a_program_gets_what_it_missed_then_the_state_then_what_comes():
    hub = hub_with(11, 12, 13)
    hub.publish(sheet())
    async with served(hub) as server, listening(server, last=11) as listener:
        first = await listener.read(3)
        assert b"text/event-stream" in listener.head
        assert [one["event"] for one in first] == ["happened", "happened", "state"]
        assert happened(first) == [12, 13]
        assert msgspec.json.decode(first[2]["data"])["serving"] == "primary"
        hub.tell(event(14))
        assert happened(await listener.read(1)) == [14]
        hub.publish(sheet(serving="backup"))
        (state,) = await listener.read(1)
        assert msgspec.json.decode(state["data"])["serving"] == "backup"


@pytest.mark.parametrize("last", ["999", "nonsense", "-1", "1" * 30])
async def test_one_of_another_life_gets_everything_and_gets_it_once(last):
    hub = hub_with(11, 12)
    async with served(hub) as server, listening(server, last=last) as listener:
        assert happened(await listener.read(2)) == [11, 12]
        for number in (13, 14):
            hub.tell(event(number))
            assert happened(await listener.read(1)) == [number]


async def test_one_who_comes_before_anything_happened_is_told_from_then_on():
    hub = hub_with()
    async with served(hub) as server, listening(server, last=999) as listener:
        for number in (1, 2, 3):
            hub.tell(event(number))
            assert happened(await listener.read(1)) == [number]


async def test_a_page_gets_the_parts_that_changed():
    hub = Hub(lambda: asyncio.sleep(0, dict(parts)))
    parts = {"headline": "a", "targets": "b"}
    hub.publish(sheet())
    async with served(hub) as server, listening(server, "/live") as listener:
        (first,) = await listener.read(1)
        assert msgspec.json.decode(first["data"])["parts"] == parts
        parts["headline"] = "c"
        hub.tell(event(5))
        (second,) = await listener.read(1)
        assert msgspec.json.decode(second["data"])["parts"] == {"headline": "c"}
        assert second["id"] == "5"


@pytest.mark.parametrize("path", ["/events", "/live"])
async def test_who_asks_for_the_head_alone_gets_it_and_no_stream(path):
    hub = hub_with(1)
    async with served(hub) as server, listening(server, path, method="HEAD") as listener:
        assert listener.head.startswith(b"HTTP/1.1 200")
        assert await listener.reader.read() == b""
    assert hub.streams == 0


async def test_there_is_an_end_to_the_number_of_streams(monkeypatch):
    monkeypatch.setattr(live, "MOST_STREAMS", 1)
    hub = hub_with(1)
    async with served(hub) as server, listening(server) as listener:
        await listener.read(1)
        refused = await ask(f"http://127.0.0.1:{server.port}", path="/events")
        assert refused.status == 503
        assert refused.header("Retry-After") == "10"


@pytest.mark.parametrize("path", ["/events", "/live"])
async def test_when_the_pages_close_every_stream_ends_politely(path):
    hub = hub_with(1)
    async with served(hub) as server, listening(server, path) as listener:
        await listener.next()
        hub.end()
        assert (await listener.reader.read()).endswith(b"0\r\n\r\n")
    assert hub.streams == 0


async def test_who_does_not_read_loses_his_connection(monkeypatch):
    monkeypatch.setattr(live, "_WRITTEN_WITHIN_S", 0.05)
    monkeypatch.setattr(live, "_SHORTEST_GAP_S", 0.0)
    hub = hub_with(1)
    loop = asyncio.get_running_loop()
    async with served(hub) as server, asyncio.timeout(20):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", server.port))
            await loop.sock_sendall(sock, b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await loop.sock_recv(sock, 1)
            number = 1
            while hub.streams:
                number += 1
                hub.tell(event(number, "x" * 100_000))
                await asyncio.sleep(0)
            end = b""
            while piece := await loop.sock_recv(sock, 1 << 20):
                end = (end + piece)[-100:]
    assert not end.endswith(b"0\r\n\r\n")  # it was cut: it would not have read a polite end either


def test_a_message_is_lines_that_a_browser_reads():
    assert message(b'{"a":1}', event="happened", number=7) == b'id: 7\nevent: happened\ndata: {"a":1}\n\n'
    assert message(b"{}", event="state") == b"event: state\ndata: {}\n\n"
