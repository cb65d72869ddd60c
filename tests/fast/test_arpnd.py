"""Reading ARP and neighbour discovery, and answers that scapy and the RFCs accept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from rhp._fast import arpnd

ASKER, OWNER = "02:00:00:00:00:01", "02:00:00:00:00:09"
OWNER_OCTETS = bytes.fromhex("020000000009")
ALL = Ether(src=ASKER, dst="ff:ff:ff:ff:ff:ff")
GROUP = Ether(src=ASKER, dst="33:33:ff:00:00:09")
NOBODY = "0.0.0.0"  # noqa: S104  # No socket is bound here.
SOLICITED = "ff02::1:ff00:9"


def request(**fields):
    return bytes(ALL / ARP(**{"op": 1, "hwsrc": ASKER, "psrc": "192.0.2.1", "pdst": "192.0.2.9", **fields}))


def solicitation(source="fe80::1", target="2001:db8::9", **fields):
    head = IPv6(**{"src": source, "dst": SOLICITED, "hlim": 255, **fields})
    return bytes(GROUP / head / ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=ASKER))


def test_an_arp_request_is_answered():
    assert arpnd.read(request()) == ("arp-request", "192.0.2.9", "192.0.2.1", True)
    answer = Ether(arpnd.answer(request(), OWNER_OCTETS))
    assert (answer.dst, answer.src) == (ASKER, OWNER)
    arp = answer[ARP]
    assert (arp.op, arp.hwsrc, arp.psrc, arp.hwdst, arp.pdst) == (2, OWNER, "192.0.2.9", ASKER, "192.0.2.1")


def test_a_probe_is_a_question_of_nobody():
    assert arpnd.read(request(psrc=NOBODY)) == ("arp-request", "192.0.2.9", None, True)
    assert Ether(arpnd.answer(request(psrc=NOBODY), OWNER_OCTETS))[ARP].pdst == NOBODY


@pytest.mark.parametrize("op", [1, 2])
def test_an_announcement_is_no_question(op):
    announcement = request(op=op, psrc="192.0.2.9")
    assert arpnd.read(announcement)[2:] == ("192.0.2.9", False)
    assert arpnd.answer(announcement, OWNER_OCTETS) is None


def test_a_reply_makes_its_sender_known():
    assert arpnd.read(request(op=2)) == ("arp-reply", "192.0.2.9", "192.0.2.1", False)


def test_a_sender_with_another_mac_than_the_frames_is_not_learned():
    assert arpnd.read(request(hwsrc=OWNER))[2] is None


@pytest.mark.parametrize(
    "data",
    [
        request()[:41],
        request(hwtype=6),
        request(ptype=0x86DD),
        request(hwlen=8),
        request(plen=16),
        request(op=3),
        bytes(ALL / Dot1Q(vlan=5) / ARP(op=1, hwsrc=ASKER, psrc="192.0.2.1", pdst="192.0.2.9")),
    ],
)
def test_arp_that_does_not_add_up_is_nothing(data):
    assert arpnd.read(data) is None
    assert arpnd.answer(data, OWNER_OCTETS) is None


def test_a_solicitation_is_answered():
    assert arpnd.read(solicitation()) == ("solicitation", "2001:db8::9", "fe80::1", True)
    answer = Ether(arpnd.answer(solicitation(), OWNER_OCTETS))
    assert (answer.dst, answer.src) == (ASKER, OWNER)
    assert (answer[IPv6].src, answer[IPv6].dst, answer[IPv6].hlim) == ("2001:db8::9", "fe80::1", 255)
    advert = answer[ICMPv6ND_NA]
    assert (advert.R, advert.S, advert.O, advert.tgt) == (0, 1, 0, "2001:db8::9")
    assert answer[ICMPv6NDOptDstLLAddr].lladdr == OWNER
    carried = advert.cksum
    del advert.cksum
    assert Ether(bytes(answer))[ICMPv6ND_NA].cksum == carried


def test_a_duplicate_check_is_answered_to_all_nodes():
    probe = bytes(GROUP / IPv6(src="::", dst=SOLICITED) / ICMPv6ND_NS(tgt="2001:db8::9"))
    assert arpnd.read(probe) == ("solicitation", "2001:db8::9", None, True)
    answer = Ether(arpnd.answer(probe, OWNER_OCTETS))
    assert (answer.dst, answer[IPv6].dst, answer[ICMPv6ND_NA].S) == ("33:33:00:00:00:01", "ff02::1", 0)


def test_an_advertisement_makes_its_target_known():
    advert = GROUP / IPv6(src="fe80::1", dst="ff02::1") / ICMPv6ND_NA(tgt="2001:db8::1")
    assert arpnd.read(bytes(advert)) == ("advertisement", "2001:db8::1", "2001:db8::1", False)
    foreign = advert / ICMPv6NDOptDstLLAddr(lladdr=OWNER)
    assert arpnd.read(bytes(foreign))[2] is None


def broken_checksum():
    data = bytearray(solicitation())
    data[56] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        broken_checksum(),
        solicitation(hlim=254),
        solicitation(plen=23),
        solicitation(plen=40),
        solicitation(target="ff02::1"),
        solicitation(target="::ffff:192.0.2.9"),
        solicitation(source="ff02::1"),
        solicitation()[:70],
        bytes(GROUP / IPv6(src="fe80::1", dst=SOLICITED) / ICMPv6ND_NS(tgt="2001:db8::9", code=1)),
        bytes(GROUP / IPv6(src="fe80::1", dst=SOLICITED) / ICMPv6ND_NS(tgt="2001:db8::9") / b"\x01\x00\x00\x00"),
        bytes(GROUP / IPv6(src="fe80::1", dst=SOLICITED) / ICMPv6ND_NS(tgt="2001:db8::9") / (b"\x01\x02" + bytes(6))),
        bytes(GROUP / IPv6(src="fe80::1", dst=SOLICITED) / ICMPv6ND_NS(tgt="2001:db8::9") / (b"\x01\x00" + bytes(6))),
        bytes(GROUP / IPv6(src="::", dst="ff02::1") / ICMPv6ND_NS(tgt="2001:db8::9")),
        bytes(GROUP / IPv6(src="fe80::1", dst="ff02::2") / ICMPv6ND_RS()),
    ],
)
def test_discovery_that_does_not_add_up_is_nothing(data):
    assert arpnd.read(data) is None
    assert arpnd.answer(data, OWNER_OCTETS) is None


@given(st.binary(max_size=60), st.sampled_from([request()[:20], solicitation()[:54], solicitation()[:20]]))
def test_no_octets_are_too_strange(data, start):
    arpnd.answer(start + data, OWNER_OCTETS)
