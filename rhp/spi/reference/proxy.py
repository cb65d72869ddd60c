"""Answering ARP (RFC 826) and neighbour solicitations (RFC 4861) in the place of who lives behind an IP port."""

from __future__ import annotations

import struct

ARP, IP6 = 0x0806, 0x86DD
ETHERNET_HEADER = 14
_ARP_HEAD = struct.pack("!HHBB", 1, 0x0800, 6, 4)
_ICMP6, _SOLICITATION, _ADVERTISEMENT = 58, 135, 136
_SOLICITED, _OVERRIDE = 0x40, 0x20
_NS_END = ETHERNET_HEADER + 40 + 24


def asked(frame: bytes) -> bytes | None:
    """The address (4 or 16 octets) that a frame asks for, or None."""
    kind = int.from_bytes(frame[12:14])
    if kind == ARP and len(frame) >= ETHERNET_HEADER + 28 and frame[14:20] == _ARP_HEAD and frame[20:22] == b"\0\1":
        sender, target = frame[28:32], frame[38:42]
        return target if sender != target else None  # Who asks for itself wants no answer, but to be heard.
    if kind == IP6 and len(frame) >= _NS_END and frame[20] == _ICMP6 and frame[54] == _SOLICITATION:
        source = frame[22:38]
        return frame[62:78] if any(source) else None  # The same: duplicate address detection.
    return None


def sender(frame: bytes) -> tuple[bytes, bytes] | None:
    """The address and the MAC that a frame's sender says to have, in ARP or in a solicitation, or None."""
    kind = int.from_bytes(frame[12:14])
    if kind == ARP and len(frame) >= ETHERNET_HEADER + 28 and frame[14:20] == _ARP_HEAD:
        address, mac = frame[28:32], frame[22:28]
    elif kind == IP6 and len(frame) >= _NS_END + 8 and frame[20] == _ICMP6 and frame[54] == _SOLICITATION:
        address, mac = frame[22:38], frame[80:86]
        if frame[78:80] != b"\1\1":
            return None
    else:
        return None
    return (address, mac) if any(address) and mac == frame[6:12] and not mac[0] & 1 else None


def answer(frame: bytes, mac: bytes) -> bytes:
    """The frame that answers what `asked` found, with `mac` for the address."""
    if int.from_bytes(frame[12:14]) == ARP:
        body = _ARP_HEAD + b"\0\2" + mac + frame[38:42] + frame[22:28] + frame[28:32]
        return frame[6:12] + mac + struct.pack("!H", ARP) + body
    target, asker = frame[62:78], frame[22:38]
    flags = bytes((_SOLICITED | _OVERRIDE, 0, 0, 0))
    message = bytes((_ADVERTISEMENT, 0, 0, 0)) + flags + target + b"\x02\x01" + mac
    total = checksum(target + asker + struct.pack("!II", len(message), _ICMP6) + message)
    message = message[:2] + struct.pack("!H", total) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), _ICMP6, 255) + target + asker
    return frame[6:12] + mac + struct.pack("!H", IP6) + header + message


def checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
