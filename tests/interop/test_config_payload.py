"""Inner addresses between rhp and strongSwan, lent by either: `pools` at the one, `vips` or a request at the other."""

import json

import pytest

from rhp.lab.errors import CommandFailed
from rhp.lab.lab import Lab
from rhp.lab.namesfile import NamesFile
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import SECRET, TAP
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.interop

GATE, CARL = "gate.example.org", "carl@example.org"
SERVER, SERVER6 = "10.1.0.53", "fd01::53"
LAN, LAN6 = "10.1.0.0/24", "fd01::/64"
ANY4 = "0.0.0.0"  # noqa: S104 (strongSwan's word for "an address, please")
NAMES = "nameserver 192.0.2.53\n"


def swan(local, remote, number, child, *, name="t", sections=None, **settings):
    ends = SwanAuth(local), SwanAuth(remote)
    more = {"psk": SECRET, "settings": {"unique": "never", **settings}, "more": sections or {}}
    return SwanConnection(name, outer(number), outer(3 - number), *ends, (child,), **more)


def addresses(namespace, interface):
    shown = json.loads(namespace.run(["ip", "-j", "address", "show", "dev", interface]))
    entries = [entry for one in shown for entry in one.get("addr_info", []) if entry.get("scope") == "global"]
    return sorted(entry["local"] for entry in entries)


def spis_of(entry):
    return entry["ike_spi_i"], [child["spi_in"] for child in entry["children"]]


def rekeyed(now, old):
    """Another IKE SA, or another pair alone: an older one's end could be taken for the next rekey."""
    return now[0] != old[0] or (len(now[1]) == 1 and now[1] != old[1])


class Gateway:
    """rhp lends, strongSwan is the road warrior."""

    def __init__(self, lab, programs):
        self.host_s, self.host_r = cable(lab)
        self.host_r.address("lo", f"{SERVER}/32", f"{SERVER6}/128")
        pools = {
            "staff": {"addresses": ["10.88.0.2-10.88.0.3"], "dns": [SERVER], "subnets": [LAN]},
            "staff6": {"addresses": ["fd88::/64"]},
        }
        road = {
            **psk(GATE, "*@example.org", SECRET),
            "pools": ["staff", "staff6"],
            "children": {"net": tunnel([LAN, LAN6], [])},
        }
        self.node = lab.keep(
            RhpNode(
                self.host_r,
                lab.path("rhp"),
                {"interface": {"name": TAP}, "pools": pools, "connections": {"road": road}},
            )
        )
        child = SwanChild("net", ("dynamic",), (LAN, LAN6))
        asks = swan(CARL, GATE, 1, child, vips=[ANY4, "::"])
        self.swan = lab.keep(StrongSwan(self.host_s, lab.path("swan"), [asks], None, programs))

    def spis(self):
        """What there is, by rhp: a rekey is asked for, not waited for."""
        return spis_of(self.node.connection("road"))

    def up(self):
        self.swan.initiate("net")
        self.node.wait_established("road")


@pytest.fixture(scope="module")
def gateway(programs):
    with Lab() as lab:
        yield Gateway(lab, programs)


def test_strongswan_gets_two_addresses_and_reaches_the_network(feature, gateway):
    with feature("configuration payload: rhp lends addresses of both families", role="responder", peer=gateway.swan):
        gateway.up()
        assert gateway.node.connection("road")["leased"] == ["10.88.0.2", "fd88::1"]
        wait_until(lambda: "10.88.0.2" in gateway.host_s.run(["ip", "address"]), 30, "strongSwan's address")
        assert reaches(gateway.host_s, SERVER, source="10.88.0.2")
        assert reaches(gateway.host_s, SERVER6, source="fd88::1")
        assert reaches(gateway.host_r, "10.88.0.2")
        assert gateway.swan.sas("t")[0].established


