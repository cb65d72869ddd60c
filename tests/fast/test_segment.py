"""Cutting a super-frame: what the headers of each packet say, and which super-frames are none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhp._fast.segment import segments
from rhp.lab.flows import ACK, CWR, ECE, FIN, PLAIN, PLAIN6, PSH, STAMPED, Around, checksum, pseudo_header, tcp, udp

NONE, TCP4, TCP6, UDP = 0, 1, 4, 5
TAGGED = Around(vlans=(7,))
TWICE_TAGGED = Around(version=6, vlans=(7, 8))
BARE = Around(bare=True)


def network_of(around):
    return 0 if around.bare else 14 + 4 * len(around.vlans)


def kind_of(make, around):
    if make is udp:
        return UDP
    return TCP4 if around.version == 4 else TCP6


def cut(make, size, each, around=PLAIN, **more):
    """The packets of one super-frame with `size` octets of payload."""
    return segments(make(0, size, around=around, **more), kind_of(make, around), each, network_of(around))


def sound(packet, around, protocol):
    """Both checksums add up, and all lengths are those of the packet."""
    ip = packet[network_of(around) :]
    if around.version == 4:
        header = (ip[0] & 15) * 4
        assert checksum(ip[:header]) == 0
        assert struct.unpack_from("!H", ip, 2)[0] == len(ip)
        addresses = ip[12:20]
    else:
        header = 40
        assert struct.unpack_from("!H", ip, 4)[0] == len(ip) - header
        addresses = ip[8:40]
    transport = ip[header:]
    assert checksum(pseudo_header(addresses, protocol, len(transport)) + transport) == 0
    return transport


@pytest.mark.parametrize("around", [PLAIN, PLAIN6, TAGGED, TWICE_TAGGED, BARE, Around(fragment=0)])
@pytest.mark.parametrize(("size", "each"), [(2, 1), (1000, 999), (5000, 1000), (4001, 1000), (65000, 1370)])
def test_tcp_is_cut_into_what_the_host_would_have_sent(around, size, each):
    whole = tcp(0, size, around=around)
    packets = cut(tcp, size, each, around)
    assert len(packets) == -(-size // each)
    headers = len(whole) - size
    assert b"".join(packet[headers:] for packet in packets) == whole[headers:]
    for number, packet in enumerate(packets):
        transport = sound(packet, around, 6)
        assert struct.unpack_from("!I", transport, 4)[0] == 7000 + each * number
        if around.version == 4:
            assert struct.unpack_from("!H", packet, network_of(around) + 4)[0] == 100 + number


@pytest.mark.parametrize("around", [PLAIN, PLAIN6, TAGGED, BARE])
@pytest.mark.parametrize(("size", "each"), [(2, 1), (5000, 1000), (4001, 1000), (64000, 1000)])
def test_udp_is_cut_into_datagrams(around, size, each):
    packets = cut(udp, size, each, around)
    assert len(packets) == -(-size // each)
    for packet in packets:
        transport = sound(packet, around, 17)
        assert struct.unpack_from("!H", transport, 4)[0] == len(transport)
        assert transport[6:8] != b"\x00\x00"


def flags_of(packets):
    return [packet[14 + 20 + 13] for packet in packets]


def test_flags_stand_where_they_belong():
    packets = cut(tcp, 3000, 1000, flags=ACK | PSH | FIN | CWR | ECE)
    assert flags_of(packets) == [ACK | ECE | CWR, ACK | ECE, ACK | ECE | PSH | FIN]


def test_one_segment_has_all_flags():
    assert flags_of(cut(tcp, 900, 1000, flags=ACK | PSH | FIN | CWR)) == [ACK | PSH | FIN | CWR]


def test_numbers_go_round():
    packets = cut(tcp, 3000, 1000, Around(id=0xFFFF), seq=0xFFFFFF00)
    assert [struct.unpack_from("!H", packet, 18)[0] for packet in packets] == [0xFFFF, 0, 1]
    sequences = [struct.unpack_from("!I", packet, 38)[0] for packet in packets]
    assert sequences == [0xFFFFFF00, 0x2E8, 0x6D0]


def test_options_of_both_headers_are_in_every_packet():
    options = b"\x01\x01\x01\x00"
    packets = cut(tcp, 3000, 1000, Around(options=options), header=STAMPED)
    for packet in packets:
        assert packet[34:38] == options
        assert packet[58:70] == STAMPED.options


@given(st.integers(1, 3000), st.integers(1, 1500), st.sampled_from([PLAIN, PLAIN6, TAGGED, BARE]), st.booleans())
def test_any_sizes(size, each, around, datagrams):
    make = udp if datagrams else tcp
    whole = make(0, size, around=around)
    headers = len(whole) - size
    packets = cut(make, size, each, around)
    assert b"".join(packet[headers:] for packet in packets) == whole[headers:]
    assert all(len(packet) == headers + each for packet in packets[:-1])
    for packet in packets:
        sound(packet, around, 17 if datagrams else 6)


HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS = 0, 43, 44, 60
NOTHING = bytes.fromhex("0000010400000000")
"""An extension header of one option that pads; its first octet is written where it is used."""


def extended(size, *headers, make=tcp):
    return make(0, size, around=Around(version=6, extensions=headers))


@pytest.mark.parametrize(
    "headers",
    [
        [(HOP_BY_HOP, NOTHING)],
        [(DESTINATION_OPTIONS, NOTHING)],
        [(HOP_BY_HOP, NOTHING), (DESTINATION_OPTIONS, bytes([0, 2, 1, 20]) + bytes(20))],
    ],
)
@pytest.mark.parametrize("make", [tcp, udp])
def test_extension_headers_are_in_every_packet(make, headers):
    whole = extended(3500, *headers, make=make)
    start = 54 + sum(len(header) for _, header in headers)
    packets = segments(whole, kind_of(make, PLAIN6), 1000, checksum_start=start)
    assert len(packets) == 4
    for packet in packets:
        assert packet[20:start] == whole[20:start]
        assert struct.unpack_from("!H", packet, 18)[0] == len(packet) - 54
        protocol = 17 if make is udp else 6
        transport = packet[start:]
        assert checksum(pseudo_header(packet[22:54], protocol, len(transport)) + transport) == 0


def test_the_sum_of_a_packet_with_a_route_is_its_senders():
    """The pseudo-header has the last hop's address (RFC 8200 section 8.1), which the sender has summed."""
    last_hop = bytes(range(16))
    route = bytes([0, 2, 4, 1, 0, 0, 0, 0]) + last_hop
    whole = extended(3500, (ROUTING, route))
    start = 54 + len(route)
    addresses = whole[22:38] + last_hop
    half = 0xFFFF ^ checksum(pseudo_header(addresses, 6, len(whole) - start))
    whole = changed(whole, start + 16, struct.pack("!H", half))
    packets = segments(whole, TCP6, 1000, checksum_start=start)
    assert len(packets) == 4
    for packet in packets:
        assert checksum(pseudo_header(addresses, 6, len(packet) - start) + packet[start:]) == 0


