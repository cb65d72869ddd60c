"""Two hubs on one node: stations with one MAC and one address live in both, and never hear of each other."""

import pytest

from rhp.lab.frames import BROADCAST, ETH_P_EXPERIMENT, FrameSocket, ethernet, mac
from rhp.lab.lab import Lab
from rhp.lab.nodeconf import psk
from rhp.lab.pair import SECRET, TAP
from rhp.lab.ping import ping, reaches
from rhp.lab.process import wait_until
from rhp.lab.rhpnode import RhpNode
from rhp.lab.topology import outer, switch

pytestmark = pytest.mark.netns

HUB = "hub.example.org"
BLUE = "blue0"
OWN, OTHER = ("b", "c"), ("d", "e")
NUMBERS = {"b": 2, "c": 3, "d": 2, "e": 3}
STRANGER = mac("02:00:00:00:00:99")
MAC = "02:00:00:00:77:0{}"


def gateway():
    peers = {name: psk(HUB, f"{name}.example.org", SECRET) for name in OWN}
    peers |= {name: psk(HUB, f"{name}.example.org", SECRET, hub="blue") for name in OTHER}
    return {
        "interface": {"addresses": ["10.77.0.1/24"]},
        "hubs": {"blue": {"interface": {"name": BLUE, "addresses": ["10.78.0.1/24"]}}},
        "connections": peers,
    }


def spoke(name):
    up = {**psk(f"{name}.example.org", HUB, SECRET), "remote_addrs": [outer(1)]}
    number = NUMBERS[name]
    interface = {"addresses": [f"10.77.0.{number}/24", f"10.78.0.{number}/24"], "mac": MAC.format(number)}
    return {"interface": interface, "connections": {"up": up}}


class Street:
    """The gateway, two peers in its own hub and two in the other, and an ear at every interface."""

    def __init__(self, lab):
        hosts = dict(zip(("a", *NUMBERS), switch(lab, ("a", *NUMBERS)), strict=True))
        self.gateway = lab.keep(RhpNode(hosts["a"], lab.path("a"), gateway()))
        self.nodes = {name: lab.keep(RhpNode(hosts[name], lab.path(name), spoke(name))) for name in NUMBERS}
        for node in self.nodes.values():
            node.wait_established("up")
        self.ears = {name: FrameSocket(node.namespace, TAP) for name, node in self.nodes.items()}
        self.ears |= {interface: FrameSocket(self.gateway.namespace, interface) for interface in (TAP, BLUE)}

    def heard(self, frame, *expected):
        """The frame comes to these, and when it is there, to nobody else of those who do not expect it."""
        for name in expected:
            self.ears[name].expect(lambda seen: seen == frame)
        # What one lane does with a frame it does at once: what came in after it was carried after it.
        self.sweep()
        return {name for name in self.ears if name not in expected and frame in self.waiting(name)}

    def sweep(self):
        for name, node in self.nodes.items():
            assert reaches(node.namespace, f"10.7{7 if name in OWN else 8}.0.1")

    def waiting(self, name):
        return list(self.ears[name].incoming(0.05))

    def close(self):
        for ear in self.ears.values():
            ear.close()


@pytest.fixture(scope="module")
def street():
    with Lab() as lab:
        made = Street(lab)
        yield made
        made.close()
        for node in (made.gateway, *made.nodes.values()):
            assert "Traceback" not in node.process.text()
            assert node.process.status is None


def test_everybody_reaches_those_of_the_own_hub(street):
    for one, other in (OWN, OTHER):
        for near, far in ((one, other), (other, one)):
            assert reaches(street.nodes[near].namespace, f"10.77.0.{NUMBERS[far]}")


def test_the_gateway_has_an_address_in_each(street):
    for name, node in street.nodes.items():
        here, there = ("10.77.0.1", "10.78.0.1") if name in OWN else ("10.78.0.1", "10.77.0.1")
        assert reaches(node.namespace, here)
        assert ping(node.namespace, there, count=1, wait=0.3).received == 0


@pytest.mark.parametrize(("sender", "own"), [("b", ("c", TAP)), ("d", ("e", BLUE))])
@pytest.mark.parametrize("destination", [BROADCAST, STRANGER], ids=["broadcast", "unknown"])
def test_what_is_flooded_stays_in_its_hub(street, sender, own, destination):
    ear = street.ears[sender]
    frame = ethernet(destination, ear.mac, ETH_P_EXPERIMENT, b"from " + sender.encode())
    ear.send(frame)
    assert street.heard(frame, *own) == set()


@pytest.mark.parametrize(("sender", "own"), [(TAP, OWN), (BLUE, OTHER)])
def test_what_the_gateway_floods_stays_in_its_hub(street, sender, own):
    ear = street.ears[sender]
    frame = ethernet(BROADCAST, ear.mac, ETH_P_EXPERIMENT, b"from the gateway's " + sender.encode())
    ear.send(frame)
    assert street.heard(frame, *own) == set()


@pytest.mark.parametrize(("sender", "target"), [("b", "c"), ("d", "e")])
def test_of_two_stations_with_one_mac_each_gets_its_own_letters(street, sender, target):
    near, far = street.ears[sender], street.ears[target]
    assert street.ears["c"].mac == street.ears["e"].mac
    letter = ethernet(far.mac, near.mac, ETH_P_EXPERIMENT, b"a letter from " + sender.encode())
    near.send(letter)
    assert street.heard(letter, target) == set()


def test_nobody_answers_for_an_address_of_another_hub(street):
    """e alone has it, and b, who has the same addresses as d, asks in vain."""
    e = street.nodes["e"].namespace
    e.run(["ip", "address", "add", "10.77.0.33/24", "dev", TAP])
    assert reaches(street.nodes["d"].namespace, "10.77.0.33")
    for ear in street.ears.values():
        list(ear.incoming(0.01))
    assert ping(street.nodes["b"].namespace, "10.77.0.33", count=2, wait=0.3).received == 0
    asked = bytes((10, 77, 0, 33))
    assert not any(asked in frame for name in ("d", "e", BLUE) for frame in street.waiting(name))


def test_the_status_tells_of_each_hub(street):
    status = street.gateway.status()
    own, blue = status["hubs"]
    assert [own["name"], blue["name"]] == [None, "blue"]
    assert [own["interface"]["name"], blue["interface"]["name"]] == [TAP, BLUE]
    assert own["interface"]["mac"] != blue["interface"]["mac"]
    assert [own["ports"], blue["ports"]] == [2, 2]
    assert own["counters"]["tap-frames-in"] > 0
    assert blue["counters"]["tap-frames-in"] > 0
    for number in (2, 3):
        found = {(one["hub"], one["connection"]) for one in status["macs"] if one["mac"] == MAC.format(number)}
        assert found == {(None, OWN[number - 2]), ("blue", OTHER[number - 2])}
    shown = street.gateway.command("status")
    assert "blue" in shown
    assert BLUE in shown


def test_an_interface_that_vanishes_is_its_own_hubs_business(street):
    a = street.gateway.namespace
    a.run(["ip", "link", "delete", BLUE])
    assert reaches(street.nodes["b"].namespace, "10.77.0.1")
    assert reaches(street.nodes["d"].namespace, "10.77.0.3")
    wait_until(lambda: "tap restored" in street.gateway.process.text(), 60, "the interface of the other hub is back")
    assert reaches(street.nodes["d"].namespace, "10.78.0.1")
    log = street.gateway.process.text()
    assert log.count("tap lost") == log.count("tap restored") == 1