def test_rekeys_by_either_side_keep_the_address(feature, gateway):
    with feature("configuration payload: rekeys keep what rhp lent", role="both", peer=gateway.swan):
        for act in (
            lambda: gateway.swan.rekey_child("net"),
            lambda: gateway.node.rekey_child("road", "net"),
            lambda: gateway.swan.rekey_ike("t"),
            lambda: gateway.node.rekey_ike("road"),
        ):
            before = gateway.spis()
            act()
            wait_until(lambda old=before: rekeyed(gateway.spis(), old), 30, "the rekey being done")
            assert ping(gateway.host_s, SERVER, count=5, at_once=True, source="10.88.0.2").received == 5
        assert gateway.node.connection("road")["leased"] == ["10.88.0.2", "fd88::1"]
        assert gateway.node.process.text().count("address leased") == 1


def test_the_address_comes_back_with_the_peer(feature, gateway):
    with feature("configuration payload: the same address again", role="responder", peer=gateway.swan):
        gateway.swan.terminate("t")
        wait_until(lambda: not gateway.node.connection("road")["leased"], 30, "the address resting")
        gateway.up()
        assert gateway.node.connection("road")["leased"] == ["10.88.0.2", "fd88::1"]
        gateway.swan.terminate("t")


def test_who_does_not_ask_gets_no_child(feature, gateway):
    with feature("configuration payload: FAILED_CP_REQUIRED", role="responder", peer=gateway.swan):
        child = SwanChild("plain", ("10.88.0.9/32",), (LAN,))
        gateway.swan.load([swan(CARL, GATE, 1, child)])
        with pytest.raises(CommandFailed, match="FAILED_CP_REQUIRED"):
            gateway.swan.initiate("plain")
        gateway.node.process.wait_for("address-not-asked-for", 30)
        gateway.swan.terminate("t")


def test_who_asks_a_full_pool_is_told(feature, gateway):
    with feature("configuration payload: INTERNAL_ADDRESS_FAILURE", role="responder", peer=gateway.swan):
        children = [SwanChild(f"c{number}", ("dynamic",), (LAN,)) for number in range(3)]
        gateway.swan.load(
            [
                swan(f"x{number}@example.org", GATE, 1, child, name=f"t{number}", vips=[ANY4])
                for number, child in enumerate(children)
            ]
        )
        gateway.swan.initiate("c0")
        gateway.swan.initiate("c1")
        with pytest.raises(CommandFailed, match="INTERNAL_ADDRESS_FAILURE"):
            gateway.swan.initiate("c2")
        gateway.node.process.wait_for("no-address-left", 30)
        # Its IKE SA stands without a child; it asks again when it begins anew.
        gateway.swan.terminate("t2")
        gateway.swan.terminate("t0")
        gateway.swan.initiate("c2")


class Client:
    """strongSwan lends, rhp asks."""

    def __init__(self, lab, programs, local_ts, pool, remote_ts):
        self.host_r, self.host_s = cable(lab)
        self.host_s.address("lo", f"{SERVER}/32", f"{SERVER6}/128", "10.2.0.1/32")
        pools = {"road": {"addrs": "10.99.0.0/24", **pool}, "road6": {"addrs": "fd99::/120"}}
        child = SwanChild("net", local_ts, ("dynamic",))
        lends = swan(GATE, CARL, 2, child, sections={"pools": pools}, pools=["road", "road6"])
        self.swan = lab.keep(StrongSwan(self.host_s, lab.path("swan"), [lends], None, programs))
        self.names = lab.keep(NamesFile(self.host_r, NAMES))
        office = {
            **psk(CARL, GATE, SECRET),
            "remote_addrs": [outer(2)],
            "request_addresses": True,
            "children": {"net": tunnel([], remote_ts)},
        }
        self.node = lab.keep(
            RhpNode(self.host_r, lab.path("rhp"), {"interface": {"name": TAP}, "connections": {"office": office}})
        )
        self.node.wait_established("office")
        wait_until(lambda: len(addresses(self.host_r, TAP)) == 2, 30, "two addresses")

    def spis(self):
        """What there is, by rhp."""
        return spis_of(self.node.connection("office"))


@pytest.fixture(scope="module")
def client(programs):
    with Lab() as lab:
        yield Client(lab, programs, (LAN, LAN6), {"dns": SERVER}, ["10.0.0.0/8", "fd00::/8"])


