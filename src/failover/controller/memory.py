"""The controller's memory as bytes: it travels to the workers with each routing, and back to a successor.

It lies in the store as well, for a controller that is started when all of them are dead.
"""

from __future__ import annotations

from time import monotonic

import msgspec

from failover.controller import boot
from failover.core.memory import Memory
from failover.core.record import Record

_encode = msgspec.msgpack.Encoder().encode
_UNREADABLE = (ValueError, RecursionError)  # another version's, no msgpack, no UTF-8, nested without end
_decode = msgspec.msgpack.Decoder(Memory).decode
_decode_record = msgspec.msgpack.Decoder(Record).decode


class Lasting(msgspec.Struct, frozen=True):
    """What the store has: the memory, the wall time since when this side serves, and of which targets it is.

    It was written at the time `written`, monotonic seconds of that `boot` of the machine.
    """

    memory: bytes
    since_unix: float
    targets: tuple[str, ...]
    boot: str = ""
    written: float = 0.0


_decode_lasting = msgspec.msgpack.Decoder(Lasting).decode


def resumed(kept: object, urls: tuple[str, ...], oldest: float) -> tuple[Memory, float] | None:
    """What all of us knew when we died and since when the side served, if that was lately and of the same targets.

    `kept` is what the store has and how many seconds ago it was written, or the mistake because of which nobody knows.
    """
    if not isinstance(kept, tuple) or not 0 <= kept[1] <= oldest:
        return None
    lasting: Lasting = kept[0]
    remembered = decode(lasting.memory)
    if remembered is None or lasting.targets != urls:
        return None
    return remembered, lasting.since_unix


def encode(memory: Memory) -> bytes:
    return _encode(memory)


def decode(raw: bytes) -> Memory | None:
    """The memory, or None when there is none that this version can read."""
    try:
        return _decode(raw)
    except _UNREADABLE:
        return None


def decode_record(raw: bytes) -> Record | None:
    """The teller's record of an incident, or None as above."""
    try:
        return _decode_record(raw)
    except _UNREADABLE:
        return None


def encode_lasting(lasting: Lasting) -> bytes:
    """As it is written now."""
    return _encode(msgspec.structs.replace(lasting, boot=boot.present(), written=monotonic()))


def decode_lasting(raw: bytes, old: float) -> tuple[Lasting, float] | None:
    """What was kept, and how many seconds ago: `old` by the clock on the wall, which may have been set meanwhile.

    None when there is none that this version can read.
    """
    try:
        lasting = _decode_lasting(raw)
    except _UNREADABLE:
        return None
    age = boot.age(lasting.boot, lasting.written)
    return lasting, old if age is None else age
