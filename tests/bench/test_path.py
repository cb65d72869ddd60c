"""The path's benchmark feeds what a TAP would, and everything that goes in comes out at the other end."""

import socket

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from bench.path.rig import Rig, station
from bench.path.traffic import SEGMENT, SEGMENTS, opposite, tcp, udp

VNET = 10


def parsed(frame):
    return Ether(frame[VNET:])


def test_a_super_frame_is_what_a_tap_hands_over():
    first, second = tcp([station(1)], 2).frames
    assert first[:2] == b"\x01\x01"
    assert int.from_bytes(first[2:4], "little") == 14 + 20 + 32
    one, two = parsed(first), parsed(second)
    assert (one.dst, one.src) == ("02:01:00:00:00:01", "02:02:00:00:00:01")
    assert two[TCP].seq - one[TCP].seq == SEGMENT * SEGMENTS == len(bytes(one[TCP].payload))
    assert two[IP].id - one[IP].id == SEGMENTS
    checksum = one[IP].chksum
    del one[IP].chksum
    assert IP(bytes(one[IP])).chksum == checksum


def test_turns_are_taken():
    macs = [station(1), station(2)]
    assert [frame[VNET : VNET + 6] for frame in udp(macs, 4).frames] == macs * 2
    assert [parsed(frame)[TCP].seq for frame in tcp(macs, 4).frames] == [0, 0, SEGMENT * SEGMENTS, SEGMENT * SEGMENTS]
    assert opposite(opposite(station(7))) == station(7) != opposite(station(7))


def test_small_datagrams_are_whole():
    datagram = parsed(udp([station(3)], 1).frames[0])
    assert datagram[UDP].len == 8 + 64
    assert datagram[IP].len == 20 + 8 + 64


@pytest.mark.netns
@pytest.mark.parametrize(("lanes", "peers"), [(1, 1), (1, 5), (2, 4)])
def test_everything_arrives(lanes, peers):
    with Rig(lanes, peers) as rig:
        assert sum(map(len, rig.macs)) == peers
        for traffic in ([tcp(macs, 12) for macs in rig.macs], [udp(macs, 100) for macs in rig.macs]):
            for run in rig.run(traffic):
                assert run.seconds > 0
                assert run.cpu_seconds > 0
        back = [udp([opposite(mac) for mac in macs], 60) for macs in rig.macs]
        rig.run(back, back=True)
        seen = rig.far.plane.counters(), rig.near.plane.counters()
    assert seen[0]["esp-packets-in"] == lanes * (12 * SEGMENTS + 100)
    assert seen[1]["esp-packets-in"] == lanes * 60
    assert not {name: value for one in seen for name, value in one.items() if name.startswith("drop-") and value}
    assert not any(one["frames-flooded"] for one in seen)


@pytest.mark.netns
def test_what_comes_out_is_what_went_in():
    with Rig(1, 1) as rig:
        sent = udp(rig.macs[0], 3).frames
        for frame in sent:
            rig.near.hosts[0].send(frame)
        rig.near.work("esp-packets-out", 3, "last_out_ns")
        rig.far.work("esp-packets-in", 3, "last_in_ns")
        rig.far.hosts[0].settimeout(30)
        assert [rig.far.hosts[0].recv(2000, socket.MSG_TRUNC)[VNET:] for _ in sent] == [one[VNET:] for one in sent]
