"""Datagrams that no friend would send: random ones, and honest ones made wrong. A seed makes them reproducible."""

import random
import struct
from collections.abc import Iterator, Sequence

MARKER = bytes(4)
"""The non-ESP marker in front of IKE on the NAT-T port (RFC 3948, section 2.2)."""


def datagrams(seeds: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` datagrams without marker: a third random octets, a third random bodies behind a good IKE header, a third
    mutations of `seeds` (IKE messages or ESP packets that were honest)."""
    source = random.Random(seed)  # noqa: S311 (reproducible, and nothing secret)
    for number in range(count):
        kind = number % 3
        if kind == 0:
            yield source.randbytes(source.choice((0, 1, 3, 4, 7, 8, 27, 28, 29, source.randrange(1500))))
        elif kind == 1 or not seeds:
            yield ike_header(source, source.randbytes(source.randrange(600)))
        else:
            yield mutate(source, source.choice(seeds))


def ike_header(source: random.Random, body: bytes) -> bytes:
    """An IKE header whose fields are mostly right, in front of a body that is not."""
    spi_r = bytes(8) if source.random() < 0.5 else source.randbytes(8)
    next_payload = source.choice((0, 33, 34, 35, 36, 40, 41, 46, 53, source.randrange(256)))
    version = 0x20 if source.random() < 0.9 else source.randrange(256)
    exchange = source.choice((34, 35, 36, 37, source.randrange(256)))
    flags = source.choice((0x08, 0x20, 0x28, 0x00, source.randrange(256)))
    message_id = source.choice((0, 1, 2, source.randrange(1 << 32)))
    length = 28 + len(body) if source.random() < 0.9 else source.randrange(1 << 32)
    head = struct.pack("!BBBBII", next_payload, version, exchange, flags, message_id, length)
    return source.randbytes(8) + spi_r + head + body


def mutate(source: random.Random, honest: bytes) -> bytes:
    """The datagram with one to four things done to it; the IKE length is put right half of the time."""
    data = bytearray(honest)
    for _ in range(source.randint(1, 4)):
        if not data:
            break
        where = source.randrange(len(data))
        action = source.randrange(5)
        if action == 0:
            data[where] ^= 1 << source.randrange(8)
        elif action == 1:
            data[where] = source.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif action == 2:
            del data[where : where + source.randint(1, 40)]
        elif action == 3:
            data[where:where] = source.randbytes(source.randint(1, 40))
        else:
            data[where:where] = data[where : where + source.randint(1, 200)]
    if len(data) >= 28 and source.random() < 0.5:
        data[24:28] = struct.pack("!I", len(data))
    return bytes(data)
