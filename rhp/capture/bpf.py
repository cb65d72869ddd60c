"""A classic BPF program that lets through what an IPsec peer sends: UDP of some ports, and IP protocol 50.

It runs in the kernel on packets that begin with their IP header. Of fragments of UDP all but the first pass, for they
have no ports.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Collection

_LD_WORD_ABS, _LD_HALF_ABS, _LD_BYTE_ABS, _LD_HALF_IND, _LDX_HEADER = 0x20, 0x28, 0x30, 0x48, 0xB1
_JEQ, _JSET, _JA, _RET = 0x15, 0x45, 0x05, 0x06
_PROTOCOL = 0xFFFFF000
"""Where the kernel shows the Ethernet type of a packet that lies before us without its link header."""
_ALL = 0xFFFFFFFF
_SO_ATTACH_FILTER = 26

_IP4, _IP6 = 0x0800, 0x86DD
_UDP, _FRAGMENT, _ESP = 17, 44, 50

Step = tuple[int, int, str, str]
"""Code, operand, and where to go on: the names of marks, or nothing for the next step."""


def program(ports: Collection[int]) -> bytes:
    """The filter as an array of `struct sock_filter`."""
    any_port = [(_JEQ, port, "accept", "") for port in sorted(ports)]
    steps: list[Step | str] = [
        (_LD_WORD_ABS, _PROTOCOL, "", ""),
        (_JEQ, _IP6, "ip6", ""),
        (_JEQ, _IP4, "", "refuse"),
        (_LD_BYTE_ABS, 9, "", ""),
        (_JEQ, _ESP, "accept", ""),
        (_JEQ, _UDP, "", "refuse"),
        (_LD_HALF_ABS, 6, "", ""),
        (_JSET, 0x1FFF, "accept", ""),
        (_LDX_HEADER, 0, "", ""),
        (_LD_HALF_IND, 0, "", ""),
        *any_port,
        (_LD_HALF_IND, 2, "", ""),
        *any_port,
        (_JA, 0, "refuse", ""),
        "ip6",
        (_LD_BYTE_ABS, 6, "", ""),
        (_JEQ, _ESP, "accept", ""),
        (_JEQ, _FRAGMENT, "accept", ""),
        (_JEQ, _UDP, "", "refuse"),
        (_LD_HALF_ABS, 40, "", ""),
        *any_port,
        (_LD_HALF_ABS, 42, "", ""),
        *any_port,
        "refuse",
        (_RET, 0, "", ""),
        "accept",
        (_RET, _ALL, "", ""),
    ]
    return _assemble(steps)


def _assemble(steps: list[Step | str]) -> bytes:
    marks: dict[str, int] = {}
    plain: list[Step] = []
    for step in steps:
        if isinstance(step, str):
            marks[step] = len(plain)
        else:
            plain.append(step)
    words = b""
    for place, (code, operand, true, false) in enumerate(plain):
        there, otherwise = (marks[mark] - place - 1 if mark else 0 for mark in (true, false))
        if code == _JA:
            words += struct.pack("=HBBI", code, 0, 0, there)
        else:
            words += struct.pack("=HBBI", code, there, otherwise, operand)
    return words


def attach(to: socket.socket, words: bytes) -> None:
    """Have the kernel drop what the filter does not let through. Raises OSError where it finds fault with it."""
    steps = ctypes.create_string_buffer(words, len(words))
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(words) // 8, ctypes.addressof(steps)))
