"""What routers say of long packets: read from scapy's octets, cut short, forged, and heard on a real socket."""

import asyncio
import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw

from rhp.net.icmp import READS_PER_WAKEUP, IcmpSocket, TooBig, read_icmp, read_icmp6

NATT = 4500
SPI = 0x0BADCAFE
ESP = Raw(SPI.to_bytes(4, "big") + (7).to_bytes(4, "big") + bytes(100))
ROUTER = IP(src="198.51.100.1", dst="192.0.2.1")


def four(inside=None, *, mtu=1400, kind=3, code=4, length=1500, head=None):
    quote = IP(**{"src": "192.0.2.1", "dst": "192.0.2.2", "len": length, **(head or {})}) / (
        inside if inside is not None else UDP(sport=NATT, dport=NATT) / ESP
    )
    return bytes(ROUTER / ICMP(type=kind, code=code, nexthopmtu=mtu) / quote)


def six(inside=None, *, mtu=1400, length=1460, nh=17):
    quote = IPv6(src="2001:db8::1", dst="2001:db8::2", plen=length, nh=nh) / (
        inside if inside is not None else UDP(sport=NATT, dport=NATT) / ESP
    )
    return bytes(ICMPv6PacketTooBig(mtu=mtu) / quote)


def test_esp_in_udp_and_by_itself():
    assert read_icmp(four(), NATT) == TooBig(ip_address("192.0.2.2"), SPI, 1500, 1400)
    assert read_icmp(four(ESP, head={"proto": 50}), NATT) == TooBig(ip_address("192.0.2.2"), SPI, 1500, 1400)
    assert read_icmp6(six(), NATT) == TooBig(ip_address("2001:db8::2"), SPI, 1500, 1400)
    assert read_icmp6(six(ESP, nh=50), NATT) == TooBig(ip_address("2001:db8::2"), SPI, 1500, 1400)


def test_options_and_a_first_fragment_are_stepped_over():
    assert read_icmp(four(head={"options": b"\x01" * 8}), NATT).spi == SPI
    first = IPv6ExtHdrFragment(nh=17, m=1, offset=0) / UDP(sport=NATT, dport=NATT) / ESP
    assert read_icmp6(six(first, nh=44), NATT).spi == SPI
    later = IPv6ExtHdrFragment(nh=17, m=1, offset=5) / UDP(sport=NATT, dport=NATT) / ESP
    assert read_icmp6(six(later, nh=44), NATT) is None


def test_a_router_that_names_no_mtu_means_the_next_plateau():
    """RFC 1191 section 7.1."""
    assert read_icmp(four(mtu=0, length=1500), NATT).mtu == 1492
    assert read_icmp(four(mtu=0, length=1492), NATT).mtu == 1006
    assert read_icmp(four(mtu=0, length=68), NATT) is None


@pytest.mark.parametrize(
    "packet",
    [
        four(kind=3, code=3),
        four(kind=11, code=0),
        four(mtu=1500),
        four(mtu=9000),
        four(UDP(sport=NATT + 1, dport=NATT) / ESP),
        four(UDP(sport=NATT, dport=NATT) / Raw(bytes(4) + ESP.load)),
        four(UDP(sport=NATT, dport=NATT)),
        four(UDP(sport=NATT, dport=NATT) / Raw(b"\xff")),
        four(head={"frag": 10}),
        four(head={"proto": 6}),
        four(head={"ihl": 4}),
        four(head={"ihl": 15}),
    ],
)
def test_what_is_of_no_use(packet):
    assert read_icmp(packet, NATT) is None


def test_what_is_of_no_use_over_ipv6():
    expired = bytes(ICMPv6TimeExceeded() / IPv6() / UDP(sport=NATT) / ESP)
    for message in (expired, six(mtu=1500), six(mtu=0), six(UDP(sport=500) / ESP), six(nh=6)):
        assert read_icmp6(message, NATT) is None


def test_a_message_that_was_cut_is_none_or_right():
    for whole, read in ((four(), read_icmp), (six(), read_icmp6)):
        right = read(whole, NATT)
        seen = [read(whole[:length], NATT) for length in range(len(whole))]
        assert set(seen) == {None, right}
        # It becomes right with the last octet of the SPI, and not before.
        assert seen.index(right) == len(whole) - len(ESP.load) + 4


@given(st.binary(max_size=200))
def test_octets_of_any_kind_do_no_harm(data):
    for read, whole in ((read_icmp, four()), (read_icmp6, six())):
        for octets in (data, whole[:28] + data, whole[:8] + data):
            found = read(octets, NATT)
            assert found is None or 0 < found.mtu < found.length <= 65575


def test_the_socket_delivers_counts_and_rests():
    async def body():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        heard = []
        edge = IcmpSocket(ours.detach(), NATT)
        with theirs:
            edge.listen(asyncio.get_running_loop(), heard.append)
            theirs.send(four())
            theirs.send(four(kind=11))
            await asyncio.sleep(0.01)
            assert [one.spi for one in heard] == [SPI]
            assert dict(edge.counters) == {"too-big": 1, "of-no-use": 1}
            theirs.setblocking(False)
            try:
                for _ in range(1000):
                    theirs.send(four())
            except BlockingIOError:
                pass
            await asyncio.sleep(0.01)
            # One wake-up's worth; the rest waits, or is lost in the kernel.
            assert len(heard) == 1 + READS_PER_WAKEUP
            async with asyncio.timeout(30):
                while len(heard) == 1 + READS_PER_WAKEUP:
                    await asyncio.sleep(0.01)
            edge.close()
            edge.close()
            before = len(heard)
            await asyncio.sleep(0.15)
            assert len(heard) == before

    asyncio.run(body())
