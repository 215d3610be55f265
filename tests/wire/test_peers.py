"""Every case of a client's bytes through the real program to a real nginx and a real HAProxy: they read the same
requests of what we pass on. What they have read is told by a target behind them.
"""

from __future__ import annotations

import os
import shutil
import socket
import time

import pytest

from support.program import PATIENCE, Process, Program, free_port
from support.raw import dial
from wire.corpus import REQUESTS
from wire.peers import CONTROL, Recorder, read_answers

_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def nginx(folder, port, target):
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"  {kind}_temp_path {folder}/nginx-{kind};" for kind in kinds)
    return (
        "-p",
        str(folder),
        "-c",
        f"""\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off;
  large_client_header_buffers 8 128k;
  keepalive_requests 100000;
  client_max_body_size 2m;
  client_body_buffer_size 2m;
{temporary}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{target};
      proxy_http_version 1.1;
    }}
  }}
}}
""",
    )


def haproxy(_folder, port, target):
    return (
        "-db",
        "-f",
        f"""\
global
  maxconn 512
  tune.bufsize 131072
  tune.http.maxhdr 256
defaults
  mode http
  timeout connect 5s
  timeout server 20s
  timeout client 60s
  retries 0
frontend public
  bind 127.0.0.1:{port}
  default_backend app
backend app
  server app 127.0.0.1:{target}
""",
    )


@pytest.fixture(scope="module", params=[nginx, haproxy], ids=["nginx", "haproxy"])
def peer(request, tmp_path_factory):
    """The peer's name, what it has read, and the port of our program before it."""
    name = request.param.__name__
    command = shutil.which(name, path=_PATH)
    if command is None:
        pytest.skip(f"{name} is not installed here")
    folder = tmp_path_factory.mktemp(name)
    with Recorder() as recorder:
        port = free_port()
        *flags, text = request.param(folder, port, recorder.port)
        (folder / "conf").write_text(text)
        with Process([command, *flags, str(folder / "conf")]) as process:
            wait_until_it_listens(process, port)
            args = ("--workers", "1", "--check-interval", "1h", "--max-body", "1MB", "--idle-timeout", "5s")
            with Program("--primary", f"http://127.0.0.1:{port}", "--backup", "http://127.0.0.1:1", *args) as program:
                yield name, recorder, program.ready().port
                assert "Traceback" not in program.log


def wait_until_it_listens(process, port):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except ConnectionRefusedError:
            assert process.running, process.log
        else:
            return
    raise AssertionError(f"it does not listen; its log:\n{process.log}")


@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_a_peer_reads_what_we_have_read(case, peer):
    name, recorder, port = peer
    before = len(recorder.got)
    refusal = case.lenient.get(name, "")[:3]
    with dial(port) as client:
        client.send(case.sent)
        if refusal:
            assert client.read_head().startswith(b"HTTP/1.1 %b " % refusal.encode())
        else:
            read_answers(client, case)
            client.sock.shutdown(socket.SHUT_WR)
            assert client.read_all() == b""
    with dial(port) as other:
        other.send(CONTROL)
        assert other.read_answer()[1] == b"/control"
    *got, control = [one[:3] for one in recorder.got[before:]]
    assert control == (b"GET", b"/control", b"")
    assert got == [(one.method, one.target, one.body) for one in ([] if refusal else case.asked)]
