"""A NAT between rhp and strongSwan (RFC 7296 section 2.23, RFC 3948): before either or both, and one that forgets."""

import pytest

from rhp.lab.lab import Lab
from rhp.lab.meeting import meet
from rhp.lab.nat import natted
from rhp.lab.process import wait_until
from rhp.lab.transfer import Transfer

pytestmark = pytest.mark.interop

HIDDEN = {"rhp": (True, False), "strongSwan": (False, True), "both": (True, True)}
SIZE = 2_000_000


class World:
    """One connection; who is behind a NAT calls, and a NAT that is called hands on the IKE ports."""

    def __init__(self, lab, hidden, programs, dpd_delay=1):
        self.net = natted(lab, HIDDEN[hidden])
        own = {"local_addrs": "10.1.2.2"} if self.net.gates[1] else {}
        settings = {"keep_alive": "1s"}
        more = {"theirs": own, "settings": settings, "addresses": self.net.addresses}
        # libipsec follows no ESP, so it is rhp's liveness check that shows strongSwan another port.
        self.met = meet(lab, self.net.hosts, programs, ours={"dpd_delay": dpd_delay}, **more)
        self.caller = "strongSwan" if hidden == "strongSwan" else "rhp"
        self.role = "responder" if hidden == "strongSwan" else "initiator"
        if hidden == "both":
            self.net.gates[1].forward()

    @property
    def gate(self):
        """The one before who calls."""
        return self.net.gates[self.caller == "strongSwan"]

    def remote(self):
        return self.met.entry()["path"]["remote"]


@pytest.fixture(scope="session", autouse=True)
def silent(newest):
    """A connection that is left alone while other things are done here: rhp sends a keep-alive every 20 s."""
    with Lab() as lab:
        made = World(lab, "rhp", newest, dpd_delay=0)
        made.met.establish("rhp")
        yield made


@pytest.fixture(scope="module", params=HIDDEN)
def world(request, programs):
    with Lab() as lab:
        made = World(lab, request.param, programs)
        made.name = f"NAT before {request.param}"
        yield made
        assert "Traceback" not in made.met.node.process.text()


def test_tunnel_rekeys_and_tcp(feature, world):
    met = world.met
    with feature(f"{world.name}: tunnel, TCP, rekeys of both kinds", role=world.role, peer=met.swan):
        met.establish(world.caller)
        nat = met.entry()["nat"]
        assert nat["local"] == (world.net.gates[0] is not None)
        # libipsec says that it is behind a NAT in any case, to get its UDP.
        assert nat["remote"]
        for sender, receiver, address in ((0, 1, met.inner[1]), (1, 0, met.inner[0])):
            assert Transfer(world.net.hosts[sender], world.net.hosts[receiver], address).run(SIZE)
        for act, ike in met.rekeys():
            met.rekey(act, ike=ike)


def test_the_nat_forgets_in_mid_flow(feature, world):
    """The mapping is gone and the next packet from behind gets another port: whoever can is to follow it."""
    met, gate = world.met, world.gate
    with feature(f"{world.name}: another port in mid-flow", role=world.role, peer=met.swan):
        ike = met.spis()[1]

        def forget():
            gate.masquerade(30000, 30099)
            gate.forget()

        sender, receiver = (0, 1) if world.caller == "rhp" else (1, 0)
        assert Transfer(world.net.hosts[sender], world.net.hosts[receiver], met.inner[receiver]).run(
            SIZE, during=forget
        )
        if world.caller == "strongSwan":
            wait_until(lambda: 30000 <= int(world.remote().split(":")[1]) < 30100, 30, "rhp following the port")
        met.agree()
        # strongSwan may replace the Child SA on that occasion, where it cannot move it.
        assert met.spis()[1] == ike


@pytest.mark.parametrize("hidden", ["strongSwan", "both"])
def test_keepalives_of_strongswan(feature, programs, hidden):
    """It sends one where it sent nothing else for a second, so rhp's liveness check must not have it answer."""
    with Lab() as lab:
        world = World(lab, hidden, programs, dpd_delay=0)
        with feature(f"NAT before {hidden}: NAT keep-alives by strongSwan", role="responder", peer=world.met.swan):
            world.met.establish(world.caller)
            before = world.net.gates[1].keepalives()
            wait_until(lambda: world.net.gates[1].keepalives() > before, 30, "a keep-alive")
            world.met.agree()


def test_keepalives_of_rhp(feature, silent):
    """One octet in UDP, which the other side takes for nothing (RFC 3948 section 2.3)."""
    with feature("NAT before rhp: NAT keep-alives by rhp", role="initiator", peer=silent.met.swan):
        wait_until(lambda: silent.gate.keepalives() > 0, 60, "a keep-alive")
        silent.met.agree()
