"""Several peers on one node: frames go from peer to peer without its TAP, unless it keeps them apart."""

import pytest

from rhp.lab.frames import BROADCAST, ETH_P_EXPERIMENT, FrameSocket, ethernet, mac
from rhp.lab.lab import Lab
from rhp.lab.nodeconf import psk
from rhp.lab.pair import SECRET, TAP
from rhp.lab.ping import ping, reaches
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import outer, switch
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

HUB = "hub.example.org"
SPOKES = ("b", "c")
STATION = "02:00:00:00:00:77"


def hub(**settings):
    spokes = {name: psk(HUB, f"{name}.example.org", SECRET) for name in SPOKES}
    return {"interface": {"addresses": ["10.77.0.1/24", "fd77::1/64"]}, "connections": spokes, "hub": settings}


def spoke(name, number):
    up = {**psk(f"{name}.example.org", HUB, SECRET), "remote_addrs": [outer(1)]}
    addresses = [f"10.77.0.{number}/24", f"fd77::{number}/64"]
    return {"interface": {"addresses": addresses}, "connections": {"up": up}}


def star(lab, **settings):
    hosts = switch(lab, ("a", *SPOKES))
    nodes = [lab.keep(RhpNode(hosts[0], lab.path("a"), hub(**settings)))]
    for number, (name, host) in enumerate(zip(SPOKES, hosts[1:], strict=True), 2):
        nodes.append(lab.keep(RhpNode(host, lab.path(name), spoke(name, number))))
    for node in nodes[1:]:
        node.wait_established("up")
    return nodes


@pytest.fixture(scope="module")
def nodes():
    with Lab() as lab:
        yield star(lab, static=[])


def test_everybody_reaches_everybody(nodes):
    for node in nodes:
        for number in (1, 2, 3):
            assert reaches(node.namespace, f"10.77.0.{number}")
            assert reaches(node.namespace, f"fd77::{number}")


def test_peer_to_peer_goes_round_the_hubs_tap(nodes):
    a, b, c = nodes
    assert reaches(b.namespace, "10.77.0.3")
    with FrameSocket(a.namespace, TAP) as at_hub:
        assert Transfer(b.namespace, c.namespace, "10.77.0.3").run(3_000_000)
        seen = [frame for frame in at_hub.incoming(0.3) if b"\x0a\x4d\x00\x03" in frame[26:34]]
    assert len(seen) < 10


def test_broadcast_reaches_each_other_peer_once(nodes):
    a, b, c = nodes
    with (
        FrameSocket(a.namespace, TAP) as at_a,
        FrameSocket(b.namespace, TAP) as at_b,
        FrameSocket(c.namespace, TAP) as at_c,
    ):
        frame = ethernet(BROADCAST, at_b.mac, ETH_P_EXPERIMENT, b"from b to all")
        at_b.send(frame)
        for other in (at_a, at_c):
            other.expect(lambda seen: seen == frame)
            assert frame not in list(other.incoming(0.2))
        assert frame not in list(at_b.incoming(0.1))


def test_a_station_that_moves_is_found_again(nodes):
    a, b, c = nodes
    station = mac(STATION)
    with (
        FrameSocket(a.namespace, TAP) as at_a,
        FrameSocket(b.namespace, TAP) as at_b,
        FrameSocket(c.namespace, TAP) as at_c,
    ):
        for home, away in ((at_b, at_c), (at_c, at_b)):
            home.send(ethernet(BROADCAST, station, ETH_P_EXPERIMENT, b"I live here now"))
            away.expect(lambda frame: b"I live here now" in frame)
            letter = ethernet(station, at_a.mac, ETH_P_EXPERIMENT, b"a letter")
            at_a.send(letter)
            assert home.expect(lambda frame, letter=letter: frame == letter)
            assert letter not in list(away.incoming(0.2))


def test_one_peer_leaving_leaves_the_other(nodes):
    a, b, c = nodes
    b.stop()
    assert ping(c.namespace, "10.77.0.1", count=3).received == 3
    b.start()
    b.wait_established("up")
    assert reaches(c.namespace, "10.77.0.2")
    assert reaches(b.namespace, "10.77.0.3")
    assert a.process.status is None


def test_isolated_peers_reach_the_hub_only():
    with Lab() as lab:
        a, b, c = star(lab, isolate=True)
        assert reaches(b.namespace, "10.77.0.1")
        assert reaches(c.namespace, "10.77.0.1")
        assert ping(b.namespace, "10.77.0.3", count=2, wait=0.3).received == 0
        with FrameSocket(b.namespace, TAP) as at_b, FrameSocket(c.namespace, TAP) as at_c:
            frame = ethernet(BROADCAST, at_b.mac, ETH_P_EXPERIMENT, b"hidden")
            at_b.send(frame)
            assert frame not in list(at_c.incoming(0.4))
        assert a.process.status is None


def test_static_entries_pin_a_station_to_its_peer():
    with Lab() as lab:
        a, b, c = star(lab, static=[{"mac": STATION, "connection": "b"}])
        with (
            FrameSocket(a.namespace, TAP) as at_a,
            FrameSocket(b.namespace, TAP) as at_b,
            FrameSocket(c.namespace, TAP) as at_c,
        ):
            at_c.send(ethernet(BROADCAST, mac(STATION), ETH_P_EXPERIMENT, b"I claim it"))
            list(at_a.incoming(0.2))
            letter = ethernet(mac(STATION), at_a.mac, ETH_P_EXPERIMENT, b"a letter")
            at_a.send(letter)
            assert at_b.expect(lambda frame: frame == letter)
            assert letter not in list(at_c.incoming(0.2))
