"""Clamping the MSS that a SYN announces (RFC 9293 section 3.7.1): neither side sends what does not fit the path."""

from __future__ import annotations

import struct

ETHERNET_HEADER = 14
_IP4, _IP6 = b"\x08\x00", b"\x86\xdd"
_IP6_HEADER, _IP6_LONGER = 40, 20
_TCP, _TCP_HEADER, _SYN = 6, 20, 2
_END, _NOTHING, _MSS = 0, 1, 2


def clamp(frame: bytes, mss: int) -> bytes:
    """The frame with no larger MSS than `mss` in its SYN, over IPv6 20 less for the longer header; 0 changes none."""
    start = _tcp(frame) if mss else None
    if start is None:
        return frame
    if frame[12:14] == _IP6:
        mss -= _IP6_LONGER
    place = _option(frame[start:])
    if place is None or int.from_bytes(frame[start + place : start + place + 2]) <= mss:
        return frame
    made = bytearray(frame)
    before, after = frame[start + place : start + place + 2], struct.pack("!H", mss)
    made[start + place : start + place + 2] = after
    if place % 2:
        before, after = before[::-1], after[::-1]  # The sum is over words that begin at even octets.
    old = int.from_bytes(frame[start + 16 : start + 18])
    made[start + 16 : start + 18] = _updated(old, before, after).to_bytes(2)
    return bytes(made)


def _tcp(frame: bytes) -> int | None:
    """Where the TCP header of a SYN begins; None for any other frame."""
    if frame[12:14] == _IP4 and len(frame) >= ETHERNET_HEADER + 20:
        start, protocol = ETHERNET_HEADER + (frame[14] & 15) * 4, frame[23]
        if int.from_bytes(frame[20:22]) & 0x1FFF:
            return None
    elif frame[12:14] == _IP6 and len(frame) >= ETHERNET_HEADER + _IP6_HEADER:
        start, protocol = ETHERNET_HEADER + _IP6_HEADER, frame[20]
    else:
        return None
    whole = len(frame) >= start + _TCP_HEADER
    return start if protocol == _TCP and whole and frame[start + 13] & _SYN else None


def _option(tcp: bytes) -> int | None:
    """Where the value of the MSS option stands; None without one."""
    at, end = _TCP_HEADER, min((tcp[12] >> 4) * 4, len(tcp))
    while at < end and tcp[at] != _END:
        if tcp[at] == _NOTHING:
            at += 1
            continue
        length = tcp[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            return None
        if tcp[at] == _MSS and length == 4:
            return at + 2
        at += length
    return None


def _updated(checksum: int, before: bytes, after: bytes) -> int:
    """RFC 1624 section 3, equation 3."""
    total = (~checksum & 0xFFFF) + (~int.from_bytes(before) & 0xFFFF) + int.from_bytes(after)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
