"""What stands behind the proxies: nginx with answers and files of known sizes, and a small app (`app.py`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from configs import nginx_main

if TYPE_CHECKING:
    from configs import Certificates

SMALL = "/articles/hello?utm=1"
SMALL_LENGTH = 111
VARIED = "/varied/hello?utm=1"
"""The same with another ETag in each answer."""
FILES = {"1k": 1_000, "10k": 10_000, "100k": 100_000, "1000k": 1_000_000, "100m": 100_000_000}
MOST_BACKUPS = 32

# With the Host that wrk writes these are the 12 headers of a request.
REQUEST = {
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
RESPONSE = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=60",
    "Vary": "Accept-Encoding",
    "Set-Cookie": "session=abc; Path=/; HttpOnly",
    "Strict-Transport-Security": "max-age=31536000",
    "ETag": '\\"5e1f3a2b-6f\\"',
}


def command(kind: str, folder: Path, ports: tuple[int, int], tls: Certificates | None) -> list[str]:
    """What runs that origin on the ports of primary and backup."""
    if kind == "app":
        return [sys.executable, str(Path(__file__).with_name("app.py")), *map(str, ports)]
    for name, size in FILES.items():
        if not (file := folder / name).exists():
            file.write_bytes(b"x" * size)
    primary, backup = ports
    places = [f"127.0.0.1:{primary}", *(f"127.0.0.{1 + n}:{backup}" for n in range(MOST_BACKUPS))]
    listen = " ".join(f"listen {place}{' ssl' if tls else ''};" for place in places)
    shown = f"ssl_certificate {tls.chain}; ssl_certificate_key {tls.key};" if tls else ""
    headers, varied = (
        " ".join(f'add_header {name} "{value}";' for name, value in (RESPONSE | more).items())
        for more in ({}, {"ETag": '\\"$request_id\\"'})
    )
    http = f"""\
  default_type text/html;
  sendfile on;
  etag off;
  server {{
    {listen} {shown}
    {headers}
    location / {{ return 200 "{"x" * SMALL_LENGTH}"; }}
    location /sink {{ proxy_pass http://127.0.0.1:{primary}/; }}
    location /varied/ {{ {varied} return 200 "{"x" * SMALL_LENGTH}"; }}
    location /files/ {{ alias {folder}/; }}
  }}
"""
    name = f"origin-{primary}"
    (folder / f"{name}.conf").write_text(nginx_main(folder, name, 1, http))
    return ["nginx", "-c", str(folder / f"{name}.conf"), "-p", str(folder)]
