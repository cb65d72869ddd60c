"""What the rooms of a node do when there is another configuration: hub, interface, routes, and who is called."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from rhp.crypto.proposal import default_esp_proposals
from rhp.guard.policy import PskSecret
from rhp.guard.protocol import AddRoute, ConfigureLink, Refused, RemoveAddress, RemoveRoute
from rhp.ike import events
from rhp.ike.config import ChildConfig, EngineConfig
from rhp.ike.errors import Fault
from rhp.node.changes import Able, difference
from rhp.node.hubs import Hubs
from rhp.node.rooms import Rooms
from rhp.node.settings import HubSettings, InterfaceSettings, NodeSettings
from rhp.pki.identity import parse_identity
from rhp.realm.policy import PortPolicy
from rhp.wire.iana import TsType
from rhp.wire.ts import TrafficSelector

KEY = b"0123456789abcdef"
FIRST, SECOND = ip_interface("10.77.0.1/24"), ip_interface("10.78.0.1/24")


class Furnished:
    """A rig with its rooms, and the configuration that it goes by."""

    def __init__(self, rig, settings, connections):
        self.rig = rig
        self.settings, self.engine = settings, EngineConfig(connections)
        hubs = Hubs(
            rig.guard,
            rig.plane,
            rig.journal,
            rig.queue,
            rig.children,
            settings,
            connections,
            lambda: rig.ours,
            lambda lineage: [],
        )
        hubs.own.tunnels = rig.tunnels
        for address in settings.interface.addresses:
            rig.plane.ports[0] = {}
            rig.plane.add_neighbour(str(address.ip), hubs.own.mac, 0)
        self.names, self.expected = {one.name for one in connections}, rig.expected
        self.rooms = Rooms(
            rig.engine,
            rig.adapter.command,
            rig.keeper,
            rig.children,
            hubs,
            rig.queue,
            rig.journal,
            self.names,
            self.expected,
            lambda config: config,
            lambda interfaces: None,
        )

    async def follow(self, settings=None, connections=None):
        new = settings or self.settings
        engine = replace(self.engine, connections=self.engine.connections if connections is None else connections)
        changes = difference((self.settings, self.engine), (new, engine), {}, Able(raw_esp=False, assigned=False))
        self.settings, self.engine = new, engine
        return await self.rooms.follow(new, engine, changes)


@pytest.fixture
def furnished(make_rig, make_connection, make_wire):
    """Two rigs with a tunnel in IP between them; the first one has its rooms."""

    def selector(first, last):
        return TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, ip_address(first), ip_address(last))

    ours, theirs = selector("10.77.0.0", "10.78.255.255"), selector("10.99.0.0", "10.99.255.255")

    def child(local, remote):
        return ChildConfig("net", "tunnel", (local,), (remote,), default_esp_proposals())

    def make():
        settings = NodeSettings(interface=InterfaceSettings(addresses=(FIRST,), mtu=1422))
        one = make_connection("up", "a.example", "b.example", "192.0.2.2", children=(child(ours, theirs),))
        other = make_connection("down", "b.example", "a.example", children=(child(theirs, ours),))
        a = make_rig(
            (one,),
            (PskSecret("up", "a.example", "b.example", key=KEY), PskSecret("more", key=KEY)),
            address="192.0.2.1",
            interface=settings.interface,
        )
        b = make_rig((other,), (PskSecret("down", "b.example", "a.example", key=KEY),), address="192.0.2.2")
        a.keeper.start()
        return Furnished(a, settings, (one,)), b, make_wire(a, b)

    return make


def asked(rig, *kinds):
    return [one for one in rig.guard.asked if isinstance(one, kinds)]


def story(furnished, tell):
    async def run():
        node, b, wire = furnished()
        await wire.settle(lambda: node.rig.children.smallest_mtu() is not None)
        await node.rig.queue.drained()
        node.rig.guard.asked.clear()
        try:
            await tell(node, b, wire)
            assert node.rig.adapter.counters["step-failed"] == 0
        finally:
            await node.rig.close()
            await b.close()

    asyncio.run(run())


def test_the_same_asks_the_guard_nothing(furnished):
    async def tell(node, b, wire):
        assert await node.follow() == []
        await node.rig.queue.drained()
        assert node.rig.guard.asked == []
        assert node.rig.named("IkeClosed") == []

    story(furnished, tell)


def test_the_hub_behaves_otherwise(furnished):
    async def tell(node, b, wire):
        hub = HubSettings(isolate=True, mac_ageing=30, mss_clamp=1200)
        await node.follow(replace(node.settings, hub=hub))
        assert node.rig.plane.hub["isolate"] and node.rig.plane.hub["mac_ageing"] == 30
        (port,) = (one for number, one in node.rig.plane.ports.items() if number)
        assert port["mss"] == 1200

    story(furnished, tell)


def test_what_holds_for_the_packets_of_a_peer_holds_at_once(furnished):
    async def tell(node, b, wire):
        (one,) = node.engine.connections
        await node.follow(connections=(replace(one, policy=PortPolicy(mss_clamp=1111, path_mtu=1300)),))
        (port,) = (one for number, one in node.rig.plane.ports.items() if number)
        assert port["mss"] == 1111 and port["limit"] < 1300
        assert node.rig.named("IkeClosed") == []

    story(furnished, tell)


def test_addresses_are_taken_back_first_and_routes_follow(furnished):
    async def tell(node, b, wire):
        interface = replace(node.settings.interface, addresses=(SECOND,))
        assert await node.follow(replace(node.settings, interface=interface)) == []
        await node.rig.queue.drained()
        kinds = [type(one) for one in node.rig.guard.asked]
        assert kinds == [RemoveAddress, ConfigureLink, RemoveRoute, AddRoute]
        (old,), (new,) = asked(node.rig, RemoveRoute), asked(node.rig, AddRoute)
        assert (old.source, new.source) == ("10.77.0.1", "10.78.0.1")
        assert old.destination == new.destination == "10.99.0.0/16"
        assert set(node.rig.plane.neighbours) == {"10.78.0.1"}
        assert node.rig.named("IkeClosed") == []

    story(furnished, tell)


def test_what_the_guard_refuses_comes_back_as_a_sentence(furnished):
    async def tell(node, b, wire):
        node.rig.guard.refusals = {ConfigureLink: "no room"}
        interface = replace(node.settings.interface, addresses=(FIRST, SECOND))
        assert await node.follow(replace(node.settings, interface=interface)) == ["no room", "no room"]

    story(furnished, tell)


def test_the_mtu_follows_the_file_and_then_the_tunnels_again(furnished):
    async def tell(node, b, wire):
        narrow = replace(node.settings.interface, mtu=1300)
        plain = node.settings
        await node.follow(replace(plain, interface=narrow))
        await node.follow(plain)
        await node.rig.queue.drained()
        first, *_, last = [one.mtu for one in asked(node.rig, ConfigureLink)]
        assert first == 1300 and last == node.rig.tunnels.mtu > 1300

    story(furnished, tell)


def test_whom_the_keeper_calls(furnished, make_connection):
    async def tell(node, b, wire):
        rig = node.rig
        more = make_connection("more", "a.example", "c.example", "192.0.2.2")
        waiting = replace(make_connection("waiting", "a.example", "d.example", "192.0.2.2"), start="wait")
        await node.follow(connections=(*node.engine.connections, more, waiting))
        assert node.names == {"up", "more", "waiting"} and node.expected["more"] == "c.example"
        await wire.settle(lambda: rig.named("InitiationFailed"))
        assert {event.connection for event in rig.named("InitiationFailed")} == {"more"}
        assert rig.keeper.retry_in("more") is not None
        await node.follow(connections=node.engine.connections[:1])
        assert node.names == {"up"}
        with pytest.raises(KeyError):
            rig.keeper.retry_in("more")
        await node.follow(connections=())
        await wire.settle(lambda: rig.engine.status() == [] and b.engine.status() == [])
        (closed,) = rig.named("IkeClosed")
        assert closed.reason == "connection-removed"

    story(furnished, tell)


def test_what_an_operator_holds_down_stays_down(furnished):
    async def tell(node, b, wire):
        rig = node.rig
        rig.keeper.hold("up")
        (sa,) = rig.engine.status()
        rig.adapter.command(lambda now: rig.engine.close(sa.ike_id, now))
        await wire.settle(lambda: rig.engine.status() == [])
        (one,) = node.engine.connections
        await node.follow(connections=(replace(one, dpd_delay=33.0),))
        await wire.settle()
        assert rig.engine.status() == []
        waits = replace(one, start="wait")
        await node.follow(connections=(waits,))
        await node.follow(connections=(one,))
        await wire.settle(lambda: any(sa.established_at for sa in rig.engine.status()))

    story(furnished, tell)


def test_a_refusal_of_one_question_is_no_refusal_of_all(furnished):
    async def tell(node, b, wire):
        node.rig.guard.refusals = {RemoveAddress: "it was not given by this node"}
        interface = replace(node.settings.interface, addresses=(SECOND,))
        said = await node.follow(replace(node.settings, interface=interface))
        assert said == ["it was not given by this node"]
        assert isinstance(await node.rig.guard.ask(RemoveAddress("rhp0", "10.77.0.1/24")), Refused)

    story(furnished, tell)


def test_what_went_wrong_last_is_known_of_no_connection_that_has_gone(furnished):
    async def tell(node, b, wire):
        journal = node.rig.journal
        silent = events.IkeClosed(1, "up", parse_identity("b.example"), "peer-silent", Fault.NETWORK)
        journal.record(silent)
        assert set(journal.last_errors) == {"up"}
        await node.follow(connections=())
        assert journal.last_errors == {}
        # Its IKE SA ends later, and not in order; that is still told.
        journal.record(silent)
        assert journal.last_errors == {}
        assert journal.failures()[0]["count"] == 2

    story(furnished, tell)
