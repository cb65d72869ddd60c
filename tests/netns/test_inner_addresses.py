"""A road warrior and a gateway: address, route and name server come by the configuration payload and go with it."""

import json
import time

import pytest

from rhp.lab.lab import Lab
from rhp.lab.namesfile import NamesFile
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import SECRET, TAP
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.netns

OFFICE, ROAD = "office", "road"
SERVER, SERVER6 = "10.1.0.53", "fd01::53"
LAN, LAN6 = "10.1.0.0/24", "fd01::/64"
GATE = {"addresses": ["10.88.0.1/24", "fd88::1/64"], "name": TAP}
POOLS = {
    "staff": {"addresses": ["10.88.0.0/24"], "dns": [SERVER], "subnets": [LAN]},
    "staff6": {"addresses": ["fd88::/64"], "dns": [SERVER6]},
}
NAMES = "nameserver 192.0.2.53\noptions timeout:1\n"


def gateway(children=None, pools=None, **more):
    road = {
        **psk("gate.example.org", "*@example.org", SECRET),
        "pools": list(pools or POOLS),
        "children": children or {"net": tunnel(["10.0.0.0/8", "fd00::/8"], [])},
        **more,
    }
    return {"interface": GATE, "pools": pools or POOLS, "connections": {ROAD: road}}


def client(children=None, **more):
    office = {
        **psk("anna@example.org", "gate.example.org", SECRET),
        "remote_addrs": [outer(2)],
        "request_addresses": True,
        "children": children or {"net": tunnel([], ["10.0.0.0/8", "fd00::/8"])},
        **more,
    }
    return {"interface": {"name": TAP}, "connections": {OFFICE: office}}


class World:
    """Client a, gateway b, and a server in the network behind b."""

    def __init__(self, lab, ours=None, theirs=None):
        self.host_a, self.host_b = cable(lab)
        self.lan = lab.namespace("lan")
        self.host_b.link(self.lan, "lan0", "eth0")
        self.host_b.address("lan0", "10.1.0.1/24", "fd01::1/64")
        self.lan.address("eth0", f"{SERVER}/24", f"{SERVER6}/64")
        self.lan.ip("route add default via 10.1.0.1", "route add ::/0 via fd01::1")
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.host_b.sysctl(key, 1)
        self.names = lab.keep(NamesFile(self.host_a, NAMES))
        self.b = lab.keep(RhpNode(self.host_b, lab.path("b"), theirs or gateway()))
        self.a = lab.keep(RhpNode(self.host_a, lab.path("a"), ours or client()))
        self.a.wait_established(OFFICE)

    def inner(self):
        """The addresses on the client's interface, link-local ones apart."""
        if TAP not in self.host_a.interfaces():
            return []
        shown = json.loads(self.host_a.run(["ip", "-j", "address", "show", "dev", TAP]))
        entries = [entry for one in shown for entry in one.get("addr_info", []) if entry.get("scope") == "global"]
        return sorted(f"{entry['local']}/{entry['prefixlen']}" for entry in entries)

    def routes(self):
        """Where the client's traffic to the interface goes."""
        if TAP not in self.host_a.interfaces():
            return []
        shown = [
            json.loads(self.host_a.run(["ip", version, "-j", "route", "show", "dev", TAP])) for version in ("-4", "-6")
        ]
        return [(one["dst"], one.get("prefsrc")) for part in shown for one in part if not one["dst"].startswith("fe80")]

    def said(self, words):
        return self.a.process.text().count(words)

    def wait_inner(self, *addresses, timeout=30):
        wait_until(lambda: self.inner() == sorted(addresses), timeout, f"{addresses} on {TAP}")


