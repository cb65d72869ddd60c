"""rhp sends a strongSwan client to another rhp gateway (RFC 5685), in each of the three exchanges.

charon follows (`charon.follow_redirects`), but has nobody to send away by itself, so the client is always charon. Both
gateways have the same identity and the same inner address, on a network of their own each.
"""

import contextlib
import re

import pytest

from rhp.lab.errors import CommandFailed
from rhp.lab.lab import Lab
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.ping import reaches
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode
from rhp.lab.strongswan import StrongSwan
from rhp.lab.swanconf import SwanAuth, SwanChild, SwanConnection

pytestmark = pytest.mark.interop

GATE, USER, OTHER = "gate.example.org", "user.example.org", "other.example.org"
SECRET = "a shared secret of the lab"
CLIENT, FIRST, SECOND = "172.30.0.1", "172.30.0.2", "172.30.0.3"
INNER, INSIDE = "10.98.0.1", "10.98.1.1"


class World:
    """charon at CLIENT, rhp at FIRST and at SECOND, all on one cable network."""

    def __init__(self, lab, programs, *, settings=None, others=None):
        client, first, second = lab.namespace("client"), lab.namespace("first"), lab.namespace("second")
        for host, name, address in ((first, "eth0", FIRST), (second, "eth1", SECOND)):
            client.link(host, name, "eth0")
            host.address("eth0", f"{address}/24")
        client.ip("link add outer type bridge", "link set eth0 master outer", "link set eth1 master outer")
        client.ip("link set outer up")
        client.address("outer", f"{CLIENT}/24")
        client.address("lo", f"{INNER}/32")
        self.gateways = [
            lab.keep(RhpNode(host, lab.path(host.name), configuration(others))) for host in (first, second)
        ]
        child = SwanChild("up", (f"{INNER}/32",), (f"{INSIDE}/32",))
        up = SwanConnection(
            "up", CLIENT, FIRST, SwanAuth(USER), SwanAuth(GATE), (child,), psk=SECRET, settings={"unique": "never"}
        )
        self.swan = lab.keep(StrongSwan(client, lab.path("strongswan"), [up], settings, programs))

    def is_at(self, number):
        """Whether the client is up at that gateway, alone, and pings it through the tunnel."""
        here, there = self.gateways[number], self.gateways[1 - number]
        entry = here.connection("down")
        if entry["state"] != "established" or not entry["children"]:
            return False
        return there.connection("down")["state"] != "established" and reaches(
            self.swan.namespace, INSIDE, source=INNER, tries=3
        )

    def log(self):
        return self.swan.log.read_text(errors="replace")


def configuration(others=None):
    child = tunnel([f"{INSIDE}/32"], [f"{INNER}/32"], esp_proposals=["aes128gcm16"])
    down = {**psk(GATE, USER, SECRET), "proposals": ["aes128gcm16-prfsha256-x25519"], "children": {"lan": child}}
    return {"interface": {"addresses": [f"{INSIDE}/32"]}, "connections": {"down": down, **(others or {})}}


@pytest.fixture
def world(programs):
    with Lab() as lab:
        yield lambda **more: World(lab, programs, **more)


def test_in_informational(world, feature):
    made = world()
    with feature("redirect in INFORMATIONAL", role="responder", peer=made.swan):
        made.swan.initiate("up")
        wait_until(lambda: made.is_at(0), 30, "the client being at the first gateway")
        assert "1 sent to" in made.gateways[0].command("redirect", "down", SECOND)
        wait_until(lambda: made.is_at(1), 30, "the client being at the second gateway")
    wait_until(lambda: len(made.swan.sas("up")) == 1, 30, "charon having let go of the first IKE SA")
    assert re.search(r"N\(REDIR_FROM\)", made.log())
    assert "Traceback" not in made.gateways[0].process.text() + made.gateways[1].process.text()


def test_in_ike_sa_init(world, feature):
    made = world()
    with feature("redirect in IKE_SA_INIT", role="responder", peer=made.swan):
        assert "0 sent to" in made.gateways[0].command("redirect", "down", SECOND)
        made.swan.initiate("up")
        wait_until(lambda: made.is_at(1), 30, "the client being at the second gateway")
    assert made.gateways[0].status()["counters"]["engine"]["redirected"] == 1
    assert made.gateways[0].status()["counters"]["engine"].get("ike-established", 0) == 0
    # Nobody is sent away any more: home again.
    made.gateways[0].command("redirect", "down", "--off")
    made.swan.terminate("up")
    made.swan.initiate("up")
    wait_until(lambda: made.is_at(0), 30, "the client being at the first gateway")


def test_in_ike_auth(world, feature):
    """The gateway serves others on the same path, so it has to hear first who calls.

    strongSwan 5.9.8 reads what it is told, and then stops: it begins anew while its tasks of IKE_AUTH still run, and
    the new IKE_SA_INIT never leaves. There it can be seen that it understood, and that the gateway lets go of it.
    """
    other = {**psk(GATE, OTHER, SECRET), "proposals": ["aes128gcm16-prfsha256-x25519"]}
    made = world(others={"other": other})
    first = made.gateways[0]
    with feature("redirect in IKE_AUTH, understood", role="responder", peer=made.swan):
        first.command("redirect", "down", SECOND)
        with contextlib.suppress(CommandFailed):
            made.swan.initiate("up")
        wait_until(lambda: f"redirected to {SECOND}" in made.log(), 30, "charon being told")
        assert re.search(r"parsed IKE_AUTH response \d+ \[ IDr AUTH .*N\(REDIR\)", made.log())
        assert first.status()["counters"]["engine"]["ike-established"] == 1
        # Without the client's DELETE the gateway waits ten seconds, and sends its own into the void.
        first.wait_connection("down", lambda entry: entry["state"] != "established", 60)
    if made.swan.version() == "strongSwan 5.9.8":
        assert first.status()["counters"]["engine"]["redirect-ignored"] == 1
        return
    with feature("redirect in IKE_AUTH, followed", role="responder", peer=made.swan):
        wait_until(lambda: made.is_at(1), 30, "the client being at the second gateway")


def test_client_that_does_not_follow_is_served(world):
    made = world(settings={"follow_redirects": False})
    made.gateways[0].command("redirect", "down", SECOND)
    made.swan.initiate("up")
    wait_until(lambda: made.is_at(0), 30, "the client being at the first gateway")
    assert "1 cannot follow" in made.gateways[0].command("redirect", "down", SECOND)
    assert made.is_at(0)
