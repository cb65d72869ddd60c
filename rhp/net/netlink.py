"""Questions to the kernel's routing tables (rtnetlink(7)), none of which needs a privilege, and changes, which do."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
ERROR = 2
_DONE = 3
_REQUEST = 1
_ACK = 4
_DUMP = 0x300
_LARGEST = 65536


def opened(groups: int = 0) -> socket.socket:
    """A socket that hears of the changes in `groups`, a mask of RTMGRP_*."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        made.bind((0, groups))
    except OSError:
        made.close()
        raise
    return made


def ask(kind: int, body: bytes) -> tuple[int, bytes]:
    """Put one question: the answer's kind and what is in it. Raises the kernel's OSError."""
    with opened() as kernel:
        kernel.send(_request(kind, body))
        return next(messages(kernel.recv(_LARGEST)))


def change(kind: int, body: bytes, flags: int = 0) -> None:
    """Have something changed, with CAP_NET_ADMIN; it is done at the return. Raises the kernel's OSError."""
    with opened() as kernel:
        kernel.send(_request(kind, body, _ACK | flags))
        next(messages(kernel.recv(_LARGEST)))


def dump(kind: int, body: bytes) -> Iterator[bytes]:
    """All entries of a table. Raises the kernel's OSError."""
    with opened() as kernel:
        kernel.send(_request(kind, body, _DUMP))
        while True:
            for found, inside in messages(kernel.recv(_LARGEST)):
                if found == _DONE:
                    return
                yield inside


def attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute; each begins at a multiple of four octets."""
    offset = 0
    while offset + ATTRIBUTE.size <= len(octets):
        length, kind = ATTRIBUTE.unpack_from(octets, offset)
        if length < ATTRIBUTE.size:
            return
        yield kind, octets[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def attribute(kind: int, octets: bytes) -> bytes:
    """One attribute; `octets` are as many as a multiple of four."""
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(octets), kind) + octets


def _request(kind: int, body: bytes, flags: int = 0) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body


def messages(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """Each message of a datagram: its kind and what is in it. Raises the OSError that one tells of."""
    offset = 0
    while offset + HEADER.size <= len(octets):
        length, kind, _, _, _ = HEADER.unpack_from(octets, offset)
        inside = octets[offset + HEADER.size : offset + max(length, HEADER.size)]
        if kind == ERROR:
            (error,) = struct.unpack_from("=i", inside)
            if error:  # Else it is the word that a change was made.
                raise OSError(-error, os.strerror(-error))
        yield kind, inside
        offset += (max(length, HEADER.size) + 3) & ~3