class Pings:
    """Traffic for the network behind the gateway, beside the test."""

    def __init__(self, host, log):
        self._process = host.start(["ping", "-i", "0.5", SERVER], log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stop()


@pytest.fixture(scope="module")
def world():
    with Lab() as lab:
        made = World(lab)
        yield made
        for node in (made.a, made.b):
            assert "Traceback" not in node.process.text()


def test_address_route_and_name_server_are_there(world):
    world.wait_inner("10.88.0.2/32", "fd88::2/128")
    # The pool names one IPv4 network, so of the 10.0.0.0/8 that was granted only that goes through the tunnel.
    wait_until(lambda: (LAN, "10.88.0.2") in world.routes(), 30, "the route to the network")
    assert "10.0.0.0/8" not in [destination for destination, _ in world.routes()]
    assert reaches(world.host_a, SERVER)
    assert reaches(world.host_a, SERVER6)
    wait_until(lambda: "Written by rhp" in world.names.text(), 30, "name servers")
    shown = world.host_a.run(["cat", "/etc/resolv.conf"]).splitlines()
    assert shown[1:] == [f"nameserver {SERVER}", f"nameserver {SERVER6}", "options timeout:1"]


def test_the_network_behind_the_gateway_reaches_the_client_at_its_address(world):
    assert reaches(world.lan, "10.88.0.2")
    assert reaches(world.lan, "fd88::2")
    assert reaches(world.host_b, "10.88.0.2", source="10.1.0.1")


def test_status_tells_who_has_what(world):
    mine, theirs = world.a.connection(OFFICE), world.b.connection(ROAD)
    assert mine["assigned"]["addresses"] == ["10.88.0.2/32", "fd88::2/128"]
    assert mine["assigned"]["dns"] == [SERVER, SERVER6]
    assert theirs["leased"] == ["10.88.0.2", "fd88::2"]
    assert {one["name"]: one["online"] for one in world.b.status()["pools"]} == {"staff": 1, "staff6": 1}
    assert "we were assigned 10.88.0.2/32 fd88::2/128" in world.a.command("status")
    assert "anna@example.org  10.88.0.2 fd88::2  road" in world.b.command("status")
    assert "address leased connection=road peer=anna@example.org" in world.b.process.text()


def test_a_source_that_was_not_lent_is_refused(world):
    """The client gives itself another address of the pool and sends from it: the gateway drops what it opens."""
    world.host_a.address(TAP, "10.88.0.200/32")
    try:
        assert ping(world.host_a, SERVER, count=3, wait=0.3, source="10.88.0.200").received == 0
    finally:
        world.host_a.ip(f"address del 10.88.0.200/32 dev {TAP}")
    # Our own end holds them back already; a client that does not is met by the same selectors at the other end.
    dropped = [node.status()["counters"]["dataplane"] for node in (world.a, world.b)]
    assert sum(one["drop-selector-mismatch-out"] + one["drop-selector-mismatch-in"] for one in dropped) >= 3
    assert reaches(world.host_a, SERVER)


def test_rekeys_move_nothing(world):
    before = world.inner(), world.routes(), world.said("address added"), world.said("dns set")
    for act, words in (
        (lambda: world.a.rekey_child(OFFICE, "net"), "child rekeyed"),
        (lambda: world.b.rekey_child(ROAD, "net"), "child rekeyed"),
        (lambda: world.a.rekey_ike(OFFICE), "ike rekeyed"),
        (lambda: world.b.rekey_ike(ROAD), "ike rekeyed"),
    ):
        seen = world.said(words)
        act()
        wait_until(lambda words=words, seen=seen: world.said(words) > seen, 30, words)
        wait_until(lambda: len(world.b.connection(ROAD)["children"]) == 1, 30, "the old pair going")
        assert ping(world.host_a, SERVER, count=3, at_once=True).received == 3
    assert (world.inner(), world.routes(), world.said("address added"), world.said("dns set")) == before


def test_an_interface_that_vanishes_gets_everything_again(world):
    world.host_a.ip(f"link del {TAP}")
    wait_until(lambda: world.said("tap restored"), 30, "the interface being made again")
    world.wait_inner("10.88.0.2/32", "fd88::2/128")
    wait_until(lambda: (LAN, "10.88.0.2") in world.routes(), 30, "the route")
    assert reaches(world.host_a, SERVER)


def test_an_end_takes_everything_away_and_a_new_start_brings_the_same(world):
    added = world.said("address added")
    world.a.terminate(OFFICE)
    world.wait_inner()
    wait_until(lambda: world.names.text() == NAMES, 30, "the name servers going")
    wait_until(lambda: not any(one[0] in (LAN, "fd00::/8") for one in world.routes()), 30, "the routes going")
    assert ping(world.host_a, SERVER, count=1, wait=0.2).received == 0
    wait_until(lambda: not world.b.connection(ROAD)["leased"], 30, "the gateway taking the address back")
    assert [one["resting"] for one in world.b.status()["pools"]] == [1, 1]
    world.a.initiate(OFFICE)
    world.a.wait_established(OFFICE)
    world.wait_inner("10.88.0.2/32", "fd88::2/128")
    # The address is there before the node hears that it is, and says so.
    wait_until(lambda: world.said("address added") >= added + 2, 30, "the log's word on both addresses")
    assert world.said("address added") == added + 2
    assert reaches(world.host_a, SERVER)


def test_a_gateway_that_starts_anew_gives_the_same_address_and_nothing_flaps(world):
    added, removed = world.said("address added"), world.said("address removed")
    before = world.a.connection(OFFICE)["ike_spi_i"]
    world.b.kill()
    world.b.start()
    # An unprotected hint has the client ask, and 7.5 s later it begins anew, with a wish for the address it had.
    with Pings(world.host_a, world.a.folder / "pings"):
        world.a.wait_connection(
            OFFICE, lambda entry: entry["ike_spi_i"] not in (None, before) and entry["children"], 60
        )
    wait_until(lambda: world.b.connection(ROAD)["leased"] == ["10.88.0.2", "fd88::2"], 30, "the lease")
    assert reaches(world.host_a, SERVER)
    time.sleep(5.5)
    assert world.inner() == ["10.88.0.2/32", "fd88::2/128"]
    assert (world.said("address added"), world.said("address removed")) == (added, removed)


def test_a_killed_client_leaves_nothing_that_the_next_start_does_not_mend(world):
    world.a.kill()
    assert TAP not in world.host_a.interfaces()
    assert SERVER in world.names.text()
    # The next start finds no gateway, so nothing can be set again: what is there is what was mended.
    world.b.kill()
    world.a.start()
    assert world.names.text() == NAMES
    assert world.inner() == []
    world.b.start()
    world.a.wait_established(OFFICE, 60)
    world.wait_inner("10.88.0.2/32", "fd88::2/128")
    world.a.stop()
    assert world.names.text() == NAMES


def test_a_gateway_that_is_gone_for_good_takes_the_address_along(lab):
    world = World(lab, client(dpd_delay=1))
    world.wait_inner("10.88.0.2/32", "fd88::2/128")
    world.b.kill()
    # Another program at its place that knows nothing of the IKE SA: the client learns so in seconds.
    other = psk("gate.example.org", "other@example.org", SECRET)
    lab.keep(RhpNode(world.host_b, lab.path("other"), {"interface": {"name": TAP}, "connections": {"other": other}}))
    with Pings(world.host_a, world.a.folder / "pings"):
        wait_until(lambda: world.names.text() == NAMES, 30, "the name servers going")
    world.wait_inner()
    wait_until(lambda: not world.routes(), 30, "the routes going")


def test_the_last_address_and_a_gateway_that_has_none(lab):
    pools = {"tiny": {"addresses": ["10.88.0.9"], "fixed": {"bert@example.org": "10.88.0.9"}}}
    host_a, host_b = cable(lab)
    gate = lab.keep(RhpNode(host_b, lab.path("b"), gateway(pools=pools)))
    anna = lab.keep(RhpNode(host_a, lab.path("a"), client()))
    entry = anna.wait_connection(OFFICE, lambda entry: entry["last_error"])
    assert "no-address-assigned" in entry["last_error"] or "no inner address" in entry["last_error"]
    wait_until(lambda: "no-address-left" in gate.process.text(), 30, "the gateway saying why")
    assert "10.88" not in host_a.run(["ip", "address", "show", "dev", TAP])


def test_on_an_ethernet_the_address_is_the_interface_s(lab):
    cable_child = {"cable": {"mode": "ethernet"}}
    world = World(lab, client(cable_child), gateway(cable_child))
    world.wait_inner("10.88.0.2/24", "fd88::2/64")
    assert reaches(world.host_a, "10.88.0.1")
    assert reaches(world.host_a, "fd88::1")
    assert reaches(world.host_b, "10.88.0.2")
    # Name servers behind a router are none of the link's, and a link has no routes to tell of.
    assert world.names.text() == NAMES


def rules(host):
    """What stands in a host's lists of rules, for both IP versions."""
    return host.run(["ip", "rule"]) + host.run(["ip", "-6", "rule"])


def way(host, address):
    """The interface by which a packet leaves a host, or None where it goes nowhere."""
    words = host.run(["ip", "route", "get", address], check=False).split()
    return words[words.index("dev") + 1] if "dev" in words else None


def test_everything_goes_through_the_tunnel_but_the_tunnel_itself(lab):
    """TSr is everything: the default routes stay as they are, and rules go before them."""
    pools = {"staff": {"addresses": ["10.88.0.0/24"], "dns": [SERVER]}, "staff6": {"addresses": ["fd88::/64"]}}
    everything = ["0.0.0.0/0", "::/0"]
    theirs = gateway({"net": tunnel(everything, [])}, pools)
    world = World(lab, client({"net": tunnel([], everything)}), theirs)
    far, far6 = "203.0.113.9", "2001:db8:99::9"
    world.lan.address("lo", f"{far}/32", f"{far6}/128")
    world.host_b.ip(f"route add {far}/32 via {SERVER}", f"route add {far6}/128 via {SERVER6}")
    world.host_a.ip("route add default via 192.0.2.254")
    world.wait_inner("10.88.0.2/32", "fd88::2/128")
    wait_until(lambda: way(world.host_a, far) == TAP, 30, "the way into the tunnel")
    assert reaches(world.host_a, far)
    assert reaches(world.host_a, far6)
    assert reaches(world.host_a, SERVER)
    assert reaches(world.lan, "10.88.0.2", source=far)
    assert way(world.host_a, outer(2)) == way(world.host_a, "192.0.2.77") == "eth0"
    assert ping(world.host_a, far, count=20, at_once=True, size=1300).received == 20
    wait_until(lambda: SERVER in world.names.text(), 30, "name servers")
    stood = sorted(rules(world.host_a).splitlines())
    # The rules outlive a rekey and a change of the default route, and end with the tunnel.
    world.a.rekey_ike(OFFICE)
    world.host_a.ip("route del default")
    assert ping(world.host_a, far, count=5, at_once=True).received == 5
    # Somebody takes away the rules that are not its own.
    for version, priority in (("-4", "5209"), ("-4", "5208"), ("-4", "5206"), ("-6", "5209")):
        world.host_a.run(["ip", version, "rule", "del", "priority", priority])
    wait_until(lambda: sorted(rules(world.host_a).splitlines()) == stood, 30, "the rules again")
    assert reaches(world.host_a, far)
    assert reaches(world.host_a, far6)
    world.a.terminate(OFFICE)
    world.wait_inner()
    wait_until(lambda: "5209" not in rules(world.host_a), 30, "the rules going")
    wait_until(lambda: way(world.host_a, far) is None, 30, "the way into the tunnel going")
    world.a.initiate(OFFICE)
    world.a.wait_established(OFFICE)
    assert reaches(world.host_a, far)
    world.a.stop()
    assert "520" not in world.host_a.run(["ip", "rule"])
