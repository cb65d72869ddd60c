"""Two nodes behave like the two ends of a cable with a switch between: whatever Ethernet carries passes unchanged."""

import json
import socket
import struct

import pytest

from rhp.lab.frames import (
    BROADCAST,
    ETH_P_ARP,
    ETH_P_EXPERIMENT,
    FrameSocket,
    ethernet,
    mac,
    multicast_mac,
    tagged,
)
from rhp.lab.pair import CONNECTION, IDENTITIES, TAP
from rhp.lab.ping import ping, reaches

pytestmark = pytest.mark.netns


@pytest.fixture
def taps(pair):
    with FrameSocket(pair.a.namespace, TAP) as near, FrameSocket(pair.b.namespace, TAP) as far:
        yield near, far


def neighbour(namespace, address):
    for entry in json.loads(namespace.run(["ip", "-j", "neigh", "show", "dev", TAP, "to", address])):
        return entry.get("lladdr")
    return None


def carried(taps, frame):
    near, far = taps
    near.send(frame)
    return far.expect(lambda seen: seen == frame) == frame


def test_ping_both_ways(pair):
    assert ping(pair.a.namespace, pair.inner[1], count=5).received == 5
    assert ping(pair.b.namespace, pair.inner[0], count=5).received == 5


def test_ping6_both_ways(pair):
    assert reaches(pair.a.namespace, pair.inner6[1])
    assert ping(pair.a.namespace, pair.inner6[1], count=5).received == 5
    assert ping(pair.b.namespace, pair.inner6[0], count=5).received == 5


def test_arp_and_neighbour_discovery_find_the_real_addresses(pair, taps):
    a = pair.a.namespace
    a.run(["ip", "neigh", "flush", "dev", TAP])
    assert reaches(a, pair.inner[1])
    assert reaches(a, pair.inner6[1])
    theirs = ":".join(f"{octet:02x}" for octet in taps[1].mac)
    assert neighbour(a, pair.inner[1]) == theirs
    assert neighbour(a, pair.inner6[1]) == theirs


def test_link_local_addresses_reach_each_other(pair):
    listed = json.loads(pair.b.namespace.run(["ip", "-j", "-6", "address", "show", "dev", TAP, "scope", "link"]))
    address = next(entry["local"] for one in listed for entry in one.get("addr_info", []) if "local" in entry)
    assert reaches(pair.a.namespace, f"{address}%{TAP}")


def test_arp_for_nobody_gets_no_answer(pair):
    assert ping(pair.a.namespace, "10.77.0.99", count=1, wait=0.5).received == 0


@pytest.mark.parametrize("size", [0, 1, 46, 47, 100, 1000, 1400])
def test_broadcast_arrives_unchanged(taps, size):
    body = bytes(index % 251 for index in range(size))
    assert carried(taps, ethernet(BROADCAST, taps[0].mac, ETH_P_EXPERIMENT, body))


def test_broadcast_comes_once_and_does_not_come_back(taps):
    near, far = taps
    frame = ethernet(BROADCAST, near.mac, ETH_P_EXPERIMENT, b"only once")
    near.send(frame)
    far.expect(lambda seen: seen == frame)
    assert frame not in list(far.incoming(0.3))
    assert frame not in list(near.incoming(0.2))


def test_multicast_frames(taps):
    assert carried(taps, ethernet(multicast_mac("239.1.2.3"), taps[0].mac, ETH_P_EXPERIMENT, b"IPv4 group"))
    assert carried(taps, ethernet(mac("33:33:00:01:00:02"), taps[0].mac, ETH_P_EXPERIMENT, b"IPv6 group"))
    assert carried(taps, ethernet(mac("01:80:c2:00:00:0e"), taps[0].mac, 0x88CC, b"LLDP"))


def test_multicast_between_programs(pair):
    group = "239.1.2.3"
    receiver = pair.b.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender = pair.a.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, sender:
        membership = struct.pack("4s4s", socket.inet_aton(group), socket.inet_aton(pair.inner[1]))
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        receiver.bind((group, 5007))
        receiver.settimeout(20)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(pair.inner[0]))
        sender.sendto(b"to the group", (group, 5007))
        assert receiver.recvfrom(100)[0] == b"to the group"


@pytest.mark.parametrize("vlan", [1, 42, 4094])
def test_vlan_tags_pass(taps, vlan):
    near, far = taps
    assert carried(taps, tagged(BROADCAST, near.mac, vlan, ETH_P_EXPERIMENT, b"to all in the VLAN"))
    assert carried(taps, tagged(far.mac, near.mac, vlan, ETH_P_EXPERIMENT, b"to one in the VLAN"))


def test_vlan_priority_and_stacked_tags_pass(taps):
    near, far = taps
    assert carried(taps, tagged(far.mac, near.mac, 0xE02A, ETH_P_EXPERIMENT, b"priority 7"))
    inner = struct.pack("!HHH", 7, 0x8100, 8) + struct.pack("!H", ETH_P_EXPERIMENT) + b"two tags"
    assert carried(taps, ethernet(far.mac, near.mac, 0x88A8, inner))


def test_unknown_unicast_is_flooded(taps):
    assert carried(taps, ethernet(mac("02:00:00:00:77:77"), taps[0].mac, ETH_P_EXPERIMENT, b"to nobody known"))


def test_frames_of_a_station_behind_the_tap_are_learned(pair, taps):
    near, far = taps
    station = mac("02:00:00:00:00:55")
    near.send(ethernet(BROADCAST, station, ETH_P_EXPERIMENT, b"here I am"))
    far.expect(lambda frame: b"here I am" in frame)
    learned = {entry["mac"]: entry for entry in pair.b.status()["macs"]}
    assert "02:00:00:00:00:55" in learned


def test_gratuitous_arp_passes(taps):
    near, _ = taps
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + near.mac + socket.inet_aton("10.77.0.1")
    frame = ethernet(BROADCAST, near.mac, ETH_P_ARP, body + bytes(6) + socket.inet_aton("10.77.0.1"))
    assert carried(taps, frame)


def test_short_and_odd_frames_do_no_harm(pair, taps):
    near, _ = taps
    for length in range(14, 60):
        near.send((near.mac + near.mac + b"\x88\xb5" + bytes(60))[:length])
        near.send((BROADCAST + near.mac + b"\x81\x00\x00\x01\x81\x00" + bytes(60))[:length])
        near.send((BROADCAST + near.mac + b"\x08\x00" + b"\x45" + bytes(60))[:length])
        near.send((BROADCAST + near.mac + b"\x86\xdd" + b"\x60" + bytes(60))[:length])
        near.send((BROADCAST + near.mac + b"\x08\x06" + bytes(60))[:length])
    assert ping(pair.a.namespace, pair.inner[1], count=3).received == 3


def test_status_tells_the_truth(pair):
    for node, peer in ((pair.a, IDENTITIES[1]), (pair.b, IDENTITIES[0])):
        report = node.status()
        assert (report["guard_pid"], report["pid"]) == (node.process.pid, node.pid)
        assert report["interface"]["name"] == TAP
        entry = node.connection(CONNECTION)
        assert (entry["state"], entry["peer"]) == ("established", peer)
        assert entry["children"][0]["mode"] == "ethernet"
        assert entry["children"][0]["packets_in"] > 0
        assert entry["children"][0]["packets_out"] > 0
        assert entry["established_ms"] > 0
    ours, theirs = (node.connection(CONNECTION)["children"][0] for node in (pair.a, pair.b))
    assert (ours["spi_in"], ours["spi_out"]) == (theirs["spi_out"], theirs["spi_in"])
