"""A file of captured packets (pcapng, draft-ietf-opsawg-pcapng), as Wireshark and tcpdump read it.

    Section Header | Interface Description ... | Enhanced Packet | Enhanced Packet | ...

Every block carries its length twice and is a multiple of four octets; numbers are little-endian throughout.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import BinaryIO

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_MAGIC = 0x1A2B3C4D
_END, _COMMENT, _IF_NAME, _IF_RESOLUTION, _FLAGS, _APPLICATION = 0, 1, 2, 9, 2, 4
_NANOSECONDS = 9
_INBOUND, _OUTBOUND = 1, 2

Option = tuple[int, bytes]


class LinkType(IntEnum):
    """What a packet begins with: an Ethernet header, or that of IPv4 or IPv6."""

    ETHERNET = 1
    RAW_IP = 101


class PcapngWriter:
    """Writes one section to a file open for binary writing; `size` counts the octets so far."""

    def __init__(self, file: BinaryIO, application: str) -> None:
        self._file = file
        self._interfaces = 0
        self.size = 0
        head = struct.pack("<IHHq", _MAGIC, 1, 0, -1)
        self._block(_SECTION, head, [(_APPLICATION, application.encode())])

    def interface(self, name: str, link_type: LinkType) -> int:
        """Describe a place where packets are seen, and give its number."""
        options = [(_IF_NAME, name.encode()), (_IF_RESOLUTION, bytes([_NANOSECONDS]))]
        self._block(_INTERFACE, struct.pack("<HHI", link_type, 0, 0), options)
        self._interfaces += 1
        return self._interfaces - 1

    def packet(
        self, interface: int, time: int, data: bytes, length: int, *, outward: bool | None = None, comment: str = ""
    ) -> None:
        """Write one packet: nanoseconds since 1970, its first octets, and how many it had.

        `outward` says whether it left or came, where that is known.
        """
        options: list[Option] = []
        if comment:
            options.append((_COMMENT, comment.encode()))
        if outward is not None:
            options.append((_FLAGS, struct.pack("<I", _OUTBOUND if outward else _INBOUND)))
        head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(data), length)
        self._block(_PACKET, head + _padded(data), options)

    def _block(self, kind: int, body: bytes, options: Sequence[Option]) -> None:
        for code, value in options:
            body += struct.pack("<HH", code, len(value)) + _padded(value)
        if options:
            body += struct.pack("<HH", _END, 0)
        length = 12 + len(body)
        block = struct.pack("<II", kind, length) + body + struct.pack("<I", length)
        self._file.write(block)
        self.size += length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
