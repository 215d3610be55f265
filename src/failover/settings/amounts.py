"""Durations and sizes as people write them."""

from __future__ import annotations

import re
from decimal import Decimal

from failover.settings.types import Form, quoted

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)"

# Durations

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_UNIT_NAMES = {
    "ms": "ms", "msec": "ms", "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "h": "h", "hr": "h", "hour": "h", "hours": "h", "d": "d", "day": "d", "days": "d",
}  # fmt: skip  # the original took the long names too
_PART = rf"{_NUMBER}\s*(?:{'|'.join(sorted(_UNIT_NAMES, key=len, reverse=True))})"
_DURATION = rf"{_PART}(?:\s*{_PART})*"


def parse_duration(text: str) -> float:
    """Seconds from `250ms`, `2s`, `1m30s`, `1h` or a bare number of seconds."""
    word = text.strip()
    if re.fullmatch(_NUMBER, word, re.ASCII):
        return float(word)
    if not re.fullmatch(_DURATION, word, re.ASCII):
        raise ValueError(f"{quoted(word)} is not a duration; write it as 250ms, 2s, 1m30s or 1h")
    parts = re.findall(rf"({_NUMBER})\s*([a-z]+)", word, re.ASCII)
    return float(sum((Decimal(number) * _SECONDS[_UNIT_NAMES[unit]] for number, unit in parts), Decimal(0)))


def write_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as the same number of seconds."""
    left = Decimal(repr(seconds))
    if left % _SECONDS["ms"]:
        return repr(seconds)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, _SECONDS[unit])
        if count:
            parts.append(f"{int(count)}{unit}")
    return "".join(parts) or "0s"


def duration(least: float, most: float) -> Form:
    """Seconds as a float, from `least` to `most`."""

    def parse(text: str) -> float:
        seconds = parse_duration(text)
        if not least <= seconds <= most:
            side = "short" if seconds < least else "long"
            raise ValueError(
                f"{quoted(text.strip())} is too {side}; expected {write_duration(least)} to {write_duration(most)}"
            )
        return seconds

    numbers = {"type": "number", "minimum": least, "maximum": most}
    texts = {"type": "string", "pattern": rf"^\s*({_NUMBER}|{_DURATION})\s*$"}
    return Form("DURATION", parse, write_duration, {"anyOf": [numbers, texts]})


# Shares


def percent(above: float, below: float) -> Form:
    """A share in percent between two bounds, both excluded: `99.9` or `99.9%`."""

    def parse(text: str) -> float:
        word = text.strip().removesuffix("%").rstrip()
        if not re.fullmatch(_NUMBER, word, re.ASCII) or len(word) > _LONGEST:
            raise ValueError(f"{quoted(text.strip())} is not a percentage; write it as 99.9")
        share = float(word)
        if not above < share < below:
            raise ValueError(
                f"{quoted(text.strip())} is out of range; expected more than {above:g} and less than {below:g}"
            )
        return share

    numbers = {"type": "number", "exclusiveMinimum": above, "exclusiveMaximum": below}
    texts = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*%?\s*$"}
    return Form("PERCENT", parse, lambda share: f"{share:g}", {"anyOf": [numbers, texts]})


# Sizes

_BYTES = {"B": 1} | {
    f"{letter}{middle}B": base ** (power + 1)
    for middle, base in (("", 1000), ("i", 1024))
    for power, letter in enumerate("KMGT")
}
_LONGEST = 24
_SIZE = rf"({_NUMBER})\s*([KkMmGgTt]?[Ii]?[Bb])?"
_BYTES_FOLDED = {unit.lower(): factor for unit, factor in _BYTES.items()}


def parse_size(text: str) -> int:
    """Bytes from `10MB` (10,000,000), `10MiB` (10,485,760), `512KB` or a bare number of bytes."""
    word = text.strip().replace("_", "")
    found = re.fullmatch(_SIZE, word, re.ASCII) if len(word) <= _LONGEST else None
    factor = _BYTES_FOLDED.get((found[2] or "B").lower()) if found else None
    count = Decimal(found[1]) * factor if found and factor else Decimal("0.5")
    if count % 1:
        raise ValueError(f"{quoted(text.strip())} is not a size; write it as 10MB, 10MiB, 512KB or a number of bytes")
    return int(count)


def write_size(count: int) -> str:
    """The shortest text that `parse_size` reads as the same number of bytes."""
    for unit, factor in sorted(_BYTES.items(), key=lambda pair: -pair[1]):
        if count >= factor and count % factor == 0:
            return f"{count // factor}{unit}"
    return "0B"


def size(least: int, most: int) -> Form:
    """Bytes as an int, from `least` to `most`."""

    def parse(text: str) -> int:
        count = parse_size(text)
        if not least <= count <= most:
            side = "small" if count < least else "large"
            raise ValueError(
                f"{quoted(text.strip())} is too {side}; expected {write_size(least)} to {write_size(most)}"
            )
        return count

    numbers = {"type": "integer", "minimum": least, "maximum": most}
    texts = {"type": "string", "pattern": rf"^\s*{_SIZE}\s*$"}
    return Form("SIZE", parse, write_size, {"anyOf": [numbers, texts]})
