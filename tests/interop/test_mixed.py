"""An Ethernet peer and a strongSwan on one node: the hub answers for strongSwan, so both talk as if on one wire."""

import json

import pytest

from rhp.lab.lab import Lab
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import INNER, SECRET, TAP, PairOptions, configuration
from rhp.lab.ping import ping, reaches
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import outer, switch
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.interop

GUEST, GUEST6 = "10.77.0.200", "fd77::200"
NET, NET6 = "10.77.0.0/24", "fd77::/64"


@pytest.fixture(scope="module")
def world():
    """strongSwan's inner addresses lie inside the Ethernet's own networks."""
    with Lab() as lab:
        a, b, s = switch(lab, ("a", "b", "s"))
        s.address("lo", f"{GUEST}/32", f"{GUEST6}/128")
        child = SwanChild("lan", (f"{GUEST}/32", f"{GUEST6}/128"), (NET, NET6))
        ends = SwanAuth("s.example.org"), SwanAuth("a.example.org")
        guest = SwanConnection("rhp", outer(3), outer(1), *ends, (child,), psk=SECRET)
        swan = lab.keep(StrongSwan(s, lab.path("swan"), [guest]))
        lan = tunnel([NET, NET6], [f"{GUEST}/32", f"{GUEST6}/128"])
        accepts = {**psk("a.example.org", "s.example.org", SECRET), "children": {"lan": lan}}
        near = lab.keep(RhpNode(a, lab.path("a"), configuration(1, PairOptions(), {"guest": accepts})))
        far = lab.keep(RhpNode(b, lab.path("b"), configuration(2, PairOptions())))
        swan.initiate("lan")
        near.wait_established("guest")
        near.wait_established("cable")
        yield near, far, swan


def test_the_node_itself_reaches_the_guest(world):
    near, _, swan = world
    assert reaches(near.namespace, GUEST)
    assert reaches(swan.namespace, INNER[0], source=GUEST)


def test_the_ethernet_peer_reaches_the_guest_through_the_hub(world):
    near, far, swan = world
    assert reaches(far.namespace, GUEST)
    assert ping(swan.namespace, INNER[1], count=5, source=GUEST).received == 5
    listed = json.loads(far.namespace.run(["ip", "-j", "neigh", "show", "dev", TAP, "to", GUEST]))
    pseudo = near.connection("guest")["children"][0]["pseudo_mac"]
    assert listed[0]["lladdr"] == pseudo


def test_the_same_by_ipv6(world):
    near, far, swan = world
    assert reaches(near.namespace, GUEST6)
    assert reaches(far.namespace, GUEST6)
    assert ping(swan.namespace, "fd77::2", count=5, source=GUEST6).received == 5


def test_tcp_between_the_ethernet_peer_and_the_guest_arrives_whole(world):
    _, far, swan = world
    assert Transfer(far.namespace, swan.namespace, GUEST).run(3_000_000)


def test_rekeys_and_a_new_handshake_keep_them_together(world):
    near, far, swan = world
    near.rekey_child("guest", "lan")
    assert reaches(far.namespace, GUEST)
    swan.rekey_child("lan")
    assert ping(far.namespace, GUEST, count=5).received == 5
    swan.terminate("rhp")
    assert ping(far.namespace, GUEST, count=1, wait=0.3).received == 0
    swan.initiate("lan")
    assert reaches(far.namespace, GUEST)
