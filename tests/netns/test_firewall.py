"""A gateway that forwards, masquerades and keeps apart by itself, and leaves nothing of it behind."""

import pytest

from rhp.lab.lab import Lab
from rhp.lab.nodeconf import psk, tunnel
from rhp.lab.pair import SECRET, TAP
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.programs import find
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import outer, switch

pytestmark = pytest.mark.netns

GATE, CLIENTS = "gate", ("anna", "bert")
BEYOND = "198.51.100.7"
FORWARD = "/proc/sys/net/ipv4/ip_forward"


def gateway():
    net = tunnel(["0.0.0.0/0"], [])
    behind = ["10.88.0.0/16", "198.51.100.0/24"]
    return {
        "interface": {"name": TAP, "addresses": ["10.88.0.1/24"]},
        "hubs": {"guests": {"interface": {"addresses": ["10.88.1.1/24"]}}},
        "pools": {name: {"addresses": [f"10.88.{n}.0/24"], "subnets": behind} for n, name in enumerate(CLIENTS)},
        "firewall": {"forward": True, "masquerade": ["10.88.0.0/16"], "isolate": True},
        "connections": {
            name: {
                **psk("gate.example.org", f"{name}@example.org", SECRET),
                "pools": [name],
                "children": {"net": net},
                **hub,
            }
            for name, hub in zip(CLIENTS, ({}, {"hub": "guests"}), strict=True)
        },
    }


def client(name):
    office = {
        **psk(f"{name}@example.org", "gate.example.org", SECRET),
        "remote_addrs": [outer(1)],
        "request_addresses": True,
        "children": {"net": tunnel([], ["0.0.0.0/0"])},
    }
    return {"interface": {"name": TAP}, "connections": {GATE: office}}


class World:
    """A gateway, two clients, and a host beyond that knows no way back to any inner address."""

    def __init__(self, lab):
        self.gate, *self.clients = switch(lab, [GATE, *CLIENTS])
        self.beyond = lab.namespace("beyond")
        self.gate.link(self.beyond, "wan0", "eth0")
        self.gate.address("wan0", "198.51.100.1/24")
        self.beyond.address("eth0", f"{BEYOND}/24")
        self.node = lab.keep(RhpNode(self.gate, lab.path(GATE), gateway()))
        self.ends = [
            lab.keep(RhpNode(host, lab.path(name), client(name)))
            for host, name in zip(self.clients, CLIENTS, strict=True)
        ]
        for end in self.ends:
            end.wait_established(GATE)
        wait_until(lambda: all(map(self.inner, range(2))), 30, "the addresses")
        wait_until(lambda: all(map(self.routed, range(2))), 30, "the routes")

    def inner(self, number):
        assigned = self.ends[number].connection(GATE)["assigned"]
        return assigned["addresses"][0].split("/")[0] if assigned else None

    def routed(self, number):
        return "198.51.100.0/24" in self.clients[number].run(["ip", "route", "show", "dev", TAP])

    def rules(self):
        return self.gate.run([find("nft"), "list", "ruleset"])

    def forwarding(self):
        return self.gate.run(["cat", FORWARD]).strip()


@pytest.fixture(scope="module")
def world():
    with Lab() as lab:
        made = World(lab)
        yield made
        assert "Traceback" not in made.node.process.text()


def test_clients_reach_what_is_beyond_at_the_gateways_address(world):
    assert world.forwarding() == "1"
    assert "masquerade" in world.rules()
    for host in world.clients:
        assert reaches(host, BEYOND)


def test_clients_of_two_hubs_do_not_reach_each_other_and_it_is_the_rule_that_keeps_them_apart(world):
    assert reaches(world.gate, world.inner(1))
    assert ping(world.clients[0], world.inner(1), count=2, wait=0.5).received == 0
    world.gate.run([find("nft"), "flush", "chain", "inet", f"rhp-{TAP}", "forward"])
    assert reaches(world.clients[0], world.inner(1))


def test_a_killed_guard_leaves_it_to_its_next_start_and_an_end_leaves_nothing(world):
    world.node.kill()
    assert "rhp-" in world.rules()
    assert world.forwarding() == "1"
    world.node.start()
    assert world.rules().count("table inet rhp-") == 1
    world.node.stop()
    assert world.rules() == ""
    assert world.forwarding() == "0"


def test_without_a_firewall_in_the_configuration_what_was_left_goes_too(world):
    world.node.start()
    world.node.kill()
    assert world.rules() != ""
    before = world.node.file.read_text()
    begin, end = before.index("[firewall]"), before.index("[connections")
    world.node.file.write_text(before[:begin] + before[end:])
    world.node.start()
    assert world.rules() == ""
    assert world.forwarding() == "0"
    world.node.stop()
