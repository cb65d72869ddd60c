"""Opening TAPs: the interface is made, and a descriptor for each of its queues leaves, non-blocking, closed on exec.

With offloads, each frame is led by a struct virtio_net_hdr of 10 octets, and the kernel may leave checksums undone and
segments uncut (super-frames). What it takes depends on its age, so we ask for everything and step back where it says
EINVAL: UDP super-frames came with 6.2, and without any offload the header is of no use either.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import NamedTuple

import pytun  # type: ignore[import-not-found]  # An extension module without stubs.

from rhp.guard.tapowner import JOINED, keep_to_ourselves

_LONGEST_NAME = 15
_MOST_QUEUES = 256
_TUN_DEVICE = Path("/dev/net/tun")

# From linux/if_tun.h, whose newest names neither Python nor the headers of Debian 12 know.
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_VNET_HEADER = 10
_QUEUE = pytun.IFF_TAP | pytun.IFF_NO_PI | pytun.IFF_MULTI_QUEUE

VNET_HDR: int = pytun.IFF_VNET_HDR

CSUM = 0x01
TSO4 = 0x02
TSO6 = 0x04
TSO_ECN = 0x08
USO4 = 0x20
USO6 = 0x40

_TCP = CSUM | TSO4 | TSO6
STEPS = (_TCP | TSO_ECN | USO4 | USO6, _TCP | USO4 | USO6, _TCP | TSO_ECN, _TCP, CSUM)
"""What is asked of the kernel, one after the other, until it agrees (TUN_F_*); USO4 and USO6 go together only."""


class OpenedTap(NamedTuple):
    """A descriptor for each queue, and the TUN_F_* bits in use: 0 means that no header leads the frames."""

    fds: tuple[int, ...]
    offloads: int


def open_tap(name: str, queues: int, *, offload: bool) -> OpenedTap:
    """Create the TAP `name`; OSError, whose text is a sentence, when the machine does not allow it.

    The interface must not exist yet: joining a TAP that another program serves would split its frames between the two.
    """
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isascii() or "/" in name or any(map(str.isspace, name)):
        raise OSError(errno.EINVAL, f'"{name}" is not an interface name of at most {_LONGEST_NAME} characters')
    if not 1 <= queues <= _MOST_QUEUES:
        raise OSError(errno.EINVAL, f"a TAP cannot have {queues} queues")
    opened = _open_queues(name, queues, VNET_HDR) if offload else OpenedTap((), 0)
    return opened if opened.fds else _open_queues(name, queues, 0)


def add_queue(name: str, *, header: bool) -> int:
    """One more queue of a TAP that is there, with or without the header as its others; OSError as for `open_tap`."""
    socket.if_nametoindex(name)
    try:
        return _open_queue(name, _QUEUE | (VNET_HDR if header else 0))
    except (OSError, pytun.Error) as error:
        raise _tap_error(name, error) from None


def _open_queues(name: str, queues: int, header: int) -> OpenedTap:
    """All queues, with the header's flag or 0; no queue at all where the kernel takes the header but no offload."""
    flags = _QUEUE | header
    fds: list[int] = []
    offloads = 0
    try:
        fds.append(_open_queue(name, flags | pytun.IFF_TUN_EXCL))
        keep_to_ourselves(name, fds[0], 1)
        # Both are properties of the device, which the other queues share.
        if header and not (offloads := set_offloads(fds[0])):
            _close(fds)
            return OpenedTap((), 0)
        fds.extend(_open_queue(name, flags) for _ in range(queues - 1))
    except (OSError, pytun.Error) as error:
        _close(fds)
        raise _tap_error(name, error) from None
    return OpenedTap(tuple(fds), offloads)


def _open_queue(name: str, flags: int) -> int:
    # The device object closes its descriptor when it dies, so a duplicate goes out; it keeps the queue alive.
    device = pytun.TunTapDevice(name, flags)
    try:
        descriptor = fcntl.fcntl(device.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        device.close()
    os.set_blocking(descriptor, False)
    return descriptor


def set_offloads(fd: int) -> int:
    """Ask for the most that the kernel agrees to; the TUN_F_* bits, or 0 where it takes none or not our header."""
    try:
        fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("=i", _VNET_HEADER))
    except OSError:
        return 0
    for wanted in STEPS:
        try:
            fcntl.ioctl(fd, _TUNSETOFFLOAD, wanted)
        except OSError:
            continue
        return wanted
    return 0


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _tap_error(name: str, error: Exception) -> OSError:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if not _TUN_DEVICE.exists():
        return OSError(
            errno.ENOENT, f"{_TUN_DEVICE} is missing: load the tun module, or hand the device to the container"
        )
    if number == errno.EBUSY:
        return OSError(
            number,
            f"the interface {name} exists already: is another node running? If not, write another interface.name",
        )
    if isinstance(error, OSError) and number == JOINED:
        return error
    if number in (errno.EPERM, errno.EACCES):
        return OSError(number, f"creating the interface {name} needs root (CAP_NET_ADMIN)")
    return OSError(number, f"the interface {name} cannot be created: {os.strerror(number)}")
