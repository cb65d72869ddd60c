"""Capabilities (capabilities(7)): which there are that we know of, and keeping some of them."""

from __future__ import annotations

import enum
import struct
from collections.abc import Collection
from pathlib import Path

from rhp.guard.sandbox.libc import ffi, prctl, syscall

_VERSION_3 = 0x20080522
_HEADER = struct.Struct("=Ii")
_SETS = struct.Struct("=6I")
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_CAP_AMBIENT, _RAISE, _CLEAR_ALL = 47, 2, 4
_MOST = 64


class Capability(enum.IntEnum):
    """Those that the guard may need, see `rhp.guard.sandbox.guard`, or what runs hooks."""

    CHOWN = 0
    DAC_OVERRIDE = 1
    DAC_READ_SEARCH = 2
    KILL = 5
    SETGID = 6
    SETUID = 7
    SETPCAP = 8
    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    NET_RAW = 13
    BPF = 39


def permitted(status: Path = Path("/proc/self/status")) -> set[int]:
    """What this process may do now. In a container, root may do less than elsewhere."""
    found = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("CapPrm:"))
    mask = int(found.split()[1], 16)
    return {number for number in range(_MOST) if mask >> number & 1}


def bound(kept: Collection[int] = ()) -> None:
    """Nothing that this process ever executes gets more than these. Raises OSError; needs CAP_SETPCAP."""
    for number in range(_MOST):
        if number in kept:
            continue
        try:
            if prctl("capability bounding set", _PR_CAPBSET_READ, number):
                prctl("capability bounding set", _PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno != 22:  # EINVAL: this kernel has no more.
                raise
            return


def keep(kept: Collection[int], handed_on: Collection[int] = ()) -> None:
    """Give up all but these; programs that this process executes get those `handed_on`. Raises OSError."""
    mine, theirs = _mask(kept), _mask(handed_on)
    words = [word for low in (0, 32) for word in _words(mine, theirs, low)]
    header, sets = ffi.new("char[]", _HEADER.size), ffi.new("char[]", _SETS.size)
    ffi.memmove(header, _HEADER.pack(_VERSION_3, 0), _HEADER.size)
    ffi.memmove(sets, _SETS.pack(*words), _SETS.size)
    syscall("capset", header, sets)
    prctl("ambient capabilities", _PR_CAP_AMBIENT, _CLEAR_ALL)
    for number in handed_on:
        prctl("ambient capabilities", _PR_CAP_AMBIENT, _RAISE, number)


def names(mask: int) -> list[str]:
    """The capabilities of a set, as text; those that we have no name for by their number."""
    known = {int(one): one.name for one in Capability}
    return [known.get(number, str(number)) for number in range(_MOST) if mask >> number & 1]


def _mask(numbers: Collection[int]) -> int:
    return sum(1 << number for number in set(numbers))


def _words(mine: int, theirs: int, low: int) -> tuple[int, int, int]:
    """Effective, permitted and inheritable: 32 capabilities of each."""
    half = 0xFFFFFFFF
    return mine >> low & half, mine >> low & half, theirs >> low & half
