"""Whether an IP packet is one that a child's traffic selectors allow (RFC 7296 section 2.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from rhp._fast.params import Selector

IP4_HEADER, IP6_HEADER = 20, 40
_PORTS = {6, 17, 132, 136}
_ICMP = {1, 58}


@dataclass(frozen=True, slots=True)
class Range:
    """A selector with its addresses as octets, which compare as they should."""

    first: bytes
    last: bytes
    protocol: int
    ports: tuple[int, int]

    @classmethod
    def of(cls, selector: Selector) -> Range:
        """ValueError for what is no address, or two of different versions."""
        first, last = ip_address(selector.start), ip_address(selector.end)
        if first.version != last.version:
            raise ValueError(f"{first} and {last} are of two IP versions")
        return cls(first.packed, last.packed, selector.protocol, (selector.start_port, selector.end_port))

    def holds(self, address: bytes) -> bool:
        """Whether an address (4 or 16 octets) lies in it."""
        return len(address) == len(self.first) and self.first <= address <= self.last

    @property
    def everything(self) -> bool:
        """Whether every address of its version does."""
        return not any(self.first) and all(octet == 0xFF for octet in self.last)


@dataclass(frozen=True, slots=True)
class Packet:
    """What selectors look at; `ports` are those of source and destination, None where the packet does not show them."""

    source: bytes
    destination: bytes
    protocol: int
    ports: tuple[int, int] | None


def read(packet: bytes) -> tuple[Packet, int] | None:
    """The packet and its length by its own header; None for what is none."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= IP4_HEADER:
        start, length = (packet[0] & 15) * 4, int.from_bytes(packet[2:4])
        if start < IP4_HEADER or not start <= length <= len(packet):
            return None
        later = int.from_bytes(packet[6:8]) & 0x1FFF
        ports = None if later else _ports(packet[9], packet[start:length])
        return Packet(packet[12:16], packet[16:20], packet[9], ports), length
    if version == 6 and len(packet) >= IP6_HEADER:
        length = IP6_HEADER + int.from_bytes(packet[4:6])
        if length > len(packet):
            return None
        ports = _ports(packet[6], packet[IP6_HEADER:length])
        return Packet(packet[8:24], packet[24:40], packet[6], ports), length
    return None


def allow(packet: Packet, near: Sequence[Range], far: Sequence[Range]) -> bool:
    """Whether the packet goes from one of `near` to one of `far`."""
    return any(_fits(one, packet, 0) for one in near) and any(_fits(one, packet, 1) for one in far)


def turned(packet: Packet) -> Packet:
    """The packet as its answer would look."""
    ports = None if packet.ports is None else (packet.ports[1], packet.ports[0])
    return Packet(packet.destination, packet.source, packet.protocol, ports)


def _fits(selector: Range, packet: Packet, side: int) -> bool:
    if not selector.holds(packet.destination if side else packet.source):
        return False
    if selector.protocol not in (0, packet.protocol):
        return False
    if selector.protocol == 0 or selector.ports == (0, 65535):
        return True
    if packet.ports is None:
        return False
    return selector.ports[0] <= packet.ports[side] <= selector.ports[1]


def _ports(protocol: int, body: bytes) -> tuple[int, int] | None:
    if protocol in _PORTS and len(body) >= 4:
        return int.from_bytes(body[:2]), int.from_bytes(body[2:4])
    if protocol in _ICMP and len(body) >= 2:
        # Type and code stand for the port (RFC 7296 section 3.13.1), the same for both sides.
        kind = int.from_bytes(body[:2])
        return kind, kind
    return None