WHOLE = tcp(0, 3000)
WHOLE6 = tcp(0, 3000, around=PLAIN6)
DATAGRAM = udp(0, 3000)


def changed(frame, offset, octets):
    return frame[:offset] + octets + frame[offset + len(octets) :]


@pytest.mark.parametrize(
    ("frame", "kind", "more"),
    [
        pytest.param(WHOLE, TCP6, {}, id="IPv4 that says it is IPv6"),
        pytest.param(WHOLE6, TCP4, {}, id="IPv6 that says it is IPv4"),
        pytest.param(WHOLE, UDP, {}, id="TCP that says it is UDP"),
        pytest.param(DATAGRAM, TCP4, {}, id="UDP that says it is TCP"),
        pytest.param(changed(WHOLE, 14, b"\x44"), TCP4, {"checksum_start": 34}, id="a header of 16 octets"),
        pytest.param(changed(WHOLE, 14, b"\x4f"), TCP4, {"checksum_start": 34}, id="a header longer than said"),
        pytest.param(changed(WHOLE, 14, b"\x55"), TCP4, {"checksum_start": 34}, id="no version of IP"),
        pytest.param(changed(WHOLE, 16, b"\xff\xff"), TCP4, {}, id="a total length beyond the frame"),
        pytest.param(changed(WHOLE, 16, b"\x00\x30"), TCP4, {}, id="a total length short of the frame"),
        pytest.param(changed(WHOLE, 20, b"\x20\x00"), TCP4, {}, id="a first fragment"),
        pytest.param(changed(WHOLE, 20, b"\x00\x10"), TCP4, {}, id="a later fragment"),
        pytest.param(changed(WHOLE6, 18, b"\x00\x00"), TCP6, {}, id="a payload length of zero"),
        pytest.param(changed(WHOLE6, 20, b"\x00"), TCP6, {}, id="an extension header that is the TCP header"),
        pytest.param(extended(3000, (FRAGMENT, NOTHING)), TCP6, {"checksum_start": 62}, id="a fragment header"),
        pytest.param(extended(3000, (50, NOTHING)), TCP6, {"checksum_start": 62}, id="a header we cannot see behind"),
        pytest.param(
            extended(3000, (HOP_BY_HOP, bytes([0, 255]) + bytes(6))),
            TCP6,
            {"checksum_start": 54 + 2048},
            id="an extension header longer than we keep",
        ),
        pytest.param(
            extended(9, (HOP_BY_HOP, bytes([0, 9]) + bytes(6))),
            TCP6,
            {"checksum_start": 54 + 80},
            id="an extension header that leaves the packet",
        ),
        pytest.param(
            extended(3000, *[(DESTINATION_OPTIONS, NOTHING)] * 30),
            TCP6,
            {"checksum_start": 54 + 240},
            id="more extension headers than we keep",
        ),
        pytest.param(changed(WHOLE, 46, b"\x40"), TCP4, {}, id="a TCP header of 16 octets"),
        pytest.param(WHOLE, TCP4, {"checksum_start": 35}, id="a checksum elsewhere"),
        pytest.param(WHOLE, TCP4, {"checksum_start": 60000}, id="a checksum outside"),
        pytest.param(WHOLE, 2, {}, id="no kind we know"),
        pytest.param(tcp(0, 0), TCP4, {}, id="no payload"),
        pytest.param(changed(tcp(0, 10), 46, b"\xf0"), TCP4, {}, id="options that fill the frame"),
    ],
)
def test_what_is_no_super_frame(frame, kind, more):
    with pytest.raises(ValueError, match="not a super-frame"):
        segments(frame, kind, 1000, **more)


