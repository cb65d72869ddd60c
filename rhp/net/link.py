"""Three facts about a network interface, asked from the kernel without any privilege (netdevice(7))."""

from __future__ import annotations

import fcntl
import socket
import struct

_SIOCGIFFLAGS = 0x8913
_SIOCGIFMTU = 0x8921
_SIOCGIFHWADDR = 0x8927
_IFF_UP = 1
_IFREQ = struct.Struct("16s24s")


def link_mac(name: str) -> bytes:
    """The interface's six octets; OSError when it is not there."""
    # struct ifreq holds a struct sockaddr here: two octets of family, then the address.
    return _ask(name, _SIOCGIFHWADDR)[2:8]


def link_mtu(name: str) -> int:
    """The interface's MTU in octets; OSError when it is not there."""
    return int(struct.unpack_from("=i", _ask(name, _SIOCGIFMTU))[0])


def link_up(name: str) -> bool:
    """Whether the interface is switched on; OSError when it is not there."""
    return bool(int(struct.unpack_from("=h", _ask(name, _SIOCGIFFLAGS))[0]) & _IFF_UP)


def _ask(name: str, request: int) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), request, _IFREQ.pack(name.encode(), b""))
    return bytes(_IFREQ.unpack(answer)[1])
