"""Realms at rhp, met by strongSwan: one address and port, and each peer in the realm that its identity leads to."""

import json

import pytest

from rhp.lab.certificates import Authority
from rhp.lab.errors import CommandFailed
from rhp.lab.lab import Lab
from rhp.lab.nodeconf import tunnel
from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import cable, outer

pytestmark = pytest.mark.interop

GATE = "gate.example.org"
CARL, DAN, DORA = "carl@sales.example.org", "dan@sales.example.org", "dora@works.example.org"
LAPTOP, SUBJECT = "laptop7.example.org", "C=CH, O=example, OU=labs, CN=laptop7"
OF_SALES, OF_WORKS = "the key of the sales people", "the key of the workshop"
SERVER, LAN = "10.1.0.53", "10.1.0.0/24"
ANY4 = "0.0.0.0"  # noqa: S104 (strongSwan's word for "an address, please")


def realm(name, match, **credentials):
    """Each realm lends from a pool of its own name."""
    return {"match": match, "pools": [name], "children": {"net": tunnel([LAN], [])}, **credentials}


def asks(name, identity, **credentials):
    """A connection of strongSwan: this identity asks for an address."""
    own = credentials.pop("own", None)
    ends = SwanAuth(identity), SwanAuth(GATE)
    if own is not None:
        ends = SwanAuth(identity, "pubkey", (own.cert,), (own.ca,)), SwanAuth(GATE, "pubkey", cas=(own.ca,))
        credentials["key"] = own.key
    child = SwanChild(name, ("dynamic",), (LAN,))
    settings = {"unique": "never", "vips": [ANY4]}
    return SwanConnection(name, outer(1), outer(2), *ends, (child,), settings=settings, **credentials)


class Gateway:
    """rhp with three realms, and a strongSwan that is four peers."""

    def __init__(self, lab, programs):
        self.host_s, self.host_r = cable(lab)
        self.host_r.address("lo", f"{SERVER}/32")
        authority = Authority(lab.path("ca"))
        ours, theirs = authority.issue(GATE), authority.issue(LAPTOP, SUBJECT)
        us = {"id": GATE}
        by_certificate = {
            "local": {**us, "certs": [str(ours.cert)], "key": str(ours.key)},
            "remote": {"cas": [str(ours.ca)]},
        }
        realms = {
            "sales": realm("sales", "*@sales.example.org", psk=OF_SALES, local=us),
            "works": realm("works", ["*@works.example.org", "*.works.example.org"], psk=OF_WORKS, local=us),
            "labs": realm("labs", "O=example, OU=labs", **by_certificate),
        }
        pools = {name: {"addresses": [f"10.88.{number}.0/24"]} for number, name in enumerate(realms, 1)}
        self.node = lab.keep(RhpNode(self.host_r, lab.path("rhp"), {"pools": pools, "realms": realms}))
        self.peers = [
            asks("carl", CARL, psk=OF_SALES),
            asks("dan", DAN, psk=OF_SALES),
            asks("dora", DORA, psk=OF_WORKS),
            asks("laptop", LAPTOP, own=theirs),
        ]
        self.swan = lab.keep(StrongSwan(self.host_s, lab.path("swan"), self.peers, None, programs))

    def lent(self):
        """Who has which address in which realm."""
        return {sa["peer"]: (sa["realm"], *sa["leased"]) for sa in self.node.status()["ike_sas"] if sa["realm"]}


@pytest.fixture(scope="module")
def gateway(programs):
    with Lab() as lab:
        yield Gateway(lab, programs)


def test_peers_of_different_realms_get_addresses_of_different_pools(feature, gateway):
    with feature("realms: by ID and by certificate subject", role="responder", peer=gateway.swan):
        for name in ("carl", "dan", "dora", "laptop"):
            gateway.swan.initiate(name)
        wait_until(lambda: len(gateway.lent()) == 4, 30, "all four peers")
        lent = gateway.lent()
        assert {lent[CARL], lent[DAN]} == {("sales", "10.88.1.1"), ("sales", "10.88.1.2")}
        assert lent[DORA] == ("works", "10.88.2.1")
        assert lent[LAPTOP] == ("labs", "10.88.3.1")
        for _, address in lent.values():
            assert reaches(gateway.host_s, SERVER, source=address)


def test_the_command_lists_realms_and_peers(gateway):
    shown = json.loads(gateway.node.command("realms", "-o", "json"))
    assert [(one["name"], one["peers"]) for one in shown["realms"]] == [("sales", 2), ("works", 1), ("labs", 1)]
    assert sorted(one["peer"] for one in shown["peers"]) == sorted((CARL, DAN, DORA, LAPTOP))
    assert DORA in gateway.node.command("realms", "works")


def test_the_key_of_one_realm_is_refused_in_another(feature, gateway):
    with feature("realms: a key of another realm is refused", role="responder", peer=gateway.swan):
        eve = "eve@sales.example.org"
        gateway.swan.load([*gateway.peers, asks("eve", eve, psk=OF_WORKS)])
        with pytest.raises(CommandFailed, match="AUTHENTICATION_FAILED"):
            gateway.swan.initiate("eve")
        assert eve not in gateway.lent()
        gateway.node.process.wait_for("reason=wrong-key", 30)
