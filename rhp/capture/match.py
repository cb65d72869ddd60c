"""Which captured packets are wanted: by address and port. A packet that cannot be read is not wanted."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

_ARP, _IP4, _IP6 = 0x0806, 0x0800, 0x86DD
_TAGS = (0x8100, 0x88A8)
_HAVE_PORTS = (6, 17, 132)
_ETHERNET = 14


@dataclass(frozen=True, slots=True)
class Wanted:
    """Packets from or to `host` and from or to `port`; None for any."""

    host: IPv4Address | IPv6Address | None = None
    port: int | None = None

    def takes_frame(self, frame: bytes) -> bool:
        """Whether an Ethernet frame is wanted; VLAN tags are skipped."""
        if self.host is None and self.port is None:
            return True
        offset, kind = _ETHERNET, int.from_bytes(frame[12:14])
        while kind in _TAGS:
            offset, kind = offset + 4, int.from_bytes(frame[offset + 2 : offset + 4])
        if kind == _ARP:
            return self.port is None and self._names(
                [frame[offset + 14 : offset + 18], frame[offset + 24 : offset + 28]]
            )
        return kind in (_IP4, _IP6) and self.takes_packet(frame[offset:])

    def takes_packet(self, packet: bytes) -> bool:
        """Whether an IP packet is wanted. Ports are looked for right behind the IP header only."""
        if self.host is None and self.port is None:
            return True
        if not packet:
            return False
        if packet[0] >> 4 == 4:
            addresses, protocol, behind = [packet[12:16], packet[16:20]], packet[9:10], packet[(packet[0] & 15) * 4 :]
        else:
            addresses, protocol, behind = [packet[8:24], packet[24:40]], packet[6:7], packet[40:]
        if self.host is not None and not self._names(addresses):
            return False
        if self.port is None:
            return True
        ports = (int.from_bytes(behind[:2]), int.from_bytes(behind[2:4]))
        return len(behind) >= 4 and bool(protocol) and protocol[0] in _HAVE_PORTS and self.port in ports

    def _names(self, addresses: list[bytes]) -> bool:
        return self.host is not None and self.host.packed in addresses
