"""Octets that are handed to another process as a file in memory, which nobody can change any more (memfd_create(2))."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from contextlib import closing

_F_ADD_SEALS = 1033
_SEALS = 0x0F  # F_SEAL_SEAL, _SHRINK, _GROW and _WRITE of linux/fcntl.h.


def sealed(name: str, octets: bytes) -> int:
    """A descriptor of such a file, closed on exec; `name` is for those who look at a process's descriptors."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(octets)
        fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def read(fd: int, most: int) -> bytes:
    """What is in it; the descriptor is closed. Raises OSError, also for more than `most` octets."""
    try:
        size = os.fstat(fd).st_size
        if not 0 < size <= most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        with closing(mmap.mmap(fd, size, prot=mmap.PROT_READ)) as pages:
            return pages[:]
    finally:
        os.close(fd)
