"""A tunnel's packets as the network between sees them: found in an Ethernet frame, damaged, and answered by ICMP.

Written for the fault relay: only what it needs, and without any part of the code under test.
"""

import socket
import struct
from dataclasses import dataclass

ETHERNET = 14
PROTOCOL_UDP = 17
PROTOCOL_ESP = 50
PROTOCOL_FRAGMENT = 44
ROUTER4 = socket.inet_aton("192.0.2.254")
ROUTER6 = socket.inet_pton(socket.AF_INET6, "2001:db8::fe")
"""Where answers of the network come from."""

_UDP_HEADER = 8
_FRAGMENT_BITS = 0x3FFF
_TOO_BIG_ROOM = 548
"""Octets of the refused packet in an answer; with both headers it stays under 576, the least that IPv4 must carry."""


@dataclass(frozen=True, slots=True)
class Located:
    """Where things lie in a frame, in octets: the IP packet's length, and the first octet behind its last header.

    `body` is 0 in a fragment, where that cannot be told.
    """

    version: int
    length: int
    protocol: int
    body: int


def locate(frame: bytes) -> Located | None:
    """Find UDP, ESP or a fragment in a frame; None for anything else, which is not a tunnel's."""
    ethertype = frame[12:14]
    if ethertype == b"\x08\x00" and len(frame) >= ETHERNET + 20:
        length, fragment = struct.unpack_from("!2xH2xH", frame, ETHERNET)
        protocol, start = frame[ETHERNET + 9], ETHERNET + (frame[ETHERNET] & 15) * 4
        whole = not fragment & _FRAGMENT_BITS
        version = 4
    elif ethertype == b"\x86\xdd" and len(frame) >= ETHERNET + 40:
        length = 40 + int.from_bytes(frame[ETHERNET + 4 : ETHERNET + 6], "big")
        protocol, start = frame[ETHERNET + 6], ETHERNET + 40
        whole = protocol != PROTOCOL_FRAGMENT
        version = 6
    else:
        return None
    if protocol not in (PROTOCOL_UDP, PROTOCOL_ESP, PROTOCOL_FRAGMENT) or len(frame) < ETHERNET + length:
        return None
    body = start + _UDP_HEADER if protocol == PROTOCOL_UDP else start
    return Located(version, length, protocol, body if whole else 0)


def damaged(frame: bytes, found: Located, bit: int) -> bytes:
    """The frame with one bit of its body turned over, the UDP checksum made right again.

    The kernel would drop a wrong checksum before the tunnel saw it; an attacker on the way would not leave one. `bit`
    is taken modulo the size of the body; a fragment or an empty body comes back as it was.
    """
    size = ETHERNET + found.length - found.body
    if not found.body or size <= 0:
        return frame
    at = found.body + (bit // 8) % size
    # The word that holds the octet, as the checksum counts words: from the start of the UDP header, whose size is even.
    word = at - (at - found.body) % 2
    changed = bytearray(frame)
    before = _word(changed, word)
    changed[at] ^= 1 << bit % 8
    if found.protocol == PROTOCOL_UDP:
        _mend(changed, found.body - 2, before, _word(changed, word))
    return bytes(changed)


def too_big(frame: bytes, found: Located, mtu: int) -> bytes:
    """A router's answer to a packet that is longer than `mtu`, as a frame to its sender (RFC 1191, RFC 4443)."""
    quoted = frame[ETHERNET : ETHERNET + found.length][:_TOO_BIG_ROOM]
    to_sender = frame[6:12] + frame[:6] + frame[12:14]
    if found.version == 4:
        message = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted
        message = _summed(message, b"", 2)
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 0, 0, 64, socket.IPPROTO_ICMP, 0)
        return to_sender + _summed(head + ROUTER4 + quoted[12:16], b"", 10) + message
    message = struct.pack("!BBHI", 2, 0, 0, mtu) + quoted
    ends = ROUTER6 + quoted[8:24]
    message = _summed(message, ends + struct.pack("!II", len(message), socket.IPPROTO_ICMPV6), 2)
    return to_sender + struct.pack("!IHBB", 6 << 28, len(message), socket.IPPROTO_ICMPV6, 64) + ends + message


def internet_checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of octets that begin at an even place."""
    even = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(even) // 2}H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _summed(data: bytes, pseudo: bytes, at: int) -> bytes:
    """The data with its checksum at `at`, where zero stands so far; `pseudo` is counted as well."""
    return data[:at] + internet_checksum(pseudo + data).to_bytes(2, "big") + data[at + 2 :]


def _word(data: bytearray, at: int) -> int:
    """The word at `at`; the one behind the last odd octet counts as zero."""
    return int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")


def _mend(data: bytearray, at: int, before: int, after: int) -> None:
    """Follow one changed word in the checksum at `at` (RFC 1624, equation 3); 0 means that there is none."""
    checksum = _word(data, at)
    if checksum:
        total = (~checksum & 0xFFFF) + (~before & 0xFFFF) + after
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        data[at : at + 2] = ((~total & 0xFFFF) or 0xFFFF).to_bytes(2, "big")