@pytest.mark.parametrize("length", range(1, 80))
def test_a_frame_that_ends_anywhere(length):
    with pytest.raises(ValueError, match=r"not a super-frame|out of range"):
        segments(WHOLE[:length], TCP4, 1000, checksum_start=34)


@given(
    st.sampled_from([(WHOLE, TCP4), (WHOLE6, TCP6), (DATAGRAM, UDP), (extended(3000, (HOP_BY_HOP, NOTHING)), TCP6)]),
    st.lists(st.tuples(st.integers(12, 99), st.integers(0, 255)), max_size=4),
    st.integers(1, 65535),
    st.integers(30, 70),
)
def test_damaged_headers_are_refused_or_cut(given_frame, changes, each, start):
    """Nothing is lost and nothing added, whatever the headers say."""
    frame, kind = given_frame
    for offset, value in changes:
        frame = changed(frame, offset, bytes([value]))
    try:
        packets = segments(frame, kind, each, checksum_start=start)
    except ValueError:
        return
    more = sum(map(len, packets)) - len(frame)
    if len(packets) == 1:
        assert more == 0
        return
    headers, rest = divmod(more, len(packets) - 1)
    assert rest == 0
    assert b"".join(packet[headers:] for packet in packets) == frame[headers:]


def test_a_segment_size_of_nothing():
    with pytest.raises(ValueError, match="not a super-frame"):
        segments(WHOLE, TCP4, 0)
