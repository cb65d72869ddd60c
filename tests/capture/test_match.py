"""Which captured packets are wanted."""

from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from rhp.capture.match import Wanted

A, B, C = "10.1.0.1", "10.1.0.2", "10.1.0.3"
A6, B6 = "fd00::1", "fd00::2"


@pytest.mark.parametrize(
    ("packet", "host", "port", "wanted"),
    [
        (IP(src=A, dst=B) / TCP(sport=1000, dport=80), None, None, True),
        (IP(src=A, dst=B) / TCP(sport=1000, dport=80), A, None, True),
        (IP(src=A, dst=B) / TCP(sport=1000, dport=80), B, 80, True),
        (IP(src=A, dst=B) / TCP(sport=1000, dport=80), B, 1000, True),
        (IP(src=A, dst=B) / TCP(sport=1000, dport=80), B, 81, False),
        (IP(src=A, dst=B) / TCP(sport=1000, dport=80), C, 80, False),
        (IP(src=A, dst=B) / ICMP(), None, 80, False),
        (IP(src=A, dst=B, options=b"\x01" * 4) / UDP(sport=53, dport=53), None, 53, True),
        (IPv6(src=A6, dst=B6) / UDP(sport=53, dport=9), B6, 53, True),
        (IPv6(src=A6, dst=B6) / UDP(sport=53, dport=9), A, 53, False),
        (ARP(psrc=A, pdst=B), B, None, True),
        (ARP(psrc=A, pdst=B), C, None, False),
        (ARP(psrc=A, pdst=B), B, 80, False),
    ],
)
@pytest.mark.parametrize("tags", [0, 1, 2])
def test_frames(packet, host, port, wanted, tags):
    frame = Ether()
    for _ in range(tags):
        frame /= Dot1Q(vlan=7)
    chosen = Wanted(None if host is None else ip_address(host), port)
    assert chosen.takes_frame(bytes(frame / packet)) is wanted


@pytest.mark.parametrize("chosen", [Wanted(ip_address(A)), Wanted(None, 80), Wanted(ip_address(A6), 80)])
def test_what_ends_too_early_is_not_wanted(chosen):
    whole = bytes(Ether() / Dot1Q() / IP(src=C, dst=B) / TCP(dport=9))
    for length in range(len(whole)):
        assert not chosen.takes_frame(whole[:length])
        assert not chosen.takes_packet(whole[18:length])
    assert Wanted().takes_frame(b"")
