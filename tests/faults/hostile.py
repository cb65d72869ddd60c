"""Frames that lie about themselves: lengths, header sizes, options, fragments, sequence numbers, tags."""

import struct

from rhp.lab.flows import ACK, CWR, ECE, FIN, PLAIN, PLAIN6, PSH, RST, SYN, TIMESTAMPS, URG, Segment, checksum, tcp, udp
from rhp.lab.frames import ETH_P_ARP, ethernet

IP4 = 14
TCP4 = IP4 + 20
TCP6 = 14 + 40
MF = 0x2000
MACS = bytes.fromhex("020000000002020000000001")


def patched(frame, offset, data):
    """The frame with some octets replaced."""
    return frame[:offset] + data + frame[offset + len(data) :]


def resummed(frame):
    """The frame with its IPv4 header's checksum made right, so that nothing but the lie itself is wrong."""
    size = max(20, (frame[IP4] & 15) * 4)
    clean = patched(frame, IP4 + 10, b"\0\0")
    return patched(clean, IP4 + 10, checksum(clean[IP4 : IP4 + size]).to_bytes(2, "big"))


def lengths():
    """IPv4 headers whose version, size or total length is not what follows."""
    for first in (0x05, 0x40, 0x41, 0x44, 0x46, 0x4F, 0x55, 0x65, 0xF5):
        yield resummed(patched(tcp(size=30), IP4, bytes((first,))))
    for total in (0, 1, 19, 20, 21, 39, 40, 60, 71, 1500, 65535):
        yield resummed(patched(tcp(size=30), IP4 + 2, total.to_bytes(2, "big")))
    yield tcp(size=30) + b"more behind"
    for length in (0, 1, 19, 20, 21, 40, 51, 65535):
        yield patched(tcp(size=30, around=PLAIN6), 14 + 4, length.to_bytes(2, "big"))
    for length in (0, 1, 7, 8, 9, 37, 39, 65535):
        yield udp(size=30, length=length)
        yield udp(size=30, around=PLAIN6, length=length)


def offsets():
    """TCP headers of every size, whatever is there."""
    for words in (0, 1, 2, 3, 4, 6, 12, 13, 15):
        for start, around in ((TCP4, PLAIN), (TCP6, PLAIN6)):
            for flags in (ACK, SYN):
                yield patched(tcp(size=30, flags=flags, around=around), start + 12, bytes((words << 4,)))


def options():
    """TCP options that do not add up, or ask for a segment size of nothing."""
    lists = [b"\x02\x04\x00\x00", b"\x02\x04\x00\x01", b"\x02\x03\x05\xb4", b"\x02\x05\x05\xb4"]
    lists += [b"\x02\x00\x00\x00", b"\x08\x00\x00\x00", b"\x08\x01\x00\x00", b"\x01\x01\x01\x02", b"\x01\x01\x02\x04"]
    lists += [b"\x08\xff\x00\x00", b"\xff\xff\xff\xff", b"\x00\x02\x04\xff", b"\x02\x04\x00\x00" * 10]
    for each in lists:
        for flags in (SYN, SYN | ACK, ACK):
            yield tcp(size=0 if flags & SYN else 30, flags=flags, header=Segment(options=each))
            yield tcp(size=0 if flags & SYN else 30, flags=flags, around=PLAIN6, header=Segment(options=each))


def flags():
    """Flags that never stand together, and the ones that must never be merged."""
    for each in (0, SYN | FIN, SYN | RST, 0xFF, RST, URG | ACK, ACK | CWR, ACK | ECE | CWR, FIN, PSH, SYN | ACK | PSH):
        yield tcp(size=30, flags=each, header=Segment(urgent=7, options=TIMESTAMPS))
    yield tcp(size=30, header=Segment(reserved=15))


def overlapping():
    """Segments that cover one another, at the edge of the sequence numbers too."""
    for start in (7000, 0xFFFFFFF0):
        for shift in (0, 0, 1, 29, 30, 30, 31, -1, -30, 15):
            yield tcp(size=30, seq=start + shift)
    yield tcp(size=0, seq=7000)


def fragments():
    """Fragments that are tiny, overlap, or end beyond 65535 octets."""
    for fragment in (MF, 1, MF | 1, MF | 2, 0x1FFF, MF | 0x1FFF, 0x8000, 0xFFFF):
        yield tcp(size=64, around=PLAIN._replace(fragment=fragment))
        yield udp(size=64, around=PLAIN._replace(fragment=fragment))


def extensions():
    """IPv6 extension headers that run over the end, form chains without one, or hide what they carry."""
    plain = tcp(size=30, around=PLAIN6)
    whole = plain[TCP6:]
    for kind in (0, 43, 44, 50, 51, 59, 60, 135, 255):
        for size in (0, 1, 200, 255):
            yield _extended(plain, kind, bytes((6, size)) + bytes(6) + whole)
    yield _extended(plain, 60, bytes((60, 0, 1, 4, 0, 0, 0, 0)) * 60 + bytes((6, 0, 1, 4, 0, 0, 0, 0)) + whole)
    yield _extended(plain, 60, bytes((60, 0, 1, 4, 0, 0, 0, 0)) * 100)
    yield _extended(plain, 44, struct.pack("!BBHI", 6, 0, 1, 7) + whole)
    yield _extended(plain, 44, struct.pack("!BBHI", 44, 0, 0, 7) * 3 + whole)


def tags():
    """Tags on tags, tags at the end of the frame, and types that promise what is not there."""
    inner = tcp(size=30)[12:]
    for count in (1, 2, 3, 8, 50):
        for kind in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"):
            yield MACS + (kind + b"\x00\x07") * count + inner
    for ethertype in (0x0800, 0x86DD, 0x0806, 0x8100, 0x0000, 0x05DC, 0xFFFF):
        yield ethernet(MACS[:6], MACS[6:], ethertype, b"")
        yield ethernet(MACS[:6], MACS[6:], ethertype, b"\xff" * 60)


def neighbours():
    """ARP and neighbour discovery with sizes that are wrong."""
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + MACS[6:] + b"\x0a\x00\x00\x01" + bytes(6) + b"\x0a\x00\x00\x02"
    for offset in range(8):
        for value in (0, 3, 255):
            yield ethernet(MACS[:6], MACS[6:], ETH_P_ARP, patched(arp, offset, bytes((value,))))
    for kind in (133, 134, 135, 136, 137):
        for option in (b"\x01\x00" + MACS[6:], b"\x01\xff" + MACS[6:], b"\x01", b""):
            body = bytes((kind, 0, 0, 0)) + bytes(4) + PLAIN6.addresses()[16:] + option
            header = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + PLAIN6.addresses()
            yield MACS + b"\x86\xdd" + header + body


def everything():
    """All of them but those that overlap, each at least as long as a frame on a wire."""
    for kind in (lengths, offsets, options, flags, fragments, extensions, tags, neighbours):
        for frame in kind():
            yield frame.ljust(60, b"\0")


def marked(frames):
    """The same frames, each with octets at its end that no other one has."""
    for number, frame in enumerate(frames):
        yield frame + b"mark" + number.to_bytes(2, "big")


def _extended(plain, kind, rest):
    """The IPv6 packet with `kind` as its first next header, and `rest` behind its header."""
    start = patched(plain[:TCP6], 14 + 4, len(rest).to_bytes(2, "big"))
    return patched(start, 14 + 6, bytes((kind,))) + rest
