"""What the kernel takes from a tunnel's routes while the tunnel stands, with real addresses that come and go."""

import time

import pytest

from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import CONNECTION, IDENTITIES, SECRET, TAP
from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.netns

LANS = ("10.1.0.1", "10.2.0.1")
NETS = ("10.1.0.0/24", "10.2.0.0/24")


def gateway(lab, host, number, remote=None):
    """One of two gateways between networks whose interface has no address, so its routes have the LAN's for source."""
    own, peer = number - 1, 2 - number
    host.ip("link add lan type bridge", "link set lan up", f"address add {LANS[own]}/24 dev lan")
    connection = psk(IDENTITIES[own], IDENTITIES[peer], SECRET, children={"net": tunnel([NETS[own]], [NETS[peer]])})
    if number == 1:
        connection = {**connection, "remote_addrs": [remote or outer(2)]}
    table = {"interface": {"name": TAP}, "connections": {CONNECTION: connection}}
    return lab.keep(RhpNode(host, lab.path(f"{host.name}-node"), table))


def test_a_way_to_the_peer_comes_back_and_the_address_was_there_all_the_time(lab):
    a, b = cable(lab)
    b.address("lo", "198.51.100.2/32")
    gateway(lab, b, 2)
    node = gateway(lab, a, 1, "198.51.100.2")
    # The next try would be eight seconds later.
    wait_until(lambda: node.process.text().count("reason=no-route") == 4, 30, "four tries in vain")
    a.ip(f"route add 198.51.100.2 via {outer(2)}")
    node.wait_established(CONNECTION, 4)


def test_the_source_of_a_route_goes_and_comes_back(lab):
    a, b = cable(lab)
    nodes = [gateway(lab, b, 2), gateway(lab, a, 1)]
    # A bridge without ports has no carrier, and its addresses would not count.
    for host in (a, b):
        host.ip("link add stub type veth peer name plug", "link set stub master lan")
        host.ip("link set stub up", "link set plug up")
    for node in nodes:
        node.wait_established(CONNECTION, 30)
    route = lambda: a.run(["ip", "route", "show", NETS[1]])  # noqa: E731
    wait_until(lambda: f"src {LANS[0]}" in route(), 30, "the route with its source")
    assert reaches(a, LANS[1])
    # Away for a moment: the set of addresses is the same when it is read.
    a.ip(f"address del {LANS[0]}/24 dev lan", f"address add {LANS[0]}/24 dev lan")
    wait_until(lambda: f"src {LANS[0]}" in route(), 30, "the route after the blink")
    assert reaches(a, LANS[1])
    a.ip(f"address del {LANS[0]}/24 dev lan")
    wait_until(lambda: route() and "src" not in route(), 30, "the route without a source")
    time.sleep(1.5)
    a.ip(f"address add {LANS[0]}/24 dev lan")
    wait_until(lambda: f"src {LANS[0]}" in route(), 30, "the route with its source again")
    assert reaches(a, LANS[1])
