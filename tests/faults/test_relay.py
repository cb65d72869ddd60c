"""The relay itself: the same fate in every run, shares that are kept, and packets that stay what a network may make."""

from functools import cache

import pytest
from scapy.layers.inet import ICMP, IP, UDP, in4_chksum
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6, in6_chksum
from scapy.layers.l2 import ARP, Ether
from scapy.utils import checksum

from rhp.lab.faults import Count, Faults, Line
from rhp.lab.outerpacket import damaged, locate, too_big
from rhp.lab.ping import ping
from rhp.lab.relay import relayed

HOSTS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
IP4 = {"src": "192.0.2.1", "dst": "192.0.2.2"}
IP6 = {"src": "2001:db8::1", "dst": "2001:db8::2"}


@cache
def headers(size, version, protocol):
    """Everything in front of a packet's body of `size` octets; scapy takes a millisecond for it."""
    network = IP(**IP4, proto=protocol) if version == 4 else IPv6(**IP6, nh=protocol)
    start = Ether(**HOSTS) / network / UDP(sport=4500, dport=4500) if protocol == 17 else Ether(**HOSTS) / network
    return bytes(start / bytes(size))[:-size]


def packet(number, size=100, version=4, protocol=17):
    """A tunnel's packet that carries its number."""
    return headers(size, version, protocol) + number.to_bytes(4, "big") * (size // 4) + b"odd"[: size % 4]


def udp_sum(frame, version):
    """The sum over a UDP datagram with its pseudo-header, its checksum included: what a mended damage leaves alone."""
    network = Ether(frame)[1]
    data = frame[34 if version == 4 else 54 :]
    return in4_chksum(17, network, data) if version == 4 else in6_chksum(17, network, data)


def through(faults, frames, name="there", gap=0.0001):
    """What comes out of a line for frames that go in one after the other, the answers, and the counters."""
    counters = [0] * len(Count)
    line, out, answers, now = Line(name, faults, counters), [], [], 0.0
    for frame in frames:
        answers.append(line.take(frame, now))
        out += line.ready(now)
        now += gap
    while (due := line.next_due()) is not None:
        out += line.ready(due)
    return out, [answer for answer in answers if answer], counters


def test_without_faults_everything_passes_in_order():
    frames = [packet(number) for number in range(100)]
    assert through(Faults(), frames)[0] == frames


def test_the_same_seed_is_the_same_fate_and_one_more_fault_moves_no_other():
    frames = [packet(number) for number in range(3000)]
    faults = {"loss": 0.05, "duplicate": 0.03}
    first = through(Faults(**faults), frames)[0]
    assert through(Faults(**faults), frames)[0] == first
    assert through(Faults(**faults, seed=2), frames)[0] != first
    assert through(Faults(**faults), frames, name="back")[0] != first
    assert sorted(through(Faults(**faults, reorder=0.1), frames)[0]) == sorted(first)


def test_shares_are_kept():
    frames = [packet(number) for number in range(20_000)]
    out, _, counters = through(Faults(loss=0.05, duplicate=0.04, corrupt=0.03, reorder=0.02), frames)
    assert counters[Count.SEEN] == len(frames)
    assert counters[Count.PASSED] == len(out) == len(frames) - counters[Count.LOST] + counters[Count.DUPLICATED]
    for what, share in ((Count.LOST, 0.05), (Count.DUPLICATED, 0.04), (Count.CORRUPTED, 0.03), (Count.REORDERED, 0.02)):
        assert 0.8 * share < counters[what] / len(frames) < 1.2 * share


def test_a_reordered_packet_is_overtaken_by_as_many_as_was_said():
    frames = [packet(number) for number in range(3000)]
    out, _, counters = through(Faults(reorder=0.01, distance=5), frames)
    late = [place - frames.index(frame) for place, frame in enumerate(out)]
    assert sorted(out) == sorted(frames)
    assert sum(shift > 0 for shift in late) == pytest.approx(counters[Count.REORDERED], rel=0.2)
    assert 4 <= max(late) <= 5


def test_a_reordered_packet_that_nobody_overtakes_comes_all_the_same():
    line = Line("there", Faults(reorder=1.0), [0] * len(Count))
    line.take(packet(1), 0.0)
    assert list(line.ready(0.001)) == []
    assert list(line.ready(line.next_due())) == [packet(1)]
    assert line.next_due() is None


def test_delay_is_kept():
    line = Line("there", Faults(delay=0.01), [0] * len(Count))
    line.take(packet(1), 5.0)
    assert list(line.ready(5.009)) == []
    assert line.next_due() == pytest.approx(5.01)
    assert list(line.ready(5.01)) == [packet(1)]


def test_what_is_no_tunnels_passes_untouched():
    frame = bytes(Ether(**HOSTS) / ARP())
    other = bytes(Ether(**HOSTS) / IP(**IP4) / ICMP())
    out, _, counters = through(Faults(loss=1.0), [frame, other, packet(1)])
    assert out == [frame, other]
    assert counters[Count.SEEN] == 1


@pytest.mark.parametrize("protocol", [17, 50])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [40, 41, 1001])
def test_one_bit_is_damaged_and_the_checksum_is_right(version, protocol, size):
    frame = packet(7, size, version, protocol)
    found = locate(frame)
    for bit in range(0, size * 8, 13):
        broken = damaged(frame, found, bit)
        assert len(broken) == len(frame)
        body = zip(frame[found.body :], broken[found.body :], strict=True)
        assert sum((one ^ other).bit_count() for one, other in body) == 1
        if protocol == 17:
            assert udp_sum(broken, version) == udp_sum(frame, version)


