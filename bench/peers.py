"""How the peers of `run.py` are set up: each as its manual would have it for this work, none put at a disadvantage.

All of them: kept connections on both sides, forwarding headers and a request id written, health checks on (nginx has
only passive ones), a backup, no access log, one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BODY_LENGTH = 111

# With the Host that wrk writes these are the 12 headers of a request.
_REQUEST = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.9",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cookie": "session=abcdefghijklmnopqrstuvwxyz0123456789; theme=dark",
    "Referer": "https://example.com/articles",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Upgrade-Insecure-Requests": "1",
    "Connection": "keep-alive",
}

# nginx adds Server, Date, Content-Type, Content-Length and Connection: 12 headers of a response.
_RESPONSE = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=60",
    "Vary": "Accept-Encoding",
    "Set-Cookie": "session=abc; Path=/; HttpOnly",
    "Strict-Transport-Security": "max-age=31536000",
    "ETag": '\\"5e1f3a2b-6f\\"',
}


def wrk_script() -> str:
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in _REQUEST.items()]
    return "\n".join([*lines, 'wrk.path = "/articles/hello?utm=1"', ""])


def _nginx(folder: Path, http: str) -> str:
    paths = "\n".join(
        f"  {kind}_temp_path {folder}-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
worker_processes 1;
pid {folder}.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_requests 100000000;
  keepalive_timeout 65s;
{paths}
{http}}}
"""


def nginx_origin_config(folder: Path, *ports: int) -> str:
    headers = " ".join(f'add_header {name} "{value}";' for name, value in _RESPONSE.items())
    listen = " ".join(f"listen 127.0.0.1:{port};" for port in ports)
    body = "x" * BODY_LENGTH
    return _nginx(folder, f'  server {{ {listen} default_type text/html; {headers} return 200 "{body}"; }}\n')


def nginx_proxy_config(folder: Path, port: int, primary: str, backup: str) -> str:
    return _nginx(
        folder,
        f"""\
  upstream app {{
    server {primary} max_fails=3 fail_timeout=2s;
    server {backup} backup;
    keepalive 128;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_connect_timeout 1s;
      proxy_next_upstream error timeout http_502 http_503 http_504;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Request-ID $request_id;
    }}
  }}
""",
    )


def haproxy_config(port: int, primary: str, backup: str) -> str:
    return f"""\
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
  option http-keep-alive
  option forwardfor
  option redispatch
  retries 2
frontend public
  bind 127.0.0.1:{port}
  unique-id-format %[uuid()]
  http-request set-header X-Request-ID %[unique-id] unless {{ req.hdr(X-Request-ID) -m found }}
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  default_backend app
backend app
  http-reuse always
  option httpchk GET /
  server primary {primary} check inter 2s fall 3 rise 2
  server backup {backup} check inter 15s backup
"""
