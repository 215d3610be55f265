"""The pictures of docs/dashboard: calm and in an outage, on a phone and on a desk, light and dark.

    PYTHONPATH=src:tests .venv/bin/python scripts/screenshots.py [MINUTES]

Everything in them is real: two origins, the program, visitors, and Debian's Chromium. The primary dies twice: once
early, so that there is an incident that is over, and once more after MINUTES (5 unless told) for the second half of
the pictures. They are written over those that are there.
"""

from __future__ import annotations

import base64
import struct
import sys
import tempfile
import threading
import zlib
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.answer import text
from support.browser import browser
from support.load import Load
from support.origin import Origin
from support.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

FOLDER = Path(__file__).parent.parent / "docs" / "dashboard"
TALLEST = {1440: 1280, 390: 1900}
SCHEMES = ("light", "dark")

_clock = threading.Event()  # never set: it only measures how long visitors come


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="failover-pictures-") as kept,
        Origin("primary") as primary,
        Origin("backup") as backup,
        Origin("hook") as hook,
        browser() as driver,
        Program(
            *("--primary", primary.url, "--backup", backup.url),
            *("--webhook-url", f"{hook.url}/told", "--webhook-format", "generic"),
            *("--admin-listen", "127.0.0.1:0", "--state-dir", kept),
        ) as program,
    ):
        primary.answer, backup.answer = text("hello", delay=0.04), text("hello", delay=0.06)
        page = program.wait_for(r"dashboard on (http://\S+)")[1]
        url = program.ready().url
        with Load(url, rate=11):
            crowd(url, 30)
            outage(program, primary, lasts=14)
            for seconds in waves(minutes * 60 - 60):
                crowd(url, seconds)
            shoot(driver, page, "calm")
            mark = program.mark
            primary.stop()
            program.wait_for("switched to the backup", after=mark)
            _clock.wait(20)
            shoot(driver, page, "outage")


def outage(program: Program, primary: Origin, lasts: float) -> None:
    mark = program.mark
    primary.stop()
    program.wait_for("switched to the backup", after=mark)
    _clock.wait(lasts)
    primary.start()
    program.wait_for("switched back to the primary", after=mark)
    program.wait_for("incident .* is over", after=mark)


def waves(seconds: float) -> Iterator[float]:
    """How long each of several crowds stays, so that it takes so long altogether."""
    count = round(seconds / 45)
    yield from (seconds / count for _ in range(count))


def crowd(url: str, seconds: float) -> None:
    """More visitors for a while, who come and go one after the other."""
    with ExitStack() as coming:
        for rate in (6, 9, 4):
            _clock.wait(seconds / 5)
            coming.enter_context(Load(url, rate=rate))
        _clock.wait(seconds / 5)
    _clock.wait(seconds / 5)


def shoot(driver: Chrome, page: str, name: str) -> None:
    for width, tallest in TALLEST.items():
        for scheme in SCHEMES:
            emulate(driver, width, scheme)
            driver.get(page)
            tall = min(int(driver.execute_script("return document.documentElement.scrollHeight")), tallest)
            clip = {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1}
            shot: dict[str, Any] = driver.execute_cdp_cmd(
                "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
            )
            path = FOLDER / f"{name}-{width}-{scheme}.png"
            path.write_bytes(smaller(base64.b64decode(shot["data"])))
            print(f"{path.name}: {width} x {tall}, {path.stat().st_size // 1024} kB")


def emulate(driver: Chrome, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def smaller(png: bytes) -> bytes:
    """The same picture in its 256 commonest colours: a third of the size, and nobody sees a difference."""
    chunks, place = {b"IDAT": b""}, 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        name = png[place + 4 : place + 8]
        chunks[name] = chunks.get(name, b"") + png[place + 8 : place + 8 + length]
        place += 12 + length
    width, height, _, kind = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    size = {2: 3, 6: 4}[kind]
    rows = unfiltered(zlib.decompress(chunks[b"IDAT"]), width * size, size)
    pixels = [[row[n : n + 3] for n in range(0, len(row), size)] for row in rows]
    counted = Counter(pixel for row in pixels for pixel in row)
    palette = [colour for colour, _ in counted.most_common(256)]
    known = {colour: n for n, colour in enumerate(palette)}
    for colour in counted.keys() - known.keys():
        near = min(palette, key=lambda one: sum((a - b) ** 2 for a, b in zip(one, colour, strict=True)))
        known[colour] = known[near]
    packed = b"".join(b"\0" + bytes(known[pixel] for pixel in row) for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return png[:8] + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (
            (b"IHDR", head),
            (b"PLTE", b"".join(palette)),
            (b"IDAT", zlib.compress(packed, 9)),
            (b"IEND", b""),
        )
    )


def unfiltered(data: bytes, length: int, size: int) -> Iterator[bytes]:
    """The rows of a picture; `size` is how many bytes a pixel has (PNG specification, section 9.2)."""
    above = bytes(length)
    for start in range(0, len(data), length + 1):
        how, row = data[start], bytearray(data[start + 1 : start + 1 + length])
        for n in range(length) if how else ():
            left, up, corner = (row[n - size], above[n], above[n - size]) if n >= size else (0, above[n], 0)
            row[n] = (row[n] + (0, left, up, (left + up) // 2, _paeth(left, up, corner))[how]) & 255
        above = bytes(row)
        yield above


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda one: abs(guess - one))


if __name__ == "__main__":
    main()
