"""Rekeys: many in a row, both sides at once, and one of them against something else.

"At once" is made by the network, in two ways. On a slow path both requests are under way when either arrives. Behind
a wall both are lost, and one side is already answered when the other's request comes again.
"""

import threading
import time
from contextlib import contextmanager, nullcontext, suppress

import pytest

from rhp.lab.errors import CommandFailed
from rhp.lab.faults import Faults
from rhp.lab.lab import Lab
from rhp.lab.meeting import CHILD, INNER, meet
from rhp.lab.nodeconf import tunnel
from rhp.lab.process import wait_until
from rhp.lab.relay import relayed
from rhp.lab.wall import Wall

pytestmark = pytest.mark.interop

HYBRID_IKE, HYBRID_ESP = "aes128gcm16-prfsha256-x25519-ke1_mlkem768", "aes128gcm16-x25519-ke1_mlkem768"
SLOW = 0.4
"""Seconds to the other side."""
ROUNDS = 3
QUIET = 60.0
"""A side that was refused comes back after some seconds."""


class World:
    """One connection on a network that can be slow or walled."""

    def __init__(self, lab, programs, **more):
        self._net = relayed(lab)
        # strongSwan keeps what it replaced for a while, and then may take that for what it is to rekey.
        self.met = meet(lab, (self._net.a, self._net.b), programs, settings={"delete_rekeyed_delay": 1}, **more)
        self.node, self.swan, self.name = self.met.node, self.met.swan, self.met.name

    @contextmanager
    def slow(self):
        self._net.relay.become(Faults(delay=SLOW))
        try:
            yield
        finally:
            self._net.relay.become(Faults())

    @contextmanager
    def walled(self):
        with Wall((self._net.a, self._net.b)):
            yield
            time.sleep(0.1)

    @contextmanager
    def crossing(self, path):
        """On such a network, what both sides begin before the `with` ends: nothing gets there earlier."""
        with getattr(self, path)(), self._net.relay.held() if path == "slow" else nullcontext():
            yield

    def crossed(self, kind):
        """How many rekeys rhp has seen that crossed one of its own."""
        return self.node.status()["counters"]["engine"].get(f"{kind}-rekeys-crossed", 0)

    def swan_asked(self):
        """How many rekeys strongSwan has begun."""
        return self.swan.log.read_text(errors="replace").count("generating CREATE_CHILD_SA request")

    def both_have_asked(self, before):
        """Wait until both have sent their requests, strongSwan one more than `before`."""
        wait_until(lambda: self.swan_asked() > before, QUIET, "strongSwan's request")
        wait_until(lambda: self.met.entry()["asks"] is not None, QUIET, "rhp's request")

    def up(self):
        """Have the connection, whatever happened before."""
        if not self.met.same_spis():
            self.met.establish("rhp")

    def rest(self):
        """Wait until either side does at once what it is asked for: strongSwan has forgotten deleted pairs, and rhp has
        the answers to what it asked."""
        wait_until(lambda: len(self.met.theirs().children) == 1, QUIET, "strongSwan having forgotten old pairs")
        wait_until(lambda: self.met.entry()["asks"] is None, QUIET, "rhp having its answers")

    def child_again(self):
        """strongSwan makes the child anew; a rekey that rhp put off may just come then, and both try again after it."""
        try:
            self.swan.initiate(self.name)
        except CommandFailed as error:
            assert "trying again" in str(error)
        wait_until(lambda: self.met.entry()["children"], 2 * QUIET, "a child again")

    def settle(self):
        """Both ends name the same single pair, and traffic passes."""
        wait_until(self.met.alone, QUIET, "one pair at each end")
        self.met.agree()


@pytest.fixture(scope="module")
def world(programs):
    with Lab() as lab:
        made = World(lab, programs)
        yield made
        assert "Traceback" not in made.node.process.text()


@pytest.fixture(scope="module")
def hybrid(newest):
    """The same, where each rekey has a key exchange of ML-KEM, in IKE_FOLLOWUP_KE."""
    near, far = (f"{address}/32" for address in INNER)
    ours = {"proposals": [HYBRID_IKE], "children": {CHILD: tunnel([near], [far], esp_proposals=[HYBRID_ESP])}}
    theirs = {"theirs": {"proposals": HYBRID_IKE}, "their_child": {"esp_proposals": HYBRID_ESP}}
    with Lab() as lab:
        made = World(lab, newest, ours=ours, **theirs)
        yield made
        assert "Traceback" not in made.node.process.text()


@contextmanager
def beside(act):
    """Have `act` done in a thread, for swanctl waits for the end of what it asks for; it may be that the other side
    does it first, which swanctl takes for a failure."""

    def quietly():
        with suppress(CommandFailed):
            act()

    thread = threading.Thread(target=quietly)
    thread.start()
    try:
        # It has to start a program first.
        time.sleep(SLOW / 4)
        yield
    finally:
        thread.join()


def test_twenty_rekeys_in_a_row(feature, world):
    world.up()
    with feature("20 rekeys in a row, of both kinds by both sides", role="both", peer=world.swan):
        for _ in range(5):
            for act, ike in world.met.rekeys():
                world.met.rekey(act, ike=ike)
        world.settle()


@pytest.mark.parametrize("path", ["slow", "walled"])
def test_both_rekey_the_child(feature, world, path):
    world.up()
    with feature(f"Child SA rekeyed by both at once, {path}", role="both", peer=world.swan):
        both_rekey(world, path, "child")
    assert "child closed" not in world.node.process.text()


