"""What flows through arrives whole: TCP both ways in both IP versions, datagrams at the edges of the MTU."""

import socket

import pytest

from rhp.lab.frames import BROADCAST, ETH_P_EXPERIMENT, FrameSocket, tagged
from rhp.lab.iperf3 import Iperf3
from rhp.lab.lab import Lab
from rhp.lab.pair import TAP, PairOptions, start_pair
from rhp.lab.ping import ping, reaches
from rhp.lab.topology import cable
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

MEGABYTE = 1_000_000


def mtu(node):
    return int(node.status()["interface"]["mtu"])


def fragments_made(namespace):
    """How many IPv4 fragments this namespace's kernel has made."""
    lines = namespace.run(["cat", "/proc/net/snmp"]).splitlines()
    names, values = (line.split() for line in lines if line.startswith("Ip:"))
    return int(dict(zip(names, values, strict=True))["FragCreates"])


def test_tcp_arrives_whole_both_ways(pair):
    a, b = pair.a.namespace, pair.b.namespace
    assert Transfer(a, b, pair.inner[1]).run(40 * MEGABYTE)
    assert Transfer(b, a, pair.inner[0]).run(40 * MEGABYTE, seed=b"back")


def test_tcp_over_ipv6_arrives_whole(pair):
    assert reaches(pair.a.namespace, pair.inner6[1])
    assert Transfer(pair.a.namespace, pair.b.namespace, pair.inner6[1]).run(20 * MEGABYTE)


def test_iperf3_moves_data(pair, tmp_path):
    with Iperf3(pair.a.namespace, pair.b.namespace, pair.inner[1], tmp_path / "iperf3.log") as iperf3:
        assert iperf3.tcp(1).gbps > 0.01
        assert iperf3.tcp(1, streams=4).gbps > 0.01
        assert iperf3.udp(1, size=64).kpps > 0.1


def test_udp_of_every_size_arrives_whole(pair):
    receiver = pair.b.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender = pair.a.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind((pair.inner[1], 0))
        receiver.settimeout(20)
        for size in (0, 1, 2, 17, 18, 19, 500, 1389, 1390, 1391, 1400, 1472, 1473, 4000, 9000, 60000):
            body = bytes(index % 251 for index in range(size))
            sender.sendto(body, receiver.getsockname())
            assert receiver.recv(65536) == body


def test_full_frames_pass_without_outer_fragments(pair):
    a = pair.a.namespace
    largest = mtu(pair.a) - 28
    before = fragments_made(a)
    answered = ping(a, pair.inner[1], count=3, size=largest, fragment=False)
    assert answered.received == 3
    assert ping(a, pair.inner[1], count=1, size=largest + 1, fragment=False, wait=0.3).received == 0
    assert fragments_made(a) == before


def test_the_automatic_mtu_wastes_little(pair):
    assert 1380 <= mtu(pair.a) <= 1430


def test_a_full_frame_with_a_vlan_tag_still_passes(pair):
    """A tag makes a full frame four octets longer; the cable is made for it, as real ones are."""
    with FrameSocket(pair.a.namespace, TAP) as near, FrameSocket(pair.b.namespace, TAP) as far:
        body = bytes(index % 251 for index in range(mtu(pair.a)))
        frame = tagged(BROADCAST, near.mac, 42, ETH_P_EXPERIMENT, body)
        near.send(frame)
        assert far.expect(lambda seen: seen == frame) == frame


@pytest.mark.parametrize(("outer_mtu", "inner_mtu"), [(9000, 8900), (1500, 1500), (1280, 1500)])
def test_any_mtu_inside_and_outside(outer_mtu, inner_mtu):
    """Jumbo frames where the network carries them; where it does not, the outer packets are fragmented."""
    with Lab() as lab:
        options = PairOptions(interface={"mtu": inner_mtu})
        nodes = start_pair(lab, cable(lab, mtu=outer_mtu), options)
        nodes.wait_established()
        a = nodes.a.namespace
        assert ping(a, nodes.inner[1], count=3, size=inner_mtu - 28, fragment=False).received == 3
        assert Transfer(a, nodes.b.namespace, nodes.inner[1]).run(5 * MEGABYTE)


def test_over_ipv6_outside():
    with Lab() as lab:
        nodes = start_pair(lab, cable(lab), PairOptions(version=6))
        nodes.wait_established()
        assert ping(nodes.a.namespace, nodes.inner[1], count=3).received == 3
        assert ping(nodes.a.namespace, nodes.inner[1], count=2, size=mtu(nodes.a) - 28, fragment=False).received == 2
        assert Transfer(nodes.b.namespace, nodes.a.namespace, nodes.inner[0]).run(5 * MEGABYTE)


@pytest.mark.parametrize("version", [4, 6])
def test_over_raw_esp_outside(version):
    with Lab() as lab:
        nodes = start_pair(lab, cable(lab), PairOptions(version=version, connection={"encapsulation": "auto"}))
        nodes.wait_established()
        assert ping(nodes.a.namespace, nodes.inner[1], count=3).received == 3
        assert Transfer(nodes.a.namespace, nodes.b.namespace, nodes.inner[1]).run(5 * MEGABYTE)
