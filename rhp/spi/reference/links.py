"""The descriptors of the data plane: TAP queues, and sockets that tell and choose the local address of a packet."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from contextlib import suppress
from ipaddress import ip_address

from rhp.spi.reference.proxy import checksum

Place = tuple[str, int]
"""IP address and port; port 0 with protocol 50, which has none."""

DOORS = 2
LARGEST = 70000
_VNET_HEADER = 10
_TUNSETOFFLOAD = 0x400454D0
_NEEDS_CHECKSUM = 1
_PKTINFO = 8
_CONTROL = 256
_SO_ATTACH_REUSEPORT_CBPF = 51
_SO_ATTACH_FILTER = 26
_LD_LEN, _LD_WORD, _LD_BYTE, _LD_WORD_X, _LDX_IHL = 0x80, 0x20, 0x30, 0x40, 0xB1
_JEQ, _JGE, _AND, _MOD, _ADD, _RET, _RET_A = 0x15, 0x35, 0x54, 0x94, 0x04, 0x06, 0x16
_EVERYTHING = 0x40000

Instruction = tuple[int, int, int, int]
"""Code, jump when true, jump when false, number: one step of classic BPF."""


class TapQueue:
    """One queue of the interface, of which it wants whole frames only: no offload stays on."""

    def __init__(self, fd: int, offloads: int) -> None:
        self.fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        self.closed = False
        os.set_blocking(self.fd, False)
        self._header = _VNET_HEADER if offloads else 0
        if offloads:
            # Where that is refused, what the kernel leaves to us is counted and dropped.
            with suppress(OSError):
                fcntl.ioctl(self.fd, _TUNSETOFFLOAD, 0)

    def read(self) -> bytes | None:
        """The next frame, empty for one that the kernel has not finished; None when there is none. OSError."""
        try:
            got = os.read(self.fd, LARGEST)
        except BlockingIOError:
            return None
        if not got:
            raise OSError(errno.EBADFD, "the queue has ended")
        frame = got[self._header :]
        if not self._header or not any(got[:2]):
            return frame
        if got[1]:
            return b""
        return _finished(frame, *struct.unpack("=HH", got[6:10])) if got[0] & _NEEDS_CHECKSUM else frame

    def write(self, frame: bytes) -> None:
        """Hand a frame to the host. OSError."""
        os.write(self.fd, bytes(self._header) + frame)

    def close(self) -> None:
        """Give the descriptor back. Safe twice."""
        if not self.closed:
            self.closed = True
            os.close(self.fd)


class Socket:
    """A UDP socket of the NAT-T port, or a raw one of protocol 50."""

    def __init__(self, fd: int, family: int, *, raw: bool) -> None:
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise ValueError(f"address family {family} is neither IPv4 nor IPv6")
        kind, protocol = (socket.SOCK_RAW, 50) if raw else (socket.SOCK_DGRAM, 0)
        copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        self.raw = raw
        self.family = family
        self.sock = socket.socket(family, kind, protocol, copy)
        self.sock.setblocking(False)
        self._six = family == socket.AF_INET6
        level, option = (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO) if self._six else (socket.IPPROTO_IP, _PKTINFO)
        self.sock.setsockopt(level, option, 1)
        self._port = 0 if raw else int(self.sock.getsockname()[1])

    def receive(self) -> tuple[bytes, Place, Place] | None:
        """The next datagram, where it was sent to and where it comes from; None when there is none."""
        try:
            data, control, _, source = self.sock.recvmsg(LARGEST, _CONTROL)
        except BlockingIOError:
            return None
        if self.raw and not self._six:
            data = data[(data[0] & 15) * 4 :] if data else data
        local = "::" if self._six else "0.0.0.0"  # noqa: S104  # What a kernel that tells nothing leaves us with.
        for level, kind, said in control:
            if (level, kind) == (socket.IPPROTO_IP, _PKTINFO):
                local = socket.inet_ntop(socket.AF_INET, said[8:12])
            elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                local = socket.inet_ntop(socket.AF_INET6, said[:16])
        return data, (local, self._port), (str(source[0]), 0 if self.raw else int(source[1]))

    def send(self, data: bytes, local: str, remote: Place) -> None:
        """Send from an address of ours. OSError."""
        ip = ip_address(local)
        if self._six:
            control = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, ip.packed + bytes(4))
        else:
            control = (socket.IPPROTO_IP, _PKTINFO, bytes(4) + ip.packed + bytes(4))
        self.sock.sendmsg([data], [control] if any(ip.packed) else [], 0, (remote[0], 0 if self.raw else remote[1]))

    def share(self, lane: int, lanes: int, *, doors: bool) -> None:
        """Have the kernel give each lane the ESP of its SPIs, and IKE to the doors. OSError."""
        if not self.raw and (doors or lanes > 1):
            _attach(self.sock, _SO_ATTACH_REUSEPORT_CBPF, _group(lanes, DOORS if doors else 0))
        elif self.raw and lanes > 1:
            _attach(self.sock, _SO_ATTACH_FILTER, _own_only(lane, lanes, ip_header=not self._six))

    def close(self) -> None:
        """Close it."""
        self.sock.close()


def _finished(frame: bytes, start: int, offset: int) -> bytes:
    """The frame with the checksum that the kernel left to us; the field holds the pseudo-header's sum."""
    place = start + offset
    if place + 2 > len(frame):
        return b""
    total = checksum(frame[start:]) or 0xFFFF
    return frame[:place] + struct.pack("!H", total) + frame[place + 2 :]


def _group(lanes: int, doors: int) -> list[Instruction]:
    """Which socket of the group a UDP payload goes to: a lane's by the SPI, or a door's behind the non-ESP marker.

    The first door hears of IKE SAs that exist, the second of what begins one (IKE_SA_INIT and IKE_SESSION_RESUME
    requests, exchange types 34 and 38 with the flags of an initiator's request).
    """
    by_spi = [(_MOD, 0, 0, lanes), (_ADD, 0, 0, doors), (_RET_A, 0, 0, 0)]
    if not doors:
        return [(_LD_WORD, 0, 0, 0), *by_spi]
    return [
        (_LD_LEN, 0, 0, 0),
        (_JGE, 1, 0, 4),
        (_RET, 0, 0, doors),
        (_LD_WORD, 0, 0, 0),
        (_JEQ, len(by_spi), 0, 0),
        *by_spi,
        (_LD_BYTE, 0, 0, 4 + 18),
        (_JEQ, 1, 0, 34),
        (_JEQ, 0, 4, 38),
        (_LD_BYTE, 0, 0, 4 + 19),
        (_AND, 0, 0, 0x28),
        (_JEQ, 0, 1, 0x08),
        (_RET, 0, 0, 1),
        (_RET, 0, 0, 0),
    ]


def _own_only(lane: int, lanes: int, *, ip_header: bool) -> list[Instruction]:
    """Raw sockets all hear everything: take what is of the lane's SPIs."""
    load = [(_LDX_IHL, 0, 0, 0), (_LD_WORD_X, 0, 0, 0)] if ip_header else [(_LD_WORD, 0, 0, 0)]
    return [*load, (_MOD, 0, 0, lanes), (_JEQ, 0, 1, lane), (_RET, 0, 0, _EVERYTHING), (_RET, 0, 0, 0)]


def _attach(sock: socket.socket, option: int, program: list[Instruction]) -> None:
    code = b"".join(struct.pack("=HBBI", *step) for step in program)
    room = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@HP", len(program), ctypes.addressof(room)))
