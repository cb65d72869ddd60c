"""Opening the sockets that need privileges: the UDP ports of IKE, raw protocol 50, ICMP. Descriptors leave, nothing is
read.

All descriptors are non-blocking and closed on exec. Errors are OSErrors whose text is a sentence.
"""

from __future__ import annotations

import errno
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address

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
_SOL_RAW = 255
_ICMP_FILTER = 1
_ICMP6_FILTER = 1
_UNREACHABLE = 3
_PACKET_TOO_BIG = 2


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
    """Return a raw socket that hears "unreachable" of ICMP, or "packet too big" of ICMPv6 (`family` 4 or 6) only."""
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
    # Each bit that is set keeps a type of message out; words are in the order of the machine.
    if family == 4:
        opened.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~(1 << _UNREACHABLE) & 0xFFFFFFFF))
    else:
        words = [0xFFFFFFFF & ~(1 << _PACKET_TOO_BIG), *[0xFFFFFFFF] * 7]
        opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *words))
    return opened.detach()


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
