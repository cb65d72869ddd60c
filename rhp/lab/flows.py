"""Frames of TCP and UDP flows, octet by octet, with every length and checksum right unless told otherwise.

For tests of what merges and cuts packets: nothing here uses what it shall check.
"""

import ipaddress
import random
import struct
from collections.abc import Sequence
from typing import NamedTuple

TCP = 6
UDP = 17
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
DF = 0x4000
TIMESTAMPS = bytes.fromhex("0101080a0000100000002000")
"""The option that Linux puts into every segment (RFC 7323), with its padding."""

_MACS = bytes.fromhex("020000000002020000000001")
_VLAN = 0x8100


class Around(NamedTuple):
    """What stands around a segment or datagram; None is right, or counts with the packet's number."""

    version: int = 4
    source: str | None = None
    destination: str | None = None
    tos: int = 0
    ttl: int = 64
    label: int = 0
    """IPv6's flow label."""
    id: int | None = None
    """IPv4's identification, by default 100 + the packet's number."""
    fragment: int = DF
    """IPv4's flags and fragment offset."""
    options: bytes = b""
    """IPv4's."""
    extensions: Sequence[tuple[int, bytes]] = ()
    """IPv6's extension headers: the number of each, and its octets, whose first one is written here."""
    check: int | None = None
    """IPv4's header checksum."""
    vlans: Sequence[int] = ()
    """Tag control fields, outermost first."""
    bare: bool = False
    """Without Ethernet header."""

    def addresses(self) -> bytes:
        """Source and destination in network order."""
        net = "10.0.0." if self.version == 4 else "fd00::"
        texts = self.source or f"{net}1", self.destination or f"{net}2"
        return b"".join(ipaddress.ip_address(text).packed for text in texts)


class Segment(NamedTuple):
    """The fields of a TCP header that a test may want otherwise."""

    ports: tuple[int, int] = (1000, 2000)
    ack: int = 9
    window: int = 500
    urgent: int = 0
    reserved: int = 0
    """The four bits behind the data offset."""
    options: bytes = b""
    check: int | None = None


PLAIN = Around()
PLAIN6 = Around(version=6)
SEGMENT = Segment()
STAMPED = Segment(options=TIMESTAMPS)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\x00" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(addresses: bytes, protocol: int, length: int) -> bytes:
    """Both IP versions' pseudo-headers have the same sum as this (RFC 9293 section 3.1)."""
    return addresses + struct.pack("!HH", protocol, length)


def payload(number: int, size: int) -> bytes:
    """What packet `number` carries: always the same, and unlike any other's."""
    return random.Random(number).randbytes(size)  # noqa: S311


def tcp(
    number: int = 0,
    size: int = 100,
    flags: int = ACK,
    around: Around = PLAIN,
    header: Segment = SEGMENT,
    *,
    step: int = 100,
    seq: int | None = None,
) -> bytes:
    """Segment `number` of a transfer in segments of `step` octets."""
    sequence = (7000 + step * number if seq is None else seq) & 0xFFFFFFFF
    offset = (5 + len(header.options) // 4) << 4 | header.reserved
    start = struct.pack("!HHIIBB", *header.ports, sequence, header.ack, offset, flags)
    end = header.options + payload(number, size)
    segment = start + struct.pack("!HHH", header.window, 0, header.urgent) + end
    check = checksum(pseudo_header(around.addresses(), TCP, len(segment)) + segment)
    check = check if header.check is None else header.check
    segment = start + struct.pack("!HHH", header.window, check, header.urgent) + end
    return _wrap(number, TCP, segment, around)


def udp(
    number: int = 0,
    size: int = 100,
    around: Around = PLAIN,
    *,
    ports: tuple[int, int] = (1000, 2000),
    check: int | None = None,
    length: int | None = None,
) -> bytes:
    """Datagram `number` of a flow."""
    length = 8 + size if length is None else length
    datagram = struct.pack("!HHHH", *ports, length, 0) + payload(number, size)
    if check is None:
        check = checksum(pseudo_header(around.addresses(), UDP, 8 + size) + datagram) or 0xFFFF
    return _wrap(number, UDP, datagram[:6] + struct.pack("!H", check) + datagram[8:], around)


def spoilt(data: bytes, offset: int, value: int = 0x01) -> bytes:
    """The same frame with one octet changed; a negative offset counts from the end."""
    changed = bytearray(data)
    changed[offset] ^= value
    return bytes(changed)


def _wrap(number: int, protocol: int, transport: bytes, around: Around) -> bytes:
    packet = _ip4(number, protocol, transport, around) if around.version == 4 else _ip6(protocol, transport, around)
    if around.bare:
        return packet
    tags = b"".join(struct.pack("!HH", _VLAN, tag) for tag in around.vlans)
    return _MACS + tags + struct.pack("!H", 0x0800 if around.version == 4 else 0x86DD) + packet


def _ip4(number: int, protocol: int, transport: bytes, around: Around) -> bytes:
    words = 5 + len(around.options) // 4
    identification = 100 + number if around.id is None else around.id
    start = struct.pack("!BBHH", 0x40 | words, around.tos, words * 4 + len(transport), identification & 0xFFFF)
    start += struct.pack("!HBB", around.fragment, around.ttl, protocol)
    end = around.addresses() + around.options
    check = checksum(start + b"\x00\x00" + end) if around.check is None else around.check
    return start + struct.pack("!H", check) + end + transport


def _ip6(protocol: int, transport: bytes, around: Around) -> bytes:
    for number, header in reversed(around.extensions):
        transport = bytes([protocol]) + header[1:] + transport
        protocol = number
    first = 6 << 28 | around.tos << 20 | around.label
    return struct.pack("!IHBB", first, len(transport), protocol, around.ttl) + around.addresses() + transport
