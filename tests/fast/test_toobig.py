"""ICMP for what is too long: what scapy reads in the answers, who gets one, and how often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from rhp._fast import toobig

SENDER, TARGET = "02:00:00:00:00:01", "02:00:00:00:00:02"
ETHER = Ether(src=SENDER, dst=TARGET)
LIMIT = 1400 + 14
LOAD = Raw(bytes(range(256)) * 6)[Raw].load[:1452]


def four(**fields):
    return IP(**{"src": "192.0.2.1", "dst": "192.0.2.2", "flags": "DF", **fields})


def six(**fields):
    return IPv6(**{"src": "2001:db8::1", "dst": "2001:db8::2", **fields})


def frame(*layers, ether=ETHER):
    packet = ether
    for layer in layers:
        packet = packet / layer
    return bytes(packet / Raw(LOAD))


def adds_up(packet, kind):
    """Whether scapy, left to fill the checksums in itself, finds the ones that are there."""
    again = packet.copy()
    for layer, field in ((IP, "chksum"), (kind, "chksum" if kind is ICMP else "cksum")):
        if layer in again:
            delattr(again[layer], field)
    return bytes(again) == bytes(packet)


@pytest.mark.parametrize("options", [[], b"\x01\x01\x01\x01"])
def test_fragmentation_needed(options):
    asked = frame(four(tos=4, options=options), UDP(sport=5000, dport=6000))
    octets = toobig.answer(asked, LIMIT)
    answer = Ether(octets)
    assert (answer.src, answer.dst) == (TARGET, SENDER)
    assert (answer[IP].src, answer[IP].dst, answer[IP].proto) == ("192.0.2.2", "192.0.2.1", 1)
    assert (answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (3, 4, 1400)
    assert len(answer[IP]) == 576
    assert adds_up(answer, ICMP)
    assert octets[14 + 28 :] == asked[14 : 14 + 576 - 28]


def test_packet_too_big():
    asked = frame(six(), TCP(sport=5000, dport=6000))
    answer = Ether(toobig.answer(asked, LIMIT))
    assert (answer.src, answer.dst) == (TARGET, SENDER)
    assert (answer[IPv6].src, answer[IPv6].dst, answer[IPv6].nh) == ("2001:db8::2", "2001:db8::1", 58)
    assert (answer[ICMPv6PacketTooBig].code, answer[ICMPv6PacketTooBig].mtu) == (0, 1400)
    assert len(answer[IPv6]) == 1280
    assert adds_up(answer, ICMPv6PacketTooBig)
    quote = bytes(answer[ICMPv6PacketTooBig].payload)
    assert quote == asked[14 : 14 + len(quote)]


def test_tags_come_back_and_count():
    tags = Dot1Q(vlan=7, prio=5, type=0x8100) / Dot1Q(vlan=8)
    answer = Ether(toobig.answer(frame(tags, four(), UDP()), LIMIT))
    assert [tag.vlan for tag in (answer[Dot1Q], answer[Dot1Q].payload)] == [7, 8]
    assert answer[ICMP].nexthopmtu == 1400 - 8
    assert len(toobig.answer(frame(tags, six(), UDP()), LIMIT)) == 22 + 1280


def test_a_short_packet_is_quoted_whole():
    asked = bytes(ETHER / four() / UDP() / Raw(bytes(80)))
    assert bytes(Ether(toobig.answer(asked, 14 + 100))[ICMP].payload) == asked[14:]


def test_what_fits_is_not_answered():
    size = len(LOAD) + 28
    assert toobig.answer(frame(four(), UDP()), 14 + size) is None
    assert toobig.answer(frame(four(), UDP()), 14 + size - 1) is not None


def test_padding_behind_the_packet_is_none_of_its_length():
    assert toobig.answer(bytes(ETHER / four() / UDP() / Raw(bytes(72))) + bytes(50), 14 + 100) is None


def test_ipv6_is_never_told_less_than_it_needs():
    assert Ether(toobig.answer(frame(six(), UDP()), 14 + 1000))[ICMPv6PacketTooBig].mtu == 1280
    assert toobig.answer(frame(six(), UDP())[: 14 + 40], 14 + 1000) is None
    asked = bytes(ETHER / six() / UDP() / Raw(bytes(1280 - 48)))
    assert len(asked) == 14 + 1280
    assert toobig.answer(asked, 14 + 1000) is None


@pytest.mark.parametrize(
    "asked",
    [
        frame(four(flags=0), UDP()),
        frame(four(frag=100), UDP()),
        frame(four(src="0.0.0.0"), UDP()),  # noqa: S104
        frame(four(src="127.0.0.1"), UDP()),
        frame(four(src="224.0.0.5"), UDP()),
        frame(four(src="255.255.255.255"), UDP()),
        frame(four(dst="224.0.0.5"), UDP()),
        frame(four(dst="255.255.255.255"), UDP()),
        frame(four(), ICMP(type=3, code=4)),
        frame(four(), ICMP(type=5)),
        frame(four(), ICMP(type=11)),
        frame(four(), ICMP(type=12)),
        frame(six(src="::"), UDP()),
        frame(six(src="::1"), UDP()),
        frame(six(src="ff02::1"), UDP()),
        frame(six(dst="ff02::1"), UDP()),
        frame(six(), ICMPv6TimeExceeded()),
        frame(six(), IPv6ExtHdrDestOpt(), ICMPv6PacketTooBig()),
        frame(six(), IPv6ExtHdrFragment(offset=10, nh=17)),
        frame(four(), UDP(), ether=Ether(src=SENDER, dst="ff:ff:ff:ff:ff:ff")),
        frame(four(), UDP(), ether=Ether(src=SENDER, dst="01:00:5e:00:00:05")),
        frame(four(), UDP(), ether=Ether(src="01:00:00:00:00:01", dst=TARGET)),
        frame(ARP()),
        frame(ether=Ether(src=SENDER, dst=TARGET, type=0x88B5)),
        frame(four(ihl=4), UDP()),
        frame(four(len=3000), UDP()),
        frame(six(), UDP(), ether=Ether(src=SENDER, dst=TARGET, type=0x0800)),
        frame(four(), UDP(), ether=Ether(src=SENDER, dst=TARGET, type=0x86DD)),
    ],
)
def test_who_cannot_be_told_gets_no_answer(asked):
    assert toobig.answer(asked, LIMIT) is None


@pytest.mark.parametrize(
    "layers",
    [
        (four(), ICMP(type=8)),
        (four(flags="MF+DF"), UDP()),
        (six(), ICMPv6EchoRequest()),
        (six(), IPv6ExtHdrFragment(offset=0, m=1, nh=17), UDP()),
        (six(), IPv6ExtHdrDestOpt(), UDP()),
        (four(proto=50),),
    ],
)
def test_who_can_be_told_gets_one(layers):
    assert toobig.answer(frame(*layers), LIMIT) is not None


def test_a_flood_is_answered_in_moderation():
    asked = frame(four(), UDP())
    assert sum(toobig.rates(asked, LIMIT, [1000] * 500)) == 100
    assert sum(toobig.rates(asked, LIMIT, range(1000, 11000))) <= 100 + 1001


@given(st.binary(max_size=1600), st.integers(0, 70000), st.booleans(), st.sampled_from([0x0800, 0x86DD, 0x8100]))
def test_octets_of_any_kind_do_no_harm(data, limit, six_or_four, kind):
    head = bytes(Ether(src=SENDER, dst=TARGET, type=kind)) + (b"\x60" if six_or_four else b"\x45")
    answer = toobig.answer(head + data, limit)
    assert answer is None or 14 + 28 <= len(answer) <= 22 + 1280


def test_a_frame_shorter_than_a_header_gets_none():
    assert toobig.answer(b"\x02" * 13, LIMIT) is None
