"""Routes of two hubs side by side: what happens to the interface of one is no business of the other's tunnels."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from rhp.crypto.proposal import default_esp_proposals
from rhp.guard.policy import PskSecret
from rhp.guard.protocol import AddRoute, CaptureTraffic, ConfigureLink, Refused, RemoveRoute
from rhp.ike.config import ChildConfig
from rhp.node.settings import HubSettings, InterfaceSettings
from rhp.node.tunnels import Tunnels
from rhp.realm.policy import PortPolicy
from rhp.wire.iana import TsType
from rhp.wire.ts import TrafficSelector

KEY = b"0123456789abcdef"
TEN = TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, ip_address("10.0.0.0"), ip_address("10.255.255.255"))
BEHIND = {"own": "10.98.0", "blue": "10.99.0"}
HUBS = {"own": "", "blue": "blue"}


class TwoHubs:
    """A rig with a tunnel in IP in each hub, and with who looks after the routes of either."""

    def __init__(self, make_rig, make_connection, make_wire):
        connections, peers = [], []
        for number, (name, prefix) in enumerate(BEHIND.items(), 2):
            there = TrafficSelector(
                TsType.IPV4_ADDR_RANGE, 0, 0, 65535, ip_address(f"{prefix}.0"), ip_address(f"{prefix}.255")
            )
            us, them = "a.example", f"{name}.example"
            child = ChildConfig("net", "tunnel", (TEN,), (there,), default_esp_proposals())
            mirror = ChildConfig("net", "tunnel", (there,), (TEN,), default_esp_proposals())
            one = make_connection(name, us, them, f"192.0.2.{number}", children=(child,))
            connections.append(replace(one, policy=PortPolicy(hub=HUBS[name])))
            back = make_connection("back", them, us, children=(mirror,))
            peers.append(make_rig((back,), (PskSecret("back", key=KEY),), address=f"192.0.2.{number}"))
        secrets = tuple(PskSecret(name, key=KEY) for name in BEHIND)
        self.rig = make_rig(tuple(connections), secrets, address="192.0.2.1", hubs={"blue": HubSettings()})
        self.peers = peers
        self.wire = make_wire(self.rig, *peers)
        self.interfaces = {
            "": InterfaceSettings(name="rhp0", addresses=(ip_interface("10.77.0.1/24"),), mtu=1400),
            "blue": InterfaceSettings(name="rhp-blue", addresses=(ip_interface("10.78.0.1/24"),), mtu=1400),
        }
        self.tunnels = {hub: self._tunnels(hub) for hub in HUBS.values()}
        self.rig.adapter._tunnels = self

    def _tunnels(self, hub):
        rig = self.rig
        return Tunnels(
            rig.children, rig.queue, rig.journal, self.interfaces[hub], 1400, lambda: rig.ours, tuple, self.ends, hub
        )

    def ends(self, lineage):
        raise AssertionError("nobody has to know where a peer may be")

    def installed(self, lineage):
        self.tunnels[lineage.policy.hub].installed(lineage)

    def ended(self, lineage):
        self.tunnels[lineage.policy.hub].ended(lineage)

    def moved(self, lineage):
        self.tunnels[lineage.policy.hub].moved(lineage)

    async def asked(self, *kinds):
        """What the guard was asked since the last time."""
        await self.rig.queue.drained()
        found = [one for one in self.rig.guard.asked if isinstance(one, kinds)]
        self.rig.guard.asked.clear()
        return found


@pytest.fixture
def story(make_rig, make_connection, make_wire):
    def play(tell):
        async def run():
            hubs = TwoHubs(make_rig, make_connection, make_wire)
            hubs.rig.keeper.start()
            await hubs.wire.settle(until=lambda: len(hubs.rig.named("ChildEstablished")) == len(BEHIND))
            try:
                await tell(hubs)
                assert hubs.rig.adapter.counters["step-failed"] == 0
            finally:
                for rig in (hubs.rig, *hubs.peers):
                    await rig.close()

        asyncio.run(asyncio.wait_for(run(), 20))

    return play


@pytest.mark.parametrize(("hub", "prefix"), [("", "10.98.0"), ("blue", "10.99.0")])
def test_other_addresses_of_one_interface_leave_the_routes_of_the_other(story, hub, prefix):
    async def tell(hubs):
        before = {(one.destination, one.interface) for one in await hubs.asked(AddRoute)}
        assert before == {("10.98.0.0/24", "rhp0"), ("10.99.0.0/24", "rhp-blue")}
        other = replace(hubs.interfaces[hub], addresses=(ip_interface("10.79.0.1/24"),))
        hubs.tunnels[hub].adopt(other, 1400)
        gone, new = await hubs.asked(AddRoute, RemoveRoute, ConfigureLink)
        destination = f"{prefix}.0/24"
        assert gone == RemoveRoute(destination, other.name, hubs.interfaces[hub].addresses[0].ip.compressed)
        assert new == AddRoute(destination, other.name, "10.79.0.1")
        assert {one.connection: [route.interface for route in one.routes] for one in hubs.rig.children} == {
            "own": ["rhp0"],
            "blue": ["rhp-blue"],
        }

    story(tell)


def test_a_peer_that_moves_is_looked_for_only_where_traffic_is_captured(story):
    async def tell(hubs):
        await hubs.asked()
        for lineage in hubs.rig.children:
            hubs.moved(lineage)
        assert await hubs.asked(AddRoute, RemoveRoute, CaptureTraffic) == []
        lineage = next(iter(hubs.rig.children))
        lineage.captures.append(CaptureTraffic("rhp0", "0.0.0.0/0", ("192.0.2.2",), "10.88.0.2", "10.0.0.1"))
        with pytest.raises(AssertionError, match="nobody has to know"):
            hubs.moved(lineage)
        lineage.captures.clear()

    story(tell)


def refusing(guard, source):
    """The guard refuses routes from that address, which the kernel does not know any more."""
    ask = guard.ask

    async def refuse(question):
        answer = await ask(question)
        return Refused("Invalid argument") if getattr(question, "source", None) == source else answer

    guard.ask = refuse
    return ask


def test_a_route_outlives_the_address_that_it_is_sourced_from(story):
    """It is asked for again; where the address has really gone it stands without, until that is back."""
    ours, bare = AddRoute("10.98.0.0/24", "rhp0", "10.5.0.1"), AddRoute("10.98.0.0/24", "rhp0")
    gone = [RemoveRoute(one.destination, one.interface, one.source) for one in (ours, bare)]

    async def tell(hubs):
        hubs.interfaces[""] = replace(hubs.interfaces[""], addresses=())
        own = hubs.tunnels[""]
        own.adopt(hubs.interfaces[""], 1400)
        await hubs.asked(AddRoute, RemoveRoute)
        for ip, questions in (("192.0.2.1", []), ("10.5.0.1", [gone[1], ours])):
            hubs.rig.ours = {ip_address(ip)}
            own.readdress()
            assert await hubs.asked(AddRoute, RemoveRoute) == questions
        # A moment's absence: it is the same one, and a higher or lower address beside it changes nothing.
        hubs.rig.ours.add(ip_address("10.4.0.1"))
        own.readdress()
        assert await hubs.asked(AddRoute, RemoveRoute) == [ours]
        hubs.rig.ours = {ip_address("192.0.2.1")}
        granting = refusing(hubs.rig.guard, "10.5.0.1")
        own.readdress()
        assert await hubs.asked(AddRoute, RemoveRoute) == [ours, gone[0], bare]
        hubs.rig.guard.ask = granting
        hubs.rig.ours = {ip_address("10.5.0.1")}
        own.readdress()
        assert await hubs.asked(AddRoute, RemoveRoute) == [gone[1], ours]

    story(tell)


def test_a_route_from_the_interface_s_own_address_is_not_asked_for_again(story):
    async def tell(hubs):
        await hubs.asked(AddRoute, RemoveRoute)
        for tunnels in hubs.tunnels.values():
            tunnels.readdress()
        assert await hubs.asked(AddRoute, RemoveRoute) == []

    story(tell)
