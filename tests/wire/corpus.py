"""The cases of the corpus as they are written down: README.md beside this file says how to read and write one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent

_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
_REPEAT = re.compile(r"(\d+) ")
_OF_BOTH = {"from", "why", "answers", "ends", "body", "field", "without", "trailer", "trailers"}
_KEYS = _OF_BOTH | {"asked", "head", "nginx", "haproxy"} | {"to", "then", "kept"}

# What a target is asked where its case does not say. A write is never asked again, of anybody.
_GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Asked:
    """One request that a target must get, and whole. `many` is a count of trailers that are all alike."""

    method: bytes
    target: bytes
    body: bytes = b""
    trailers: list[bytes] = field(default_factory=list)
    many: int = 0
    fields: list[bytes] = field(default_factory=list)
    without: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Case:
    """One case. `sent` are the bytes of the client, or of the target in answer to `to`; `answers` what the client gets.

    `asked` are the requests that reach the target; of an answer, `got` says what its client gets. `lenient` says which
    peer reads otherwise, and why.
    """

    name: str
    valid: bool
    of_client: bool
    why: str
    sent: bytes
    answers: tuple[str, ...]
    or_cut: bool = False
    asked: list[Asked] = field(default_factory=list)
    got: Asked = field(default_factory=lambda: Asked(b"", b""))
    ends: bool = False
    to: bytes = b""
    then_closed: bool = False
    kept: bool | None = None
    lenient: dict[str, str] = field(default_factory=dict)

    @property
    def statuses(self) -> list[int]:
        return [int(one) for one in self.answers if one != "cut"]

    def __str__(self) -> str:
        return f"{'valid' if self.valid else 'invalid'}/{self.name}"


def plain(text: str) -> bytes:
    """The bytes that a text of the corpus stands for. A line break stands for nothing."""
    out, rest = _plain(text.replace("\n", ""), "")
    assert not rest, f"a brace too many before {rest!r}"
    return out


def _plain(text: str, end: str) -> tuple[bytes, str]:
    out = b""
    while text and text[0] != end:
        if text[0] != "\\":
            piece = re.match(rf"[^\\{end}]+" if end else r"[^\\]+", text)[0]
            out, text = out + piece.encode("ascii"), text[len(piece) :]
        elif text[1] == "x":
            out, text = out + bytes([int(text[2:4], 16)]), text[4:]
        elif text[1] == "{":
            count = _REPEAT.match(text, 2)
            inner, text = _plain(text[count.end() :], "}")
            out += inner * int(count[1])
            text = text[1:]
        else:
            out, text = out + _ESCAPES[text[1]], text[2:]
    return out, text


def _read(http: Path) -> Case:
    said = [line.partition(": ") for line in http.with_suffix(".want").read_text("ascii").splitlines()]
    said = [(key.removesuffix(":"), value) for key, _, value in said]
    assert {key for key, _ in said} <= _KEYS, http
    once = dict(said)
    of_client = once["from"] == "client"
    valid = http.parent.name == "valid"
    answers = once["answers"]
    case = Case(
        name=http.stem,
        valid=valid,
        of_client=of_client,
        why=once["why"],
        sent=plain(http.read_text("ascii")),
        answers=tuple(answers.removesuffix(" | cut").split()),
        or_cut=answers.endswith(" | cut"),
        ends="ends" in once or (of_client and not valid),
        then_closed="then" in once,
        kept={"yes": True, "no": False}.get(once.get("kept", "")),
        lenient={peer: once[peer] for peer in ("nginx", "haproxy") if peer in once},
    )
    if not of_client:
        case.to = plain(once["to"]) if "to" in once else _GET if valid else _POST
    for key, value in said:
        if key == "asked":
            method, _, target = value.partition(" ")
            case.asked.append(Asked(plain(method), plain(target)))
            continue
        into = case.asked[-1] if of_client and case.asked else case.got
        if key == "body":
            into.body = plain(value)
        elif key == "trailer":
            into.trailers.append(plain(value))
        elif key == "trailers":
            into.many = int(value)
        elif key == "field":
            into.fields.append(plain(value))
        elif key == "without":
            into.without.append(plain(value))
    if "head" in once:
        case.got.method = b"HEAD"
    return case


CASES = [_read(path) for path in sorted(HERE.glob("*valid/*.http"))]
REQUESTS = [case for case in CASES if case.of_client]
ANSWERS = [case for case in CASES if not case.of_client]
