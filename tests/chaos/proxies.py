"""The proxies of the table, each set up by its manual for the best failover that it offers, all with the same patience:
a probe every 2 s, 3 bad and 2 good, 1 s to connect, 5 s for a response, every retry there is, passive checks on.

nginx has passive checks only. It repeats a POST only where nothing was sent (`non_idempotent` would double writes);
HAProxy's `all-retryable-errors` knows no such difference. Failover runs with its defaults.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.program import PATIENCE, Process, Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
_MOST_CONNECTIONS = 8192


def failover(_folder: Path, _port: int, primary: str, backup: str) -> Process:
    return Program("--primary", f"http://{primary}", "--backup", f"http://{backup}")


def nginx(folder: Path, port: int, primary: str, backup: str) -> Process:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"  {kind}_temp_path {folder}/nginx-{kind};" for kind in kinds)
    text = f"""\
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {_MOST_CONNECTIONS}; }}
http {{
  access_log off;
  keepalive_requests 100000;
{temporary}
  upstream app {{
    server {primary} max_fails=3 fail_timeout=10s;
    server {backup} backup;
    zone app 64k;
    keepalive 256;
    keepalive_requests 100000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_connect_timeout 1s;
      proxy_send_timeout 5s;
      proxy_read_timeout 5s;
      proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504 http_429;
    }}
  }}
}}
"""
    return Process([_found("nginx"), "-c", _written(folder / "nginx.conf", text), "-p", str(folder)])


def haproxy(folder: Path, port: int, primary: str, backup: str) -> Process:
    text = f"""\
global
  maxconn {_MOST_CONNECTIONS}
defaults
  mode http
  timeout connect 1s
  timeout server 5s
  timeout client 60s
  timeout http-request 10s
  option http-keep-alive
  option redispatch
  retries 3
  retry-on all-retryable-errors
frontend public
  bind 127.0.0.1:{port}
  default_backend app
backend app
  option httpchk GET /
  default-server check inter 2s fall 3 rise 2 observe layer7 error-limit 3 on-error mark-down
  server primary {primary}
  server backup {backup} backup
"""
    return Process([_found("haproxy"), "-db", "-f", _written(folder / "haproxy.cfg", text)])


@dataclass(frozen=True, slots=True)
class Kind:
    title: str
    make: Callable[[Path, int, str, str], Process]
    package: str | None = None  # Debian's, which has the command of the same name

    @property
    def installed(self) -> bool:
        return self.package is None or shutil.which(self.package, path=_PATH) is not None

    @property
    def full_title(self) -> str:
        if self.package is None:
            return self.title
        told = subprocess.run([_found(self.package), "-v"], capture_output=True, text=True, check=False)
        version = re.search(r"\d+\.\d+", told.stdout + told.stderr)
        return f"{self.title} {version[0]}" if version else self.title


KINDS = {
    "nginx": Kind("nginx", nginx, "nginx"),
    "haproxy": Kind("HAProxy", haproxy, "haproxy"),
    "failover": Kind("Failover", failover),
}


def start(kind: Kind, folder: Path, primary: str, backup: str) -> tuple[Process, int]:
    """The proxy, which serves, and its port; the caller ends it."""
    port = _free_port()
    process = kind.make(folder, port, primary, backup)
    process.start()
    try:
        if isinstance(process, Program):
            process.ready()
            return process, process.port
        _wait_until_it_listens(process, port)
    except BaseException:
        process.end()
        raise
    return process, port


def _wait_until_it_listens(process: Process, port: int) -> None:
    until = time.monotonic() + PATIENCE
    while process.running and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)  # a peer tells nobody when it listens
        else:
            return
    raise AssertionError(f"it does not listen; its log:\n{process.log}")


def _found(command: str) -> str:
    path = shutil.which(command, path=_PATH)
    assert path, f"no {command} here: apt-get install {command}"
    return path


def _written(file: Path, text: str) -> str:
    file.write_text(text)
    return str(file)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(url: str) -> str:
    """Host and port of a URL, as the peers want them."""
    return urlsplit(url).netloc
