"""The controller's memory as bytes: it travels to the workers with each routing, and back to a successor."""

from __future__ import annotations

import msgspec

from failover.core.memory import Memory

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Memory).decode


def encode(memory: Memory) -> bytes:
    return _encode(memory)


def decode(raw: bytes) -> Memory | None:
    """The memory, or None when there is none that this version can read."""
    try:
        return _decode(raw)
    except msgspec.DecodeError:
        return None
