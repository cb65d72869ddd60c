"""Ethernet frames by hand: built here, sent and seen on an interface inside a namespace by AF_PACKET.

The kernel takes an 802.1Q tag off a received frame before a packet socket sees it and tells it beside the frame; the
tag is put back here, so that what is seen is what was on the wire.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterator

from rhp.lab.errors import NotReached
from rhp.lab.namespace import Namespace
from rhp.lab.room import make_room

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_8021Q = 0x8100
ETH_P_EXPERIMENT = 0x88B5
"""IEEE 802's local experimental EtherType: no stack answers it."""

BROADCAST = b"\xff" * 6

_BUFFER = 4 << 20
_SOL_PACKET = 263
_PACKET_AUXDATA = 8
_PACKET_OUTGOING = 4
_AUXDATA = struct.Struct("=IIIHHHH")
_VLAN_VALID = 1 << 4


def mac(text: str) -> bytes:
    """The six octets of "02:00:00:00:00:01"."""
    return bytes.fromhex(text.replace(":", ""))


def ethernet(destination: bytes, source: bytes, ethertype: int, payload: bytes) -> bytes:
    """An Ethernet frame without FCS, padded to the 60 octets that a wire would carry."""
    return (destination + source + struct.pack("!H", ethertype) + payload).ljust(60, b"\0")


def tagged(destination: bytes, source: bytes, vlan: int, ethertype: int, payload: bytes) -> bytes:
    """The same with an 802.1Q tag for `vlan`, 1 to 4094."""
    return ethernet(destination, source, ETH_P_8021Q, struct.pack("!HH", vlan, ethertype) + payload)


def multicast_mac(group: str) -> bytes:
    """The MAC address of an IPv4 multicast group (RFC 1112, section 6.4)."""
    low = int.from_bytes(socket.inet_aton(group), "big") & 0x7FFFFF
    return b"\x01\x00\x5e" + low.to_bytes(3, "big")


class FrameSocket:
    """A packet socket on one interface of a namespace: sends whole frames, and sees those that come in."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        self.interface = interface
        self._socket = namespace.call(lambda: _open(interface))
        self.mac: bytes = self._socket.getsockname()[4]

    def __enter__(self) -> "FrameSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. Safe to call twice."""
        self._socket.close()

    def send(self, frame: bytes) -> None:
        """Send one frame as it is."""
        self._socket.send(frame)

    def expect(self, wanted: Callable[[bytes], bool], timeout: float = 10.0) -> bytes:
        """The first incoming frame that is `wanted`, within `timeout` seconds; raises `NotReached`."""
        for frame in self.incoming(timeout):
            if wanted(frame):
                return frame
        raise NotReached(f"no such frame came in on {self.interface} within {timeout:g} s")

    def incoming(self, timeout: float) -> Iterator[bytes]:
        """Every frame that comes in during the next `timeout` seconds (what was sent here is left out)."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data, notes, _, sender = self._socket.recvmsg(65536, socket.CMSG_SPACE(_AUXDATA.size))
            except TimeoutError:
                return
            if sender[2] != _PACKET_OUTGOING:
                yield _with_tag(data, notes)


def _open(interface: str) -> socket.socket:
    """Open a packet socket in the caller's namespace."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    opened.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    make_room(opened, _BUFFER)
    opened.bind((interface, ETH_P_ALL))
    return opened


def _with_tag(data: bytes, notes: list[tuple[int, int, bytes]]) -> bytes:
    """The frame with the tag that the kernel took off."""
    for level, kind, note in notes:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, _, _, _, _, tag, protocol = _AUXDATA.unpack(note[: _AUXDATA.size])
            if status & _VLAN_VALID:
                return data[:12] + struct.pack("!HH", protocol or ETH_P_8021Q, tag) + data[12:]
    return data
