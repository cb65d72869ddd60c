"""Opening what needs privileges: the TAP, the UDP ports of IKE, raw sockets for ESP. Descriptors leave, nothing is
read.

All descriptors are non-blocking and closed on exec. Errors are OSErrors, turned into sentences by `sentence`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytun  # type: ignore[import-not-found]  # An extension module without stubs.

_BUFFER_BYTES = 4 << 20
_ESP = 50
_LONGEST_NAME = 15
_TUN_DEVICE = Path("/dev/net/tun")

# Linux constants that the socket module of Python 3.11 does not name.
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_IP_PKTINFO = 8


def open_tap(name: str, queues: int) -> tuple[int, ...]:
    """Create the TAP `name` and return a descriptor for each queue; OSError when the machine does not allow it.

    The interface must not exist yet: joining a TAP that another program serves would split its frames between the two.
    """
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isascii() or "/" in name or any(map(str.isspace, name)):
        raise OSError(errno.EINVAL, f'"{name}" is not an interface name of at most {_LONGEST_NAME} characters')
    if not 1 <= queues <= 256:
        raise OSError(errno.EINVAL, f"a TAP cannot have {queues} queues")
    flags = pytun.IFF_TAP | pytun.IFF_NO_PI | pytun.IFF_MULTI_QUEUE
    descriptors: list[int] = []
    try:
        for queue in range(queues):
            descriptors.append(_open_queue(name, flags if queue else flags | pytun.IFF_TUN_EXCL))
    except (OSError, pytun.Error) as error:
        for descriptor in descriptors:
            os.close(descriptor)
        raise _tap_error(name, error) from None
    return tuple(descriptors)


def _open_queue(name: str, flags: int) -> int:
    # The device object closes its descriptor when it dies, so a duplicate goes out; it keeps the queue alive.
    device = pytun.TunTapDevice(name, flags)
    try:
        descriptor = fcntl.fcntl(device.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        device.close()
    os.set_blocking(descriptor, False)
    return descriptor


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
    if number in (errno.EPERM, errno.EACCES):
        return OSError(number, f"creating the interface {name} needs root (CAP_NET_ADMIN)")
    return OSError(number, f"the interface {name} cannot be created: {os.strerror(number)}")


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
        _tell_local_address(opened)
        _enlarge_buffers(opened)
        opened.bind((address, port))
    except OSError as error:
        opened.close()
        raise OSError(error.errno, _udp_sentence(address, port, error)) from None
    return opened.detach()


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
    _enlarge_buffers(opened)
    return opened.detach()


def _tell_local_address(opened: socket.socket) -> None:
    if opened.family == socket.AF_INET:
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def _enlarge_buffers(opened: socket.socket) -> None:
    for force, plain in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            opened.setsockopt(socket.SOL_SOCKET, force, _BUFFER_BYTES)
        except PermissionError:
            # Without CAP_NET_ADMIN the system's own limit has to do.
            with suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, plain, _BUFFER_BYTES)