def both_rekey(world, path, kind):
    """Both begin at once, some times; each time one new SA of that kind is left, and the other kind stays."""
    changes, stays = (0, 1) if kind == "child" else (1, 0)
    for _ in range(ROUNDS):
        world.rest()
        before, crossed, asked = world.met.spis(), world.crossed(kind), world.swan_asked()
        with world.crossing(path):
            if kind == "child":
                world.swan.rekey_child(world.name)
                world.node.rekey_child(world.name, CHILD)
            else:
                world.swan.rekey_ike(world.name)
                world.node.rekey_ike(world.name)
            world.both_have_asked(asked)
        wait_until(lambda old=before: world.met.spis()[changes] != old[changes], QUIET, f"another {kind} SA")
        world.settle()
        assert world.met.spis()[stays] == before[stays]
        assert path != "slow" or world.crossed(kind) == crossed + 1


@pytest.mark.parametrize("path", ["slow", "walled"])
def test_both_rekey_the_ike_sa(feature, world, path):
    world.up()
    with feature(f"IKE SA rekeyed by both at once, {path}", role="both", peer=world.swan):
        both_rekey(world, path, "ike")
        # The child is worked on through the one that stayed, from both sides.
        for act, ike in world.met.rekeys()[:2]:
            world.met.rekey(act, ike=ike)
    assert "ike closed" not in world.node.process.text()


@pytest.mark.parametrize("path", ["slow", "walled"])
def test_both_rekey_with_ml_kem(feature, hybrid, path):
    """The nonces are compared before any IKE_FOLLOWUP_KE: the one side goes on and the other stops."""
    hybrid.up()
    with feature(f"Child SA with ML-KEM rekeyed by both at once, {path}", role="both", peer=hybrid.swan):
        both_rekey(hybrid, path, "child")
    with feature(f"IKE SA with ML-KEM rekeyed by both at once, {path}", role="both", peer=hybrid.swan):
        both_rekey(hybrid, path, "ike")
    assert "child closed" not in hybrid.node.process.text()
    assert "ike closed" not in hybrid.node.process.text()
    if path == "slow":
        assert hybrid.node.status()["counters"]["engine"].get("peer-busy", 0) == 0


@pytest.mark.parametrize("path", ["slow", "walled"])
@pytest.mark.parametrize("ours", ["Child SA", "IKE SA"])
def test_one_rekeys_the_child_and_the_other_the_ike_sa(feature, world, path, ours):
    world.up()
    theirs = "IKE SA" if ours == "Child SA" else "Child SA"
    with feature(f"{ours} rekeyed by rhp and {theirs} by strongSwan at once, {path}", role="both", peer=world.swan):
        before = world.met.spis()
        with getattr(world, path)():
            if ours == "Child SA":
                world.swan.rekey_ike(world.name)
                world.node.rekey_child(world.name, CHILD)
            else:
                world.swan.rekey_child(world.name)
                world.node.rekey_ike(world.name)
        wait_until(lambda: world.met.spis() != before, QUIET, "one rekey at least")
        world.settle()


def test_both_delete_the_child(feature, world):
    world.up()
    with feature("Child SA deleted by both at once", role="both", peer=world.swan):
        before = world.met.spis()
        with world.slow(), beside(lambda: world.swan.terminate_child(world.name)):
            world.node.terminate_child(world.name, CHILD)
        wait_until(lambda: not world.met.entry()["children"], QUIET, "rhp having no child")
        wait_until(lambda: not world.swan.sas(world.name)[0].children, QUIET, "strongSwan having no child")
        world.child_again()
        world.settle()
        assert world.met.spis()[1] == before[1]


@pytest.mark.parametrize("deleter", ["rhp", "strongSwan"])
def test_one_deletes_the_child_that_the_other_rekeys(feature, world, deleter):
    """Who deletes wants no child, who rekeys wants one: either may come of it, but the same at both ends."""
    world.up()
    role = "initiator" if deleter == "rhp" else "responder"
    with feature("Child SA deleted by one while the other rekeys it", role=role, peer=world.swan):
        with world.slow():
            if deleter == "rhp":
                world.swan.rekey_child(world.name)
                world.node.terminate_child(world.name, CHILD)
            else:
                with beside(lambda: world.swan.terminate_child(world.name)):
                    world.node.rekey_child(world.name, CHILD)
            time.sleep(3 * SLOW)
        wait_until(world.met.same_children, QUIET, "the same children at both ends")
        if not world.met.entry()["children"]:
            world.child_again()
        world.settle()


def test_both_delete_the_ike_sa(feature, world):
    world.up()
    with feature("IKE SA deleted by both at once", role="both", peer=world.swan):
        with world.slow(), beside(lambda: world.swan.terminate(world.name)):
            world.node.terminate(world.name)
        wait_until(lambda: world.met.entry()["state"] != "established", QUIET, "rhp having no IKE SA")
        wait_until(lambda: world.met.theirs() is None, QUIET, "strongSwan having no IKE SA")
        world.met.establish("strongSwan")
        world.settle()


@pytest.mark.parametrize("deleter", ["rhp", "strongSwan"])
def test_one_deletes_the_ike_sa_that_the_other_rekeys(feature, world, deleter):
    """The DELETE prevails (section 2.25.2)."""
    world.up()
    role = "initiator" if deleter == "rhp" else "responder"
    with feature("IKE SA deleted by one while the other rekeys it", role=role, peer=world.swan):
        with world.slow():
            if deleter == "rhp":
                world.swan.rekey_ike(world.name)
                world.node.terminate(world.name)
            else:
                with beside(lambda: world.swan.terminate(world.name)):
                    world.node.rekey_ike(world.name)
            time.sleep(3 * SLOW)
        wait_until(lambda: world.met.entry()["state"] != "established", QUIET, "rhp having no IKE SA")
        wait_until(lambda: world.met.theirs() is None, QUIET, "strongSwan having no IKE SA")
        world.met.establish("rhp")
        world.settle()
