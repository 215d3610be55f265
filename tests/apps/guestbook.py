"""A real app to stand behind the proxy: `python guestbook.py --port 8000 --file NOTES.jsonl --folder FILES`.

Sessions by signed cookies, forms with tokens, redirects of every kind, uploads, downloads with ranges, compressed files
with ETags, a WebSocket, an event stream, and a page whose script uses them all. What it was asked, and how it answered,
is a line in --file. It keeps nothing but that: the same visit to a fresh one is answered the same, to the byte.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import hmac
import html
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_HERE = Path(__file__).parent
_SECRET = b"not a secret: the app is a test"
_USER, _PASSWORD = "ada", "löve & <lace>"
_EVENTS = 5
_BREAK_AFTER = 3  # the stream ends there once, so that the browser comes back with Last-Event-ID

routes = web.RouteTableDef()


def _sign(text: str) -> str:
    return hmac.new(_SECRET, text.encode(), hashlib.sha256).hexdigest()[:24]


def _page(title: str, body: str, status: int = 200) -> web.Response:
    page = f"<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>{title}</title><h1>{title}</h1>{body}"
    return web.Response(text=page, status=status, content_type="text/html", headers={"Cache-Control": "no-cache"})


def _user(request: web.Request) -> str:
    name, _, signature = request.cookies.get("session", "").partition(".")
    return name if hmac.compare_digest(signature, _sign(name)) else ""


def _token_field(subject: str) -> str:
    return f'<input type=hidden name=token value="{_sign("token " + subject)}">'


def _check_token(form: Any, subject: str) -> None:
    if form.get("token") != _sign("token " + subject):
        raise web.HTTPForbidden(text="wrong token")


def _logged_in(request: web.Request) -> str:
    user = _user(request)
    if not user:
        raise web.HTTPFound("/login?next=" + request.path)
    return user


# -- session and forms


@routes.get("/")
async def front(_request: web.Request) -> web.Response:
    raise web.HTTPFound("home")  # a relative reference, RFC 9110 section 10.2.2


@routes.get("/login")
async def login_form(request: web.Request, complaint: str = "", status: int = 200) -> web.Response:
    return _page(
        "Log in",
        f"<p id=complaint>{complaint}</p><form method=post action=/login>{_token_field('login')}"
        "<input name=user><input name=password type=password><button id=go>Log in</button></form>"
        f"<p>after that: {html.escape(request.query.get('next', ''))}</p>",
        status,
    )


@routes.post("/login")
async def log_in(request: web.Request) -> web.Response:
    form = await request.post()
    _check_token(form, "login")
    if (form["user"], form["password"]) != (_USER, _PASSWORD):
        return await login_form(request, "That is not right.", 401)
    answer = web.HTTPSeeOther(f"http://{request.host}/home")  # absolute, by the Host that it was asked for
    answer.set_cookie("session", f"{_USER}.{_sign(_USER)}", httponly=True, samesite="Lax")
    answer.set_cookie("theme", "dark", max_age=3600)
    answer.set_cookie("here", "only", path="/home", domain=request.host.partition(":")[0])
    raise answer


@routes.post("/logout")
async def log_out(request: web.Request) -> web.Response:
    _check_token(await request.post(), _logged_in(request))
    answer = web.HTTPFound("/login")
    answer.del_cookie("session")
    raise answer


@routes.get("/home")
async def home(request: web.Request) -> web.Response:
    user = _logged_in(request)
    token = _token_field(user)
    entries = "".join(f"<li>{html.escape(entry)}</li>" for entry in request.app["entries"])
    return _page(
        f"Hello {user}",
        f"<ul id=entries>{entries}</ul>"
        f"<form method=post action=/entries?from=home&amp;from=form>{token}<textarea name=entry></textarea>"
        "<input type=checkbox name=box value=1 checked><input type=checkbox name=box value=2 checked>"
        "<button id=write>Write</button></form>"
        f"<form method=post action=/upload enctype=multipart/form-data>{token}<input name=comment><input type=file "
        "name=file><button id=upload>Upload</button></form>"
        f"<form method=post action=/logout>{token}<button id=leave>Leave</button></form>"
        "<pre id=log></pre><p id=done></p><script src=/static/guestbook.js></script>",
    )


@routes.post("/entries")
async def write_entry(request: web.Request) -> web.Response:
    form = await request.post()
    _check_token(form, _logged_in(request))
    request["told"] = {"entry": form["entry"], "box": form.getall("box"), "from": request.query.getall("from")}
    request.app["entries"].append(str(form["entry"]))
    own = "{}:{}".format(*request.transport.get_extra_info("sockname"))  # its own address, whatever it was called
    raise web.HTTPFound(f"http://{own}/home?written={len(request.app['entries'])}#entries")


@routes.post("/upload")
async def upload(request: web.Request) -> web.Response:
    told: dict[str, Any] = {}
    async for part in await request.multipart():
        if part.filename is None:
            told[part.name] = await part.text()
            continue
        size, sha = 0, hashlib.sha256()
        while piece := await part.read_chunk(1 << 16):
            size += len(piece)
            sha.update(piece)
        told["file"] = {
            "name": part.filename,
            "type": part.headers.get("Content-Type"),
            "size": size,
            "sha256": sha.hexdigest(),
        }
    _check_token(told, _logged_in(request))
    request["told"] = told
    return _page("Uploaded", f"<pre id=told>{html.escape(json.dumps(told, ensure_ascii=False))}</pre>", 201)


# -- files


@routes.get("/files/{name:[a-z.]+}")
async def file(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    return web.FileResponse(
        request.app["folder"] / name,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe-{name}"},
    )


@routes.get("/static/{name:[a-z.]+}")
async def static(request: web.Request) -> web.Response:
    raw = (_HERE / request.match_info["name"]).read_bytes()
    tag = f'"{hashlib.sha256(raw).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(
        body=gzip.compress(raw, mtime=0),
        content_type="text/javascript",
        headers={"Content-Encoding": "gzip", **headers},
    )


# -- methods and statuses


@routes.get("/status/{code}")
async def status(request: web.Request) -> web.Response:
    code = int(request.match_info["code"])
    where = {"Location": f"/status/200?after={code}"} if code // 100 == 3 else {}
    return web.Response(status=code, text=None if code == 204 else f"status {code}", headers=where)


@routes.route("*", "/echo")
async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    told = {
        "method": request.method,
        "query": request.query_string,
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    request["told"] = told
    return web.json_response(told, headers={"X-Told": "a", "X-Method": request.method})


@routes.get("/drops")
async def drops(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    for drop in range(20):
        await answer.write(f"drop {drop}\n".encode())
    await answer.write_eof()
    return answer


# -- streams


@routes.get("/chat")
async def chat(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=("guestbook.v2",), heartbeat=None)
    await socket.prepare(request)
    request["told"] = heard = []
    await socket.send_str(f"welcome {_user(request)}")
    async for message in socket:
        data = message.data
        heard.append(data if message.type is WSMsgType.TEXT else hashlib.sha256(data).hexdigest())
        if data == "bye":
            await socket.close(code=4001, message=b"see you")
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(f"you said {data}")
        else:
            await socket.send_bytes(data[::-1])
    return socket


@routes.get("/events")
async def events(request: web.Request) -> web.StreamResponse:
    last = int(request.headers.get("Last-Event-ID", 0))
    if last >= _EVENTS:
        return web.Response(status=204)  # which tells an EventSource to stay away
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await answer.prepare(request)
    await answer.write(b": hello\nretry: 20\n\n")
    for number in range(last + 1, _EVENTS + 1):
        await answer.write(f"id: {number}\nevent: news\ndata: news {number}\ndata: ünd more\n\n".encode())
        if number == _BREAK_AFTER:
            break
        await request.app["asked"].get()  # the next one only when the page has shown this one
    return answer


@routes.post("/events/next")
async def next_event(request: web.Request) -> web.Response:
    request.app["asked"].put_nowait(None)
    return web.Response(status=204)


# -- what it was asked


@web.middleware
async def note(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    status, answer = 500, None
    try:
        answer = await handler(request)
        status = answer.status
    except web.HTTPException as error:
        status, answer = error.status, error
        raise
    finally:
        line = {
            "method": request.method,
            "target": request.raw_path,
            "headers": [[name, value] for name, value in request.headers.items()],
            "status": status,
            "told": request.get("told"),
        }
        os.write(request.app["file"], json.dumps(line, ensure_ascii=False).encode() + b"\n")
    answer.headers["X-Origin"] = request.app["name"]
    return answer


async def _count_name(request: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.setdefault("X-Origin", request.app["name"])


def main() -> None:
    flags = argparse.ArgumentParser()
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--file", required=True)
    flags.add_argument("--folder", type=Path, required=True)
    flags.add_argument("--name", default="primary")
    args = flags.parse_args()
    app = web.Application(middlewares=[note], client_max_size=1 << 28)
    app.add_routes(routes)
    app.on_response_prepare.append(_count_name)
    app["name"], app["folder"], app["entries"] = args.name, args.folder, []
    app["file"] = os.open(args.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def serve() -> None:
        app["asked"] = asyncio.Queue()
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", args.port, reuse_port=True).start()
        print(f"guestbook on http://127.0.0.1:{args.port}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