@pytest.mark.parametrize("version", [4, 6])
def test_too_long_is_dropped_and_answered(version):
    frames = [packet(1, 1000, version), packet(2, 1400, version)]
    assert through(Faults(mtu=1200), frames)[:2] == ([frames[0]], [])
    out, answers, counters = through(Faults(mtu=1200, answer=True), frames)
    assert out == [frames[0]]
    assert counters[Count.TOO_LONG] == 1
    assert answers == [too_big(frames[1], locate(frames[1]), 1200)]
    answer = Ether(answers[0])
    assert (answer.src, answer.dst) == (HOSTS["dst"], HOSTS["src"])
    message = answer[ICMP] if version == 4 else answer[ICMPv6PacketTooBig]
    assert (message.nexthopmtu if version == 4 else message.mtu) == 1200
    if version == 4:
        assert checksum(bytes(answer[IP])[:20]) == checksum(bytes(message)) == 0
    else:
        assert in6_chksum(58, answer[IPv6], answers[0][54:]) == 0


@pytest.mark.netns
def test_pings_pass_the_relay_both_ways_in_both_ip_versions(lab):
    net = relayed(lab)
    for host, addresses in ((net.a, ("192.0.2.2", "2001:db8::2")), (net.b, ("192.0.2.1", "2001:db8::1"))):
        for address in addresses:
            assert ping(host, address, count=3).received == 3


@pytest.mark.netns
def test_trains_are_cut_before_they_meet_a_fault(lab):
    net = relayed(lab)
    with net.a.socket(2, 2) as sender, net.b.socket(2, 2) as receiver:
        receiver.bind(("192.0.2.2", 0))
        receiver.settimeout(20)
        # UDP_SEGMENT (103) at the level of UDP (17): one call, ten datagrams.
        sender.sendmsg([bytes(range(250)) * 40], [(17, 103, (1000).to_bytes(2, "little"))], 0, receiver.getsockname())
        assert [len(receiver.recv(20_000)) for _ in range(10)] == [1000] * 10
    assert net.relay.count(Count.SEEN) == 10
    assert net.relay.longest() == 1028
