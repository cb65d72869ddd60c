"""The UDP edge for IKE: datagrams with both of their addresses, in and out.

A node listens on every address of the machine, so each datagram carries by IP_PKTINFO (RFC 3542 for IPv6) the address
it was sent to, and an answer leaves from exactly that one; a peer behind a NAT would never see any other.
Reads are bounded per wake-up, so that a flood on the port never starves the timers. A node has them done by a reader of
its own, which lets in only what the engine's rule allows (rhp.node.gatekeeper).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from rhp.ike.path import Endpoint

Deliver = Callable[[bytes, Endpoint, Endpoint], None]
"""Takes a datagram, our endpoint and the peer's."""

Read = Callable[[int, int], Sequence[tuple[bytes, str, int, str, int]]]
"""Reads some datagrams from a descriptor, whose port is given: octets, our address and port, the peer's."""

READS_PER_WAKEUP = 64
_LARGEST = 65535
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
_PKTINFO4 = struct.Struct("=I4s4s")
_PKTINFO6 = struct.Struct("=16sI")
_ANCILLARY = socket.CMSG_SPACE(_PKTINFO4.size) + socket.CMSG_SPACE(_PKTINFO6.size)


class UdpEdge(Protocol):
    """One UDP port, in one address family."""

    counters: Counter[str]

    def send(self, datagram: bytes, local: Endpoint, remote: Endpoint) -> bool:
        """Send from `local` to `remote`; False when the system refused, which is counted. Never blocks or raises."""
        ...

    def close(self) -> None:
        """Stop listening and free the socket. Safe twice."""
        ...


class UdpSocket:
    """A bound, non-blocking UDP socket, whose descriptor now belongs to this object.

    `listen` reads from it; a socket whose reading is done elsewhere (the NAT-T socket of the data plane) only sends.
    """

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._family = self._socket.family
        self._port = int(self._socket.getsockname()[1])
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deliver: Deliver | None = None
        self.counters: Counter[str] = Counter()
        if self._family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    @property
    def fd(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    def listen(self, loop: asyncio.AbstractEventLoop, deliver: Deliver, read: Read | None = None) -> None:
        """Hand every datagram that comes in to `deliver` from now on, or what `read` makes of them."""
        self._loop, self._deliver = loop, deliver
        if read is None:
            loop.add_reader(self._socket.fileno(), self._read)
        else:
            loop.add_reader(self._socket.fileno(), self._read_with, read, deliver)

    def send(self, datagram: bytes, local: Endpoint, remote: Endpoint) -> bool:
        """Send from `local`'s address to `remote`; the port is this socket's."""
        try:
            self._socket.sendmsg([datagram], [self._source(local)], 0, _sockaddr(remote))
        except OSError as error:
            self.counters[f"send-{_name_of(error)}"] += 1
            return False
        self.counters["datagrams-out"] += 1
        return True

    def close(self) -> None:
        """Stop listening and close the socket."""
        if self._loop is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        for _ in range(READS_PER_WAKEUP):
            try:
                data, ancillary, flags, address = self._socket.recvmsg(_LARGEST, _ANCILLARY)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # An ICMP error of an earlier datagram arrives here; it says nothing that an attacker could not forge.
                self.counters[f"receive-{_name_of(error)}"] += 1
                continue
            local = self._local_of(ancillary)
            if local is None or flags & socket.MSG_TRUNC or self._deliver is None:
                self.counters["receive-without-address"] += 1
                continue
            self.counters["datagrams-in"] += 1
            self._deliver(data, local, _endpoint(address))

    def _read_with(self, read: Read, deliver: Deliver) -> None:
        for data, local, local_port, remote, remote_port in read(self._socket.fileno(), self._port):
            self.counters["datagrams-in"] += 1
            deliver(data, Endpoint(ip_address(local), local_port), Endpoint(ip_address(remote), remote_port))

    def _local_of(self, ancillary: Iterable[tuple[int, int, bytes]]) -> Endpoint | None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) >= _PKTINFO4.size:
                return Endpoint(IPv4Address(_PKTINFO4.unpack_from(data)[2]), self._port)
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) >= _PKTINFO6.size:
                octets, index = _PKTINFO6.unpack_from(data)
                return Endpoint(_scoped(IPv6Address(octets), index), self._port)
        return None

    def _source(self, local: Endpoint) -> tuple[int, int, bytes]:
        if isinstance(local.ip, IPv6Address):
            index = int(local.ip.scope_id or 0)
            return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO6.pack(local.ip.packed, index)
        # The second address of in_pktinfo is the one to send from (ip(7)).
        return socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO4.pack(0, local.ip.packed, b"\0\0\0\0")


class FakeUdp:
    """Keeps what was sent in `sent`; `arrive` plays a datagram from the network."""

    def __init__(self, deliver: Deliver | None = None) -> None:
        self.deliver = deliver
        self.sent: list[tuple[bytes, Endpoint, Endpoint]] = []
        self.counters: Counter[str] = Counter()
        self.closed = False

    def send(self, datagram: bytes, local: Endpoint, remote: Endpoint) -> bool:
        """Remember the datagram."""
        self.sent.append((datagram, local, remote))
        return True

    def arrive(self, datagram: bytes, local: Endpoint, remote: Endpoint) -> None:
        """Deliver a datagram as if it had come from `remote`."""
        if self.deliver is not None:
            self.deliver(datagram, local, remote)

    def close(self) -> None:
        """Note that the edge is closed."""
        self.closed = True


def _scoped(ip: IPv6Address, index: int) -> IPv6Address:
    """Only a link-local address needs the interface it came in by."""
    return IPv6Address(f"{ip}%{index}") if ip.is_link_local and index else ip


def _endpoint(address: tuple[str | int, ...]) -> Endpoint:
    host, port = str(address[0]), int(address[1])
    if ":" not in host:
        return Endpoint(IPv4Address(host), port)
    scope = int(address[3]) if len(address) > 3 else 0
    return Endpoint(_scoped(IPv6Address(host.partition("%")[0]), scope), port)


def _sockaddr(remote: Endpoint) -> tuple[str, int] | tuple[str, int, int, int]:
    if isinstance(remote.ip, IPv6Address):
        return str(IPv6Address(int(remote.ip))), remote.port, 0, int(remote.ip.scope_id or 0)
    return str(remote.ip), remote.port


def _name_of(error: OSError) -> str:
    import errno

    return errno.errorcode.get(error.errno or 0, "error").lower()
