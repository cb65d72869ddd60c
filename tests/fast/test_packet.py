"""Inner IP packets: what is read, and what does not add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)

from rhp._fast import packet

UDP_OF = UDP(sport=1000, dport=2000)


def test_ports_of_both_versions():
    assert packet.parse(bytes(IP() / UDP_OF / b"abc")) == (4, 17, 31, 20, 1000, 2000)
    assert packet.parse(bytes(IPv6() / TCP(sport=5, dport=6))) == (6, 6, 60, 40, 5, 6)


def test_options_move_the_transport():
    assert packet.parse(bytes(IP(options=b"\x01" * 8) / UDP_OF)) == (4, 17, 36, 28, 1000, 2000)


def test_icmp_has_type_and_code_in_both_places():
    assert packet.parse(bytes(IP() / ICMP(type=3, code=4)))[-2:] == (0x0304, 0x0304)
    assert packet.parse(bytes(IPv6() / ICMPv6EchoRequest()))[-2:] == (0x8000, 0x8000)


def test_extension_headers_are_walked():
    chain = IPv6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / UDP_OF
    assert packet.parse(bytes(chain)) == (6, 17, 72, 64, 1000, 2000)


def test_the_first_fragment_has_ports_and_later_ones_do_not():
    assert packet.parse(bytes(IPv6() / IPv6ExtHdrFragment(offset=0, m=1) / UDP_OF))[-2:] == (1000, 2000)
    assert packet.parse(bytes(IPv6() / IPv6ExtHdrFragment(offset=9, nh=17) / bytes(UDP_OF))) == (
        6,
        17,
        56,
        48,
        None,
        None,
    )
    assert packet.parse(bytes(IP(frag=9) / UDP_OF)) == (4, 17, 28, 20, None, None)


def test_a_header_behind_a_later_fragment_is_not_believed():
    hidden = IPv6() / IPv6ExtHdrFragment(offset=9, nh=60) / bytes(IPv6ExtHdrDestOpt(nh=17)) / bytes(UDP_OF)
    assert packet.parse(bytes(hidden))[1] == 60


def test_octets_behind_the_packet_do_not_count():
    assert packet.parse(bytes(IP() / UDP_OF) + b"padding")[2] == 28


def test_a_packet_without_its_transport_has_no_ports():
    assert packet.parse(bytes(IP(proto=17) / b"abc"))[-2:] == (None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x45",
        bytes(IP() / UDP_OF)[:27],
        bytes(IP(ihl=4) / UDP_OF),
        bytes(IP(ihl=15) / UDP_OF),
        bytes(IP(len=19) / UDP_OF),
        bytes(IP(len=0) / UDP_OF),
        bytes(IP(len=29) / UDP_OF),
        bytes(IP(version=5) / UDP_OF),
        bytes(IPv6(plen=9) / UDP_OF),
        bytes(IPv6() / UDP_OF)[:39],
        bytes(IPv6(nh=0) / b"\x11\x05\x00\x00\x00\x00\x00\x00"),
        bytes(IPv6(nh=0) / b"\x11\x00\x00"),
        bytes(IPv6(nh=0) / ((b"\x00\x00" + bytes(6)) * 20)),
        bytes(IPv6(nh=51) / b"\x11\xff\x00\x00\x00\x00\x00\x00"),
    ],
)
def test_what_does_not_add_up_is_malformed(data):
    assert packet.parse(data) is None


@given(st.binary(max_size=120), st.sampled_from([0x45, 0x4F, 0x60, 0x00]))
def test_random_octets_stay_within_bounds(data, first):
    found = packet.parse(bytes((first,)) + data)
    if found is not None:
        assert found[3] <= found[2] <= len(data) + 1
