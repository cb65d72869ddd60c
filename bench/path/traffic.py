"""The frames that the path is fed: TCP super-frames as a TAP with offloads hands them over, and small UDP frames.

Each has the header of 10 octets in front that tells what the kernel left undone (struct virtio_net_hdr).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SEGMENT = 1370
"""Octets of payload in a TCP segment: an inner MTU of 1422 less the headers of IPv4 and TCP with timestamps."""
SEGMENTS = 46
"""In one super-frame; the kernel's own are as long."""
DATAGRAM = 64
"""Octets of payload in a small UDP frame."""
ADDRESSES = bytes((10, 77, 0, 1)), bytes((10, 77, 0, 2))

_NEEDS_CHECKSUM = 1
_KIND_TCP4 = 1
_TCP, _UDP = 6, 17
_ETHERNET, _IP, _TCP_HEADER = 14, 20, 32


@dataclass(frozen=True, slots=True)
class Traffic:
    """Frames with their headers for the TAP, and how many packets they come to in the tunnel."""

    frames: tuple[bytes, ...]
    packets: int
    octets: int
    """Of payload, TCP's or UDP's."""


def tcp(macs: Sequence[bytes], super_frames: int) -> Traffic:
    """One TCP stream to each of `macs`, which take turns super-frame by super-frame."""
    payload = bytes(SEGMENT * SEGMENTS)
    frames = tuple(_tcp_frames(macs, super_frames, payload))
    return Traffic(frames, super_frames * SEGMENTS, super_frames * len(payload))


def udp(macs: Sequence[bytes], frames: int) -> Traffic:
    """Datagrams to `macs`, which take turns frame by frame: the worst case, since no two of them share a train."""
    header = struct.pack("!HHHH", 4000, 4001, 8 + DATAGRAM, 0) + bytes(DATAGRAM)
    plain = bytes(10)
    made = (
        plain + _ethernet(macs[number % len(macs)]) + _ip4(number, _UDP, len(header)) + header
        for number in range(frames)
    )
    return Traffic(tuple(made), frames, frames * DATAGRAM)


def opposite(mac: bytes) -> bytes:
    """The station at the other end that `mac` talks to."""
    return mac[:1] + bytes((mac[1] ^ 3,)) + mac[2:]


def _tcp_frames(macs: Sequence[bytes], super_frames: int, payload: bytes) -> Iterator[bytes]:
    start = _ETHERNET + _IP
    vnet = struct.pack("=BBHHHH", _NEEDS_CHECKSUM, _KIND_TCP4, start + _TCP_HEADER, SEGMENT, start, 16)
    length = _TCP_HEADER + len(payload)
    # The kernel leaves the folded sum of the pseudo-header in the place of the checksum.
    undone = _folded(ADDRESSES[0] + ADDRESSES[1] + struct.pack("!HH", _TCP, length))
    timestamps = bytes((1, 1, 8, 10)) + bytes(8)
    for number in range(super_frames):
        turn, peer = divmod(number, len(macs))
        sequence = turn * len(payload) & 0xFFFFFFFF
        header = struct.pack("!HHIIBBHHH", 5000 + peer, 5001, sequence, 1, _TCP_HEADER // 4 << 4, 0x10, 1024, undone, 0)
        yield vnet + _ethernet(macs[peer]) + _ip4(turn * SEGMENTS, _TCP, length) + header + timestamps + payload


def _ethernet(mac: bytes) -> bytes:
    """Each station hears from one of its own, so that a hub that hears them all sees none of them move."""
    return mac + opposite(mac) + b"\x08\x00"


def _ip4(identification: int, protocol: int, length: int) -> bytes:
    """An IPv4 header that may not be fragmented, with its checksum."""
    words = struct.pack("!BBHHHBBH", 0x45, 0, _IP + length, identification & 0xFFFF, 0x4000, 64, protocol, 0)
    header = words + ADDRESSES[0] + ADDRESSES[1]
    return header[:10] + struct.pack("!H", 0xFFFF ^ _folded(header)) + header[12:]


def _folded(data: bytes) -> int:
    """The one's complement sum of 16-bit words."""
    total: int = sum(word for (word,) in struct.iter_unpack("!H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total