def test_rhp_gets_two_addresses_routes_and_a_name_server(feature, client):
    with feature("configuration payload: rhp is lent addresses, routes and DNS", role="initiator", peer=client.swan):
        assert addresses(client.host_r, TAP) == ["10.99.0.1", "fd99::1"]
        routes = client.host_r.run(["ip", "route", "show", "dev", TAP])
        assert f"{LAN} proto static src 10.99.0.1" in routes
        assert reaches(client.host_r, SERVER)
        assert reaches(client.host_r, SERVER6)
        wait_until(lambda: SERVER in client.names.text(), 30, "the name server")


def test_strongswan_reaches_rhp_at_the_address_that_it_lent(client):
    assert reaches(client.host_s, "10.99.0.1", source=SERVER)
    assert reaches(client.host_s, "fd99::1", source=SERVER6)


def test_rekeys_by_either_side_keep_what_was_assigned(feature, client):
    with feature("configuration payload: rekeys keep what rhp was lent", role="both", peer=client.swan):
        for act in (
            lambda: client.swan.rekey_child("net"),
            lambda: client.node.rekey_child("office", "net"),
            lambda: client.swan.rekey_ike("t"),
            lambda: client.node.rekey_ike("office"),
        ):
            before = client.spis()
            act()
            wait_until(lambda old=before: rekeyed(client.spis(), old), 30, "the rekey being done")
            assert ping(client.host_r, SERVER, count=5, at_once=True).received == 5
        assert addresses(client.host_r, TAP) == ["10.99.0.1", "fd99::1"]
        assert client.node.process.text().count("address added") == 2


def test_the_end_takes_everything_away_and_the_same_comes_again(feature, client):
    with feature("configuration payload: taken away at the end, lent again", role="initiator", peer=client.swan):
        client.node.terminate("office")
        wait_until(lambda: addresses(client.host_r, TAP) == [], 30, "the addresses going")
        wait_until(lambda: client.names.text() == NAMES, 30, "the name server going")
        wait_until(lambda: LAN not in client.host_r.run(["ip", "route"]), 30, "the route going")
        client.node.initiate("office")
        client.node.wait_established("office")
        wait_until(lambda: addresses(client.host_r, TAP) == ["10.99.0.1", "fd99::1"], 30, "the addresses coming back")
        assert reaches(client.host_r, SERVER)


def test_a_gateway_that_grants_everything_and_names_its_networks(feature):
    """TSr is 0.0.0.0/0, INTERNAL_IP4_SUBNET one network: that goes through the tunnel, the rest where it went."""
    with Lab() as lab:
        made = Client(lab, None, ("0.0.0.0/0", "::/0"), {"subnet": LAN}, ["0.0.0.0/0", LAN6])
        with feature(
            "configuration payload: only the networks that strongSwan names", role="initiator", peer=made.swan
        ):
            assert reaches(made.host_r, SERVER)
            assert reaches(made.host_r, SERVER6)
            routes = made.host_r.run(["ip", "route", "show", "dev", TAP])
            assert LAN in routes
            assert "default" not in routes
            assert ping(made.host_r, "10.2.0.1", count=1, wait=0.3).received == 0


def test_a_gateway_that_grants_everything_and_names_nothing(feature):
    """TSr is 0.0.0.0/0 and no network is named: everything goes through the tunnel but the tunnel itself."""
    with Lab() as lab:
        made = Client(lab, None, ("0.0.0.0/0", "::/0"), {}, ["0.0.0.0/0", "::/0"])
        with feature("all traffic through strongSwan", role="initiator", peer=made.swan):
            for address in (SERVER, SERVER6, "10.2.0.1"):
                assert reaches(made.host_r, address)
            assert "table 5210" in made.host_r.run(["ip", "route", "get", "10.2.0.1"])
            assert "dev eth0" in made.host_r.run(["ip", "route", "get", outer(2)])
            made.node.terminate("office")
            wait_until(lambda: "5209" not in made.host_r.run(["ip", "rule"]), 30, "the rules going")
