"""The clamp changes the MSS of SYNs and their checksum, and nothing else anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether

from rhp._fast.mss import clamp

ETHER = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
V4 = IP(src="192.0.2.1", dst="192.0.2.2")
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
MSS = [("MSS", 1460)]


def mss_of(data):
    return dict(Ether(data)[TCP].options)["MSS"]


def adds_up(data):
    """Whether the TCP checksum is right."""
    copy = Ether(data)
    carried = copy[TCP].chksum
    del copy[TCP].chksum
    return Ether(bytes(copy))[TCP].chksum == carried


@pytest.mark.parametrize("flags", ["S", "SA", "SE"])
@pytest.mark.parametrize(
    ("network", "expected"),
    [(V4, 1300), (V6, 1280), (Dot1Q(vlan=7) / V4, 1300), (Dot1Q(vlan=7) / Dot1Q(vlan=8) / V6, 1280)],
    ids=["v4", "v6", "vlan", "two-tags"],
)
def test_a_syn_is_lowered(network, expected, flags):
    changed = clamp(bytes(ETHER / network / TCP(flags=flags, options=MSS)), 1300)
    assert mss_of(changed) == expected
    assert adds_up(changed)


@pytest.mark.parametrize("before", [("NOP", None), ("WScale", 7), ("Timestamp", (1, 2))], ids=lambda option: option[0])
def test_the_option_may_stand_anywhere(before):
    changed = clamp(bytes(ETHER / V4 / TCP(flags="S", options=[before, *MSS, ("SAckOK", b"")])), 536)
    assert mss_of(changed) == 536
    assert adds_up(changed)


def test_options_and_extension_headers_of_ip_are_stepped_over():
    for network, expected in ((IP(options=b"\x01" * 8), 1300), (V6 / IPv6ExtHdrDestOpt(), 1280)):
        changed = clamp(bytes(ETHER / network / TCP(flags="S", options=MSS)), 1300)
        assert mss_of(changed) == expected


@pytest.mark.parametrize(
    "packet",
    [
        V4 / TCP(flags="A", options=MSS),
        V4 / TCP(flags="S", options=[("MSS", 1300)]),
        V4 / TCP(flags="S", options=[("MSS", 500)]),
        V4 / TCP(flags="S"),
        V4 / TCP(flags="S", options=[("EOL", None), ("MSS", 1460)]),
        V4 / UDP() / (b"\x02" * 40),
        IP(frag=100) / TCP(flags="S", options=MSS),
        V6 / IPv6ExtHdrFragment(offset=100, nh=6) / bytes(TCP(flags="S", options=MSS)),
        V4 / TCP(flags="S", dataofs=15, options=MSS),
        V4 / TCP(flags="S", dataofs=4, options=MSS),
        V4 / bytes.fromhex("0001000200000000000000008002000000000000 0303 0200 0204 05b4"),
        V4 / bytes.fromhex("00010002000000000000000070020000000000000209 05b401010101"),
        V4 / bytes.fromhex("0001000200000000000000006002000000000000020305b4"),
        V4 / bytes.fromhex("0001000200000000000000006002000000000000020005b4"),
    ],
)
def test_everything_else_stays_as_it_is(packet):
    data = bytes(ETHER / packet)
    assert clamp(data, 1300) == data


def test_every_truncation_of_a_syn_is_harmless():
    data = bytes(ETHER / V4 / TCP(flags="S", options=[("NOP", None), *MSS]))
    for size in range(len(data)):
        assert clamp(data[:size], 1300) == data[:size]


@given(st.binary(max_size=100), st.sampled_from([bytes(V4)[:10], bytes(V6)[:8]]), st.integers(1, 65535))
def test_no_octets_are_too_strange(data, start, limit):
    kind = b"\x08\x00" if start[0] >> 4 == 4 else b"\x86\xdd"
    before = bytes(12) + kind + start + data
    after = clamp(before, limit)
    assert len(after) == len(before)
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 4


@pytest.mark.parametrize("limit", [0, -1, 65536])
def test_a_limit_out_of_range_is_refused(limit):
    with pytest.raises(ValueError, match="MSS"):
        clamp(b"", limit)
