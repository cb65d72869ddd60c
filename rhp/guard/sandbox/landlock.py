"""Which files a process may touch, for good: everything else is not there for it (landlock(7)).

Files that are open already, and those that come as descriptors, are not looked at. Older kernels know less of it, and
what they do not know they are not asked.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress

from rhp.guard.sandbox.libc import ffi, syscall

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8
MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER = 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | REFER | TRUNCATE
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

_VERSION = 1
_PATH_BENEATH = 1
_KNOWN = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""The rights over files that each version of the interface added to those before."""
_SCOPES_SINCE = 6
_SCOPES = 1 << 0 | 1 << 1  # Abstract Unix sockets, and signals, of processes outside.
_RULESET = struct.Struct("=QQQ")
_RULE = struct.Struct("=Qi")


class Ruleset:
    """Made and filled while the paths can still be reached; `restrict` counts for this thread and all later ones."""

    def __init__(self) -> None:
        """Raises OSError where the kernel has no Landlock, or it is switched off."""
        self.version = syscall("landlock_create_ruleset", ffi.NULL, 0, _VERSION)
        self._handled = _KNOWN[max(number for number in _KNOWN if number <= self.version)]
        scopes = _SCOPES if self.version >= _SCOPES_SINCE else 0
        size = _RULESET.size if scopes else 8
        self._fd = syscall("landlock_create_ruleset", _octets(_RULESET.pack(self._handled, 0, scopes)), size, 0)

    def allow(self, rights: int, paths: Iterable[str]) -> None:
        """Allow this beneath each of these paths; those that are not there are left out. Raises OSError."""
        for path in paths:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._allow(rights, path)

    def _allow(self, rights: int, path: str) -> None:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = rights & self._handled
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                allowed &= _OF_FILES
            syscall("landlock_add_rule", self._fd, _PATH_BENEATH, _octets(_RULE.pack(allowed, fd)), 0)
        finally:
            os.close(fd)

    def restrict(self) -> None:
        """From now on nothing else. Raises OSError; needs "no new privileges"."""
        syscall("landlock_restrict_self", self._fd, 0)
        os.close(self._fd)


def _octets(packed: bytes) -> object:
    room = ffi.new("char[]", len(packed))
    ffi.memmove(room, packed, len(packed))
    return room
