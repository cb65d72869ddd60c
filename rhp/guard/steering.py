"""Having the frames to one station keep to one queue of a TAP, by a program that the kernel runs for each frame.

The program is the guard's to load: since people have learned what can be done with such programs, that takes a
privilege (CAP_BPF). It gives the last four octets of the destination's MAC address, which the kernel takes modulo the
number of queues.
"""

from __future__ import annotations

import fcntl
import os
import struct

from rhp.guard.sandbox.libc import ffi, syscall

_BPF_PROG_LOAD = 5
_SOCKET_FILTER = 1
_TUNSETSTEERINGEBPF = 0x800454E0
_MAC_TAIL = 2
_INSTRUCTION = struct.Struct("=BBhi")
_PROGRAM = (
    (0xBF, 0x16, 0, 0),  # r6 = r1: a load from the packet expects the context there.
    (0x20, 0, 0, _MAC_TAIL),  # r0 = the word of the packet that begins there, in the machine's order.
    (0x95, 0, 0, 0),  # Return r0.
)
_ATTRIBUTES = struct.Struct("=IIQQ")
_ROOM = 128


def by_station(queue: int) -> None:
    """Give the device of this queue the program; it counts for all its queues. Raises OSError."""
    program = ffi.from_buffer(b"".join(_INSTRUCTION.pack(*one) for one in _PROGRAM))
    # None of the functions that want to know the licence is called.
    licence = ffi.new("char[]", b"")
    pointers = (int(ffi.cast("uintptr_t", one)) for one in (program, licence))
    attributes = ffi.new(f"unsigned char[{_ROOM}]")
    packed = _ATTRIBUTES.pack(_SOCKET_FILTER, len(_PROGRAM), *pointers)
    ffi.memmove(attributes, packed, len(packed))
    loaded = syscall("bpf", _BPF_PROG_LOAD, attributes, _ROOM)
    try:
        fcntl.ioctl(queue, _TUNSETSTEERINGEBPF, struct.pack("=i", loaded))
    finally:
        os.close(loaded)
