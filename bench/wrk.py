"""Load by wrk: a request as soon as one is answered."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import origins
from stage import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Load:
    requests: int
    read: int  # bytes
    seconds: float
    trouble: str

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def wrk(
    folder: Path,
    url: str,
    seconds: float,
    connections: int,
    path: str = origins.SMALL,
    headers: Mapping[str, str] = origins.REQUEST,
) -> Load:
    """So much load on that address. BenchError when nothing is answered."""
    (folder / "load.lua").write_text(script(path, headers))
    command = ["wrk", "-t1", f"-c{connections}", "-d1h", "-s", str(folder / "load.lua"), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not _catches_interrupts(process.pid):
            time.sleep(0.002)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)  # its own clock knows whole seconds only; this is how it is ended early
        told, _ = process.communicate(timeout=30)
    return parse(told)


def _catches_interrupts(pid: int) -> bool:
    """Whether it has got so far that an interrupt lets it tell its figures, and not just end."""
    caught = re.search(r"(?m)^SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) & 1 << signal.SIGINT - 1)


_OTHERS = """\
init = function()
  requests = {}
  for n = 1, 1000 do
    wrk.headers["Referer"] = "https://example.com/articles/" .. n
    requests[n] = wrk.format("GET", wrk.path .. n)
  end
end
request = function()
  sent = (sent or 0) % 1000 + 1
  return requests[sent]
end
"""
"""No request has the path or the fields of the one before."""


def script(path: str, headers: Mapping[str, str]) -> str:
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    told = 'io.write(string.format("total %d %d %d\\n", summary.requests, summary.bytes, summary.duration))'
    if path == origins.VARIED:
        lines.append(_OTHERS)
    return "\n".join([*lines, f'wrk.path = "{path}"', f"done = function(summary) {told} end", ""])


def parse(told: str) -> Load:
    total = re.search(r"^total (\d+) (\d+) (\d+)$", told, re.MULTILINE)
    trouble = "; ".join(found.strip() for found in re.findall(r"(?:Socket errors|Non-2xx).*", told))
    if not total or not int(total[2]):
        raise BenchError(f"nothing was answered; {trouble or 'wrk was told of no error'}")
    return Load(int(total[1]), int(total[2]), int(total[3]) / 1e6, trouble)
