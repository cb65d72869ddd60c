"""Frames with the header that the TAP puts in front of them (struct virtio_net_hdr of the kernel's uapi)."""

import struct

import pytest

from rhp._fast import parcel
from rhp.lab.flows import CWR, PLAIN6, checksum, pseudo_header, tcp, udp

VNET = struct.Struct("=BBHHHH")
NONE, TCP4, TCP6, UDP = 0, 1, 4, 5
NEEDS_CHECKSUM = 1
WITH_ECN = 0x80
TCP_START = 34
TCP_OFFSET, UDP_OFFSET = 16, 6


def read(frame, flags=0, kind=NONE, size=0, start=0, offset=0, headers=0):
    return parcel.from_tap(VNET.pack(flags, kind, headers, size, start, offset) + frame)


def test_a_plain_frame():
    frame = udp()
    assert read(frame) == (frame, NONE, 0, 0, 0, False)


def test_an_unfinished_checksum():
    frame = tcp()
    assert read(frame, NEEDS_CHECKSUM, start=TCP_START, offset=TCP_OFFSET) == (frame, NONE, 0, 34, 16, True)


@pytest.mark.parametrize("kind", [TCP4, TCP6, UDP])
def test_a_super_frame(kind):
    frame = tcp(size=5000)
    assert read(frame, NEEDS_CHECKSUM, kind, 1000, 34, 16)[1:] == (kind, 1000, 34, 16, True)


def test_the_mark_of_a_reduced_window_is_no_kind_of_its_own():
    frame = tcp(size=5000, flags=CWR)
    assert read(frame, NEEDS_CHECKSUM, TCP4 | WITH_ECN, 1000, 34, 16)[1] == TCP4


def test_what_the_header_says_of_its_own_length_is_not_believed():
    frame = tcp(size=5000)
    assert read(frame, NEEDS_CHECKSUM, TCP4, 1000, 34, 16, headers=65535) == read(
        frame, NEEDS_CHECKSUM, TCP4, 1000, 34, 16
    )


@pytest.mark.parametrize(
    "header",
    [
        {"flags": NEEDS_CHECKSUM, "start": 60000, "offset": 16},
        {"flags": NEEDS_CHECKSUM, "start": 34, "offset": 60000},
        {"flags": NEEDS_CHECKSUM, "start": 65535, "offset": 65535},
        {"flags": NEEDS_CHECKSUM, "start": 13, "offset": 6},
        {"flags": NEEDS_CHECKSUM, "kind": TCP4, "size": 0, "start": 34, "offset": 16},
        {"flags": 0, "kind": TCP4, "size": 1000},
        {"flags": NEEDS_CHECKSUM, "kind": 2, "size": 1000, "start": 34, "offset": 16},
        {"flags": NEEDS_CHECKSUM, "kind": 3, "size": 1000, "start": 34, "offset": 6},
        {"flags": NEEDS_CHECKSUM, "kind": 0x7F, "size": 1000, "start": 34, "offset": 16},
    ],
)
def test_what_cannot_be_true_is_refused(header):
    with pytest.raises(ValueError, match="do not agree"):
        read(tcp(size=5000), **header)


def test_no_frame_at_all():
    with pytest.raises(ValueError, match="no frame"):
        parcel.from_tap(bytes(10))


def unfinished(frame, start, offset, protocol):
    """The frame as a host leaves it to a device: the pseudo-header's sum, folded and not inverted."""
    network = 14
    version = frame[network] >> 4
    addresses = frame[network + 12 : network + 20] if version == 4 else frame[network + 8 : network + 40]
    value = 0xFFFF ^ checksum(pseudo_header(addresses, protocol, len(frame) - start))
    return frame[: start + offset] + struct.pack("!H", value) + frame[start + offset + 2 :]


@pytest.mark.parametrize(
    ("frame", "start", "offset", "protocol"),
    [
        (tcp(size=0), 34, TCP_OFFSET, 6),
        (tcp(size=1401), 34, TCP_OFFSET, 6),
        (tcp(size=99, around=PLAIN6), 54, TCP_OFFSET, 6),
        (udp(size=1), 34, UDP_OFFSET, 17),
        (udp(size=1000, around=PLAIN6), 54, UDP_OFFSET, 17),
    ],
)
def test_a_finished_checksum_is_the_one_that_the_sender_meant(frame, start, offset, protocol):
    given = unfinished(frame, start, offset, protocol)
    assert given != frame
    assert parcel.to_tap(given, NONE, 0, start, offset, True, finish=True) == bytes(10) + frame


def test_a_datagram_whose_sum_is_zero_says_all_ones():
    """RFC 768: zero on the wire means that there is no checksum."""
    for number in range(70000):
        frame = udp(size=2)[:-2] + struct.pack("!H", number & 0xFFFF)
        given = unfinished(frame, 34, UDP_OFFSET, 17)
        found = parcel.to_tap(given, NONE, 0, 34, UDP_OFFSET, True, finish=True)[10:]
        assert found[40:42] != b"\x00\x00"
        if found[40:42] == b"\xff\xff":
            return
    pytest.fail("no payload has that sum")


def test_there_and_back():
    frame = tcp(size=5000)
    for given in [(frame, NONE, 0, 0, 0, False), (frame, NONE, 0, 34, 16, True), (frame, TCP4, 1000, 34, 16, True)]:
        assert parcel.from_tap(parcel.to_tap(*given)) == given


def test_the_header_tells_the_kernel_how_long_the_headers_are():
    data = parcel.to_tap(tcp(size=5000), TCP4, 1000, 34, 16, True)
    assert VNET.unpack_from(data) == (NEEDS_CHECKSUM, TCP4, 54, 1000, 34, 16)
    data = parcel.to_tap(udp(size=5000), UDP, 1000, 34, 6, True)
    assert VNET.unpack_from(data) == (NEEDS_CHECKSUM, UDP, 42, 1000, 34, 6)
