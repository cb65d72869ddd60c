"""A TAP that is nobody else's.

Whoever may open /dev/net/tun, which is everybody on most machines, may join a TAP that has no owner as one more queue
(tun(4)), and then gets a share of its frames. With an owner, only that user may, and who may change networks anyway.
The owner can be set only once the TAP is there. So we look afterwards whether somebody was quicker: the kernel counts
the queues, those that rest included.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import sys

from rhp.net import netlink

JOINED = errno.EUSERS
"""The number of the error that says so."""

_TUNSETPERSIST = 0x400454CB
_TUNSETOWNER = 0x400454CC
_RTM_GETLINK = 18
_LINK = struct.Struct("=BxHiII")
_IFLA_LINKINFO = 18
_IFLA_INFO_DATA = 2
_IFLA_TUN_OWNER, _IFLA_TUN_PERSIST, _IFLA_TUN_NUM_QUEUES, _IFLA_TUN_NUM_DISABLED_QUEUES = 1, 6, 8, 9


def keep_to_ourselves(name: str, queue: int, queues: int) -> None:
    """Let nobody join the TAP of this queue, which has so many, nor keep it when we are gone.

    Raises OSError, with `JOINED` where somebody has joined it already.
    """
    fcntl.ioctl(queue, _TUNSETPERSIST, 0)
    fcntl.ioctl(queue, _TUNSETOWNER, os.geteuid())
    told = _told(socket.if_nametoindex(name))
    if not told:
        return  # Kernels before 4.17 do not tell.
    owner = told.get(_IFLA_TUN_OWNER)
    counts = [_number(told[kind]) for kind in (_IFLA_TUN_NUM_QUEUES, _IFLA_TUN_NUM_DISABLED_QUEUES)]
    if owner is None or _number(owner) != os.geteuid() or any(told[_IFLA_TUN_PERSIST]) or sum(counts) != queues:
        raise OSError(JOINED, f"another program has joined the interface {name}: end it, and start again")


def persists(index: int) -> bool:
    """Whether the TAP of that index is there for good, also without a descriptor; OSError where there is none."""
    return any(_told(index).get(_IFLA_TUN_PERSIST, b""))


def _told(index: int) -> dict[int, bytes]:
    """What the kernel says of a TAP."""
    body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)
    link = dict(netlink.attributes(netlink.ask(_RTM_GETLINK, body)[1][_LINK.size :]))
    info = dict(netlink.attributes(link.get(_IFLA_LINKINFO, b"")))
    return dict(netlink.attributes(info.get(_IFLA_INFO_DATA, b"")))


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, sys.byteorder)
