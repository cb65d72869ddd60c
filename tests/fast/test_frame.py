"""Ethernet headers, VLAN tags, and which frames go first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from rhp._fast import frame

A, B = 0x020000000001, 0x020000000002
ETHER = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")


@pytest.mark.parametrize("size", range(14))
def test_a_runt_has_no_header(size):
    assert frame.parse(b"\x00" * size) is None
    assert frame.is_control(b"\x00" * size) is False


def test_addresses_and_type():
    assert frame.parse(bytes(ETHER / IP())) == (B, A, 0x0800, 14)


def test_tags_are_looked_through():
    assert frame.parse(bytes(ETHER / Dot1Q(vlan=5) / IP())) == (B, A, 0x0800, 18)
    service = Ether(dst=ETHER.dst, src=ETHER.src, type=0x88A8) / Dot1Q(vlan=5, type=0x8100) / Dot1Q(vlan=6) / IP()
    assert frame.parse(bytes(service)) == (B, A, 0x0800, 22)


def test_a_third_tag_is_not():
    tagged = bytes(ETHER / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / IP())
    assert frame.parse(tagged) == (B, A, 0x8100, 22)


@pytest.mark.parametrize("size", [14, 15, 17])
def test_a_frame_that_ends_inside_its_tag_has_no_type(size):
    assert frame.parse(bytes(ETHER / Dot1Q(vlan=5) / IP())[:size]) == (B, A, 0, 14)


@pytest.mark.parametrize(
    "payload",
    [
        ARP(),
        Dot1Q(vlan=5) / ARP(),
        IPv6() / ICMPv6ND_NS(),
        IPv6() / ICMPv6ND_NA(),
        IP(proto=89) / b"ospf",
        IP(proto=112) / b"vrrp",
        IP() / UDP(dport=520) / b"rip",
        IPv6() / UDP(dport=521) / b"ripng",
        IP() / TCP(dport=179),
        IPv6() / TCP(sport=179),
        IP(options=b"\x01" * 4) / TCP(dport=179),
    ],
    ids=lambda payload: payload.summary(),
)
def test_what_keeps_the_network_alive_is_control(payload):
    assert frame.is_control(bytes(ETHER / payload)) is True


@pytest.mark.parametrize(
    "payload",
    [IP() / TCP(dport=80), IP() / UDP(dport=53), IP() / ICMP(), IPv6() / ICMPv6EchoRequest(), b"x" * 60],
    ids=["tcp", "udp", "ping", "ping6", "other"],
)
def test_everything_else_is_bulk(payload):
    assert frame.is_control(bytes(ETHER / payload)) is False


@given(st.binary(max_size=80), st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x81\x00\x00\x01\x08\x00"]))
def test_no_octets_are_too_strange(data, kind):
    frame.is_control(bytes(12) + kind + data)
