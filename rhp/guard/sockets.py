"""Opening the sockets that need privileges: the UDP ports of IKE, raw protocol 50, ICMP. Descriptors leave, nothing is
read.

All descriptors are non-blocking and closed on exec. Errors are OSErrors whose text is a sentence.
"""

from __future__ import annotations

import array
import errno
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address

from rhp.guard.sandbox.bpf import Label, Line, Step, assemble, equal, give

_BUFFER_BYTES = 4 << 20
_ESP = 50

# Linux constants that the socket module of Python 3.11 does not name.
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_IP_PKTINFO = 8
_IP_MTU_DISCOVER = 10
_IP_PMTUDISC_OMIT = 5
_IPV6_MTU_DISCOVER = 23
_IPV6_PMTUDISC_WANT = 1
_SO_ATTACH_FILTER = 26
_SO_LOCK_FILTER = 44
_FRAGMENTATION_NEEDED = 0x0304  # Type and code of ICMP.
_PACKET_TOO_BIG = 2  # Type of ICMPv6.
_WHOLE = 0x40000
_TOO_LONG: dict[int, list[Line]] = {
    # X is the length of the IP header, and two octets are loaded behind it; with IPv6 the kernel leaves it out.
    4: [Step(0xB1, 0), Step(0x48, 0), equal(_FRAGMENTATION_NEEDED, no="other")],
    6: [Step(0x30, 0), equal(_PACKET_TOO_BIG, no="other")],
}


def open_udp(address: str, port: int, reuse: bool) -> int:
    """Return a UDP socket bound to `address` (a literal) and `port`, which tells the local address of each datagram."""
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse:
            # SO_REUSEADDR is left alone: for UDP it would let a second daemon take the port over unnoticed.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        prepare(opened)
        opened.bind((address, port))
    except OSError as error:
        opened.close()
        raise OSError(error.errno, _udp_sentence(address, port, error)) from None
    return opened.detach()


def prepare(opened: socket.socket) -> None:
    """Set what our UDP sockets have in common; raises OSError."""
    opened.setblocking(False)
    opened.set_inheritable(False)
    _tell_local_address(opened)
    _allow_fragments(opened)
    _enlarge_buffers(opened)


def _udp_sentence(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"UDP port {port} on {address} is in use already: is another IKE daemon running?"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"opening UDP port {port} needs root (CAP_NET_BIND_SERVICE)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine"
    return f"UDP port {port} on {address} cannot be opened: {error.strerror}"


def open_raw_esp(family: int) -> int:
    """Return a raw socket for IP protocol 50 over IPv4 or IPv6 (`family` 4 or 6)."""
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        opened = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind, _ESP)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise OSError(error.errno, "opening a raw socket for ESP needs root (CAP_NET_RAW)") from None
        raise OSError(error.errno, f"a raw socket for ESP cannot be opened: {error.strerror}") from None
    _tell_local_address(opened)
    _allow_fragments(opened)
    _enlarge_buffers(opened)
    return opened.detach()


def open_icmp(family: int) -> int:
    """Return a raw socket that hears "fragmentation needed" of ICMP, or "packet too big" of ICMPv6 (`family` 4 or 6).

    Who has it cannot make it hear anything else.
    """
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    inside, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if family == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    try:
        opened = socket.socket(inside, kind, protocol)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise OSError(error.errno, "opening a raw socket for ICMP needs root (CAP_NET_RAW)") from None
        raise OSError(error.errno, f"a raw socket for ICMP cannot be opened: {error.strerror}") from None
    _lock(opened, assemble([*_TOO_LONG[family], give(_WHOLE), Label("other"), give(0)]))
    return opened.detach()


def _lock(opened: socket.socket, program: bytes) -> None:
    """Have the socket hear for good what this filter (bpf) lets through."""
    steps = array.array("B", program)
    place, octets = steps.buffer_info()
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", octets // 8, place))
    opened.setsockopt(socket.SOL_SOCKET, _SO_LOCK_FILTER, 1)


def _tell_local_address(opened: socket.socket) -> None:
    if opened.family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def _allow_fragments(opened: socket.socket) -> None:
    """What is longer than the path goes in fragments rather than nowhere.

    IPv4 without "don't fragment": routers cut what they must, also where their ICMP never comes back, and the kernel
    believes no ICMP on behalf of such a socket, which anybody can forge who knows our address and the peer's. IPv6 has
    no routers that cut, so there the kernel does, where ICMP told it to; it never goes below 1280 octets. What the data
    plane knows of a path it finds out by probes of its own (rhp.node.pathwatch), and packets are made to fit by then.
    """
    if opened.family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_OMIT)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IPV6_PMTUDISC_WANT)


def _enlarge_buffers(opened: socket.socket) -> None:
    for force, plain in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            opened.setsockopt(socket.SOL_SOCKET, force, _BUFFER_BYTES)
        except PermissionError:
            # Without CAP_NET_ADMIN the system's own limit has to do.
            with suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, plain, _BUFFER_BYTES)
