"""Addresses change and paths fail under running TCP transfers: the tunnels stay, with their keys and windows."""

import threading
import time

import pytest

from rhp.lab.pair import CONNECTION, PairOptions, start_pair
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.topology import PORT, cable, narrow, twins
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.netns

HOME, ELSEWHERE = "192.0.2.1", "192.0.2.101"
SIZE = 30_000_000


def spis(node):
    return [child["spi_in"] for child in node.connection(CONNECTION)["children"]]


def at(side, address):
    """True of a connection's status when its path ends there."""
    return lambda entry: entry["path"] is not None and address in entry["path"][side]


def transfers(nodes, during, size=SIZE):
    """What happens halfway through a transfer from a to b costs neither an octet nor the SAs."""
    before = spis(nodes.a), spis(nodes.b), nodes.a.connection(CONNECTION)["ike_spi_i"]
    assert Transfer(nodes.a.namespace, nodes.b.namespace, nodes.inner[1]).run(size, during=during)
    assert (spis(nodes.a), spis(nodes.b), nodes.a.connection(CONNECTION)["ike_spi_i"]) == before
    for node in (nodes.a, nodes.b):
        assert node.process.status is None
        assert "Traceback" not in node.process.text()
        assert "ike closed" not in node.process.text()
        assert all(child["auth_drops"] == 0 for child in node.connection(CONNECTION)["children"])


def retransmitted(node):
    """How often a node has sent a message again: after half a second first, then each time after twice as long."""
    return node.status()["counters"]["engine"].get("retransmitted", 0)


def readdress(host, old, new, interface=PORT):
    host.ip(f"address del {old}/24 dev {interface}", f"address add {new}/24 dev {interface}")


@pytest.mark.parametrize("encapsulation", ["udp", "auto"])
def test_the_caller_s_address_changes(lab, encapsulation):
    nodes = start_pair(lab, cable(lab), PairOptions(connection={"encapsulation": encapsulation}))
    nodes.wait_established()

    def roam():
        readdress(nodes.a.namespace, HOME, ELSEWHERE)
        nodes.b.wait_connection(CONNECTION, at("remote", ELSEWHERE), 30)

    transfers(nodes, roam)
    seen = nodes.a.connection(CONNECTION)
    assert at("local", ELSEWHERE)(seen) and seen["mobike"]
    assert seen["children"][0]["encapsulation"] == ("udp" if encapsulation == "udp" else "esp")
    assert "reason=own-address" in nodes.a.process.text()
    assert "reason=peer-address" in nodes.b.process.text()


def test_the_called_one_s_address_changes(lab):
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()

    def roam():
        readdress(nodes.b.namespace, "192.0.2.2", "192.0.2.102")
        nodes.a.wait_connection(CONNECTION, at("remote", "192.0.2.102"), 30)

    transfers(nodes, roam)


def test_from_ipv4_to_ipv6(lab):
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    assert "2001:db8::2" in nodes.a.connection(CONNECTION)["peer_addresses"]

    def roam():
        nodes.a.namespace.ip(f"address del {HOME}/24 dev {PORT}")
        nodes.b.wait_connection(CONNECTION, at("remote", "2001:db8::1"), 30)

    transfers(nodes, roam)
    # What fits an outer packet changed with the family.
    mtu = nodes.a.connection(CONNECTION)["children"][0]["mtu"]
    wait_until(lambda: nodes.b.connection(CONNECTION)["children"][0]["mtu"] == mtu, 30, "the same MTU at both ends")


def test_few_packets_are_lost_on_a_move(lab):
    """At most what is in flight: the caller tells of its new address 0.1 s after the kernel did, or a second later if
    it looked between the two addresses.

    Two and a half seconds are allowed, and beyond them what a lost message costs until it is sent again.
    """
    nodes = start_pair(lab, cable(lab))
    nodes.wait_established()
    assert reaches(nodes.a.namespace, nodes.inner[1])
    again = retransmitted(nodes.a)
    mover = threading.Timer(0.5, lambda: readdress(nodes.a.namespace, HOME, ELSEWHERE))
    mover.start()
    result = ping(nodes.a.namespace, nodes.inner[1], count=500, interval=0.01, wait=0.5)
    mover.join()
    nodes.b.wait_connection(CONNECTION, at("remote", ELSEWHERE), 30)
    again = retransmitted(nodes.a) - again
    assert result.sent - result.received <= 250 * 2**again
    child = nodes.b.connection(CONNECTION)["children"][0]
    assert child["replay_drops"] == child["auth_drops"] == 0


def test_a_silent_path_is_left_and_taken_again(lab):
    network = twins(lab)
    both = {"remote_addrs": ["192.0.2.2", "198.51.100.2"], "dpd_delay": 2}
    nodes = start_pair(lab, (network.a, network.b), PairOptions(connection={"dpd_delay": 2}, callers=both))
    nodes.wait_established()

    def fail():
        network.cut(0)
        nodes.b.wait_connection(CONNECTION, at("remote", "198.51.100.1"), 30)

    transfers(nodes, fail)
    network.mend(0)
    nodes.a.wait_connection(CONNECTION, at("remote", "192.0.2.2"), 90)
    assert reaches(nodes.a.namespace, nodes.inner[1])
    said = nodes.a.process.text()
    assert "reason=path-silent" in said and "reason=path-preferred" in said
    assert "ike closed" not in said


def test_an_interface_goes_and_another_one_is_there(lab):
    network = twins(lab)
    both = {"remote_addrs": ["192.0.2.2", "198.51.100.2"]}
    nodes = start_pair(lab, (network.a, network.b), PairOptions(callers=both))
    nodes.wait_established()

    def unplug():
        network.a.ip("link set eth0 down")
        nodes.b.wait_connection(CONNECTION, at("remote", "198.51.100.1"), 30)

    transfers(nodes, unplug)


@pytest.mark.parametrize("address", [HOME, ELSEWHERE])
def test_sleep_and_wake(lab, address):
    """No interface for a while, then the old address or another one: the tunnel is where it was."""
    nodes = start_pair(lab, cable(lab), PairOptions(connection={"dpd_delay": 2}))
    nodes.wait_established()

    def sleep():
        nodes.a.namespace.ip(f"link set {PORT} down")
        if address != HOME:
            readdress(nodes.a.namespace, HOME, address)
        time.sleep(4)
        nodes.a.namespace.ip(f"link set {PORT} up")
        nodes.b.wait_connection(CONNECTION, at("remote", address), 30)

    transfers(nodes, sleep, size=10_000_000)


def test_the_new_path_s_mtu_is_found_out(lab):
    """After the move the way is narrower, and the tunnel fits it without waiting for anybody's word."""
    network = narrow(lab, mtu=1500)
    nodes = start_pair(lab, (network.a, network.b))
    nodes.wait_established()
    wide = nodes.a.connection(CONNECTION)["children"][0]["mtu"]
    network.set_mtu(1400)
    network.a.ip(f"address add 192.0.2.77/32 dev {PORT}")
    network.routers[0].ip(f"route add 192.0.2.77/32 dev {PORT}")
    network.routers[1].ip("route add 192.0.2.77/32 via 203.0.113.1")
    network.a.ip(
        f"address del 192.0.2.1/32 dev {PORT}",
        f"route replace default via 198.51.100.1 dev {PORT} onlink src 192.0.2.77",
    )
    nodes.b.wait_connection(CONNECTION, at("remote", "192.0.2.77"), 30)
    nodes.a.wait_connection(CONNECTION, lambda entry: entry["children"][0]["mtu"] == wide - 100, 30)
