"""A node with two lanes and a strongSwan that knows nothing of RFC 9611: it sees one Child SA and is untroubled."""

import pytest

from rhp.lab.iperf3 import Iperf3
from rhp.lab.lab import Lab
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import SECRET
from rhp.lab.ping import ping, reaches
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection
from rhp.lab.topology import cable, outer
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.interop

GUEST, HOST = "10.90.2.1", "10.90.1.1"


@pytest.fixture(scope="module", params=["rhp", "strongSwan"])
def world(request):
    """The node with its two lanes and the charon, met at the wish of one of them."""
    with Lab() as lab:
        a, s = cable(lab)
        s.address("lo", f"{GUEST}/32")
        child = SwanChild("lan", (f"{GUEST}/32",), (f"{HOST}/32",))
        ends = SwanAuth("s.example.org"), SwanAuth("a.example.org")
        swan = lab.keep(
            StrongSwan(s, lab.path("swan"), [SwanConnection("rhp", outer(2), outer(1), *ends, (child,), psk=SECRET)])
        )
        calls = {"remote_addrs": [outer(2)]} if request.param == "rhp" else {}
        lan = tunnel([f"{HOST}/32"], [f"{GUEST}/32"])
        configuration = {
            # All that goes to this peer stays in one lane, and so in order: its replay window is 32 packets.
            "node": {"lanes": 2, "steering": "station"},
            "interface": {"addresses": [f"{HOST}/32"]},
            "connections": {
                "guest": {**psk("a.example.org", "s.example.org", SECRET), **calls, "children": {"lan": lan}}
            },
        }
        node = lab.keep(RhpNode(a, lab.path("a"), configuration))
        if request.param == "strongSwan":
            swan.initiate("lan")
        node.wait_established("guest")
        assert reaches(a, GUEST)
        yield node, swan
        assert "Traceback" not in node.process.text()


def test_there_is_one_child_and_no_complaint(world):
    node, _ = world
    assert [one["lane"] for one in node.connection("guest")["children"]] == [None]
    text = node.process.text()
    assert text.count("child established") == 1
    assert "child failed" not in text
    assert not any("lane" in name for name in node.status()["counters"]["engine"])


def test_traffic_is_whole_in_both_directions(world):
    node, swan = world
    assert Transfer(node.namespace, swan.namespace, GUEST).run(3_000_000)
    assert Transfer(swan.namespace, node.namespace, HOST).run(3_000_000, seed=b"back")


def test_all_of_it_leaves_by_one_lane(world, tmp_path):
    node, swan = world

    def sent():
        return [share["packets_out"] for share in node.connection("guest")["children"][0]["lanes"]]

    before = sent()
    with Iperf3(node.namespace, swan.namespace, GUEST, tmp_path / "iperf3.log") as iperf3:
        iperf3.tcp(1, streams=8)
    grown = sorted(now - then for then, now in zip(before, sent(), strict=True))
    assert grown[0] == 0
    assert grown[1] > 100


def spis(node):
    """What there is: a rekey is asked for, not waited for."""
    entry = node.connection("guest")
    return entry["ike_spi_i"], [child["spi_in"] for child in entry["children"]]


def test_rekeys_by_either_side(world):
    node, swan = world
    for act in (
        lambda: node.rekey_child("guest", "lan"),
        lambda: swan.rekey_child("lan"),
        lambda: node.rekey_ike("guest"),
        lambda: swan.rekey_ike("rhp"),
    ):
        before = spis(node)
        act()
        # While the older pair is there its end could be taken for the next rekey.
        node.wait_connection("guest", lambda entry, old=before: spis(node) != old and len(entry["children"]) == 1)
        assert ping(node.namespace, GUEST, count=5).received == 5
