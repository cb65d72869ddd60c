"""MOBIKE with a strongSwan: either side's address changes, in both roles, under a running TCP transfer."""

import json

import pytest

from rhp.lab.lab import Lab
from rhp.lab.meeting import INNER, MEETING, meet
from rhp.lab.process import wait_until
from rhp.lab.topology import PORT, cable
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.interop

HOME, ELSEWHERE = "192.0.2.1", "192.0.2.101"
SWAN_HOME, SWAN_ELSEWHERE = "192.0.2.2", "192.0.2.102"
SIZE = 8_000_000
PATIENCE = 60.0


@pytest.fixture(params=["initiator", "responder"])
def role(request):
    """Who rhp is."""
    return request.param


@pytest.fixture
def met(programs, role):
    """Both know MOBIKE, and take the other one at whatever address."""
    with Lab() as lab:
        hosts = cable(lab)
        for number, host in enumerate(hosts, 1):
            # One family only: else the other one is a way out that nobody takes in these tests.
            host.ip(f"address del 2001:db8::{number}/64 dev {PORT}")
        called = [SWAN_HOME] if role == "initiator" else ["192.0.2.0/24"]
        theirs = {"mobike": True, "local_addrs": "%any", "dpd_delay": "2s"}
        made = meet(lab, hosts, programs, ours={"remote_addrs": called, "dpd_delay": 2}, theirs=theirs)
        made.establish("rhp" if role == "initiator" else "strongSwan")
        assert made.entry()["mobike"]
        yield made
        assert "Traceback" not in made.node.process.text()


def readdress(host, old, new):
    host.ip(f"address del {old}/24 dev {PORT}", f"address add {new}/24 dev {PORT}")


def follows(met, ours, theirs):
    """Wait until both sides use these addresses."""
    here = lambda entry: ours in entry["path"]["local"] and theirs in entry["path"]["remote"]  # noqa: E731
    met.node.wait_connection(MEETING, here, PATIENCE)
    for address in (ours, theirs):
        wait_until(lambda one=address: f"@ {one}[" in met.swan.listing(), PATIENCE, f"strongSwan with {address}")


def transfers(met, roam):
    """The IKE SA is the same before and after, and every octet of a transfer in between arrives.

    The pair of the Child SA need not be: strongSwan's libipsec cannot move one, so charon replaces it after the move.
    """
    before = met.spis()[1]
    done = Transfer(met.swan.namespace, met.node.namespace, INNER[0], source=INNER[1], timeout=150.0)
    assert done.run(SIZE, during=roam), json.dumps(met.entry()) + met.node.process.tail(30) + met.swan.tail(40)
    assert met.spis()[1] == before
    met.agree()


def test_our_address_changes(met, feature, role):
    def roam():
        readdress(met.node.namespace, HOME, ELSEWHERE)
        follows(met, ELSEWHERE, SWAN_HOME)

    with feature("MOBIKE, rhp's address changes under TCP", role=role, peer=met.swan):
        transfers(met, roam)


def test_strongswan_s_address_changes(met, feature, role):
    def roam():
        readdress(met.swan.namespace, SWAN_HOME, SWAN_ELSEWHERE)
        follows(met, HOME, SWAN_ELSEWHERE)

    with feature("MOBIKE, strongSwan's address changes under TCP", role=role, peer=met.swan):
        transfers(met, roam)
