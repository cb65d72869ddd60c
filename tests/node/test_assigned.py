"""What a peer assigned, on this machine: set when it comes, kept while it is needed, taken away when it is not."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest

from rhp.guard.policy import PskSecret
from rhp.guard.protocol import (
    AddAddress,
    AddRoute,
    CaptureTraffic,
    ClearDns,
    ReleaseTraffic,
    RemoveAddress,
    RemoveRoute,
    SetDns,
)
from rhp.ike import events, moving
from rhp.ike.assignment import Assignment
from rhp.ike.config import ChildConfig
from rhp.ike.errors import Fault
from rhp.ike.path import Endpoint, Path
from rhp.node import keeper as keeper_module
from rhp.node.assigned import DNS_AGAIN_SECONDS, KEEP_SECONDS, Assigned
from rhp.node.pseudomac import pseudo_gateway
from rhp.pki.identity import parse_identity
from rhp.wire.iana import TsType
from rhp.wire.ts import TrafficSelector

PEER = parse_identity("gate.example")
PATH = Path(Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 4500), natt=True)
DNS = (ip_address("10.1.0.53"), ip_address("192.0.2.53"))
HERE = ip_interface("10.88.0.2/32")


def selector(text):
    net = ip_network(text)
    kind = TsType.IPV4_ADDR_RANGE if net.version == 4 else TsType.IPV6_ADDR_RANGE
    return TrafficSelector(kind, 0, 0, 65535, net[0], net[-1])


def given(ike_id, *addresses, connection="office", **more):
    told = Assignment(tuple(map(ip_interface, addresses or (HERE,))), **more)
    return events.AddressesAssigned(ike_id, connection, PEER, PATH, told)


def child(ike_id, child_id=9, *, mode="tunnel", remote=("10.1.0.0/16",), connection="office"):
    sides = (selector("10.88.0.2/32"),), tuple(map(selector, remote))
    return events.ChildEstablished(child_id, ike_id, connection, "net", PEER, mode, 1, 2, "suite", *sides)


def closed(ike_id, connection="office"):
    return events.IkeClosed(ike_id, connection, PEER, "peer-unresponsive", Fault.NETWORK)


class Later:
    """In place of the event loop: what is for later is done when the test lets so many seconds pass."""

    def __init__(self):
        self.now = 0.0
        self.waiting = []

    def call_later(self, seconds, act, *arguments):
        self.waiting.append((self.now + seconds, act, arguments))
        return self.Handle(self, self.waiting[-1])

    def advance(self, seconds):
        self.now += seconds
        for one in [one for one in self.waiting if one[0] <= self.now]:
            self.waiting.remove(one)
            one[1](*one[2])

    class Handle:
        def __init__(self, later, one):
            self.later, self.one = later, one

        def cancel(self):
            if self.one in self.later.waiting:
                self.later.waiting.remove(self.one)


class Desk:
    """An `Assigned` over the rig's fake guard, with the hub's claims noted and time in the test's hand."""

    def __init__(self, rig):
        self.rig = rig
        self.claimed = []
        self.assigned = Assigned(
            rig.queue,
            rig.journal,
            "rhp0",
            lambda ip: self.claimed.append(str(ip)),
            lambda ip: self.claimed.remove(str(ip)),
        )
        self.later = self.assigned._loop = Later()

    async def hear(self, *heard, again=False):
        """The questions that these events lead to."""
        for event in heard:
            self.assigned.heard(event, again=again)
        await self.rig.queue.drained()
        asked, self.rig.guard.asked = self.rig.guard.asked, []
        return asked

    def words(self):
        return [one["event"] for one in self.rig.published]


@pytest.fixture
def at_desk(make_rig, run):
    """Run a test coroutine with a desk."""

    def start(test):
        async def body():
            desk = Desk(make_rig((), (), address="192.0.2.1"))
            await test(desk)
            desk.assigned.stop()
            await desk.rig.close()

        run(body())

    return start


def test_an_address_comes_and_goes_with_its_ike_sa(at_desk):
    async def test(desk):
        assert await desk.hear(given(1)) == [AddAddress("rhp0", "10.88.0.2/32")]
        assert desk.assigned.addresses() == [HERE.ip]
        assert desk.claimed == ["10.88.0.2"]
        assert await desk.hear(closed(1)) == [RemoveAddress("rhp0", "10.88.0.2/32")]
        assert desk.assigned.addresses() == desk.claimed == []
        assert desk.words() == ["address added", "address removed"]

    at_desk(test)


def test_other_events_and_other_ike_sas_change_nothing(at_desk):
    async def test(desk):
        await desk.hear(given(1))
        rekeyed = events.IkeRekeyed(1, "office", "initiator", "suite")
        assert await desk.hear(closed(2), child(2), rekeyed, events.ChildClosed(9, 2, "x", "y", "z", Fault.NONE)) == []

    at_desk(test)


def test_a_connection_that_is_tried_again_keeps_its_address_for_a_while(at_desk):
    async def test(desk):
        await desk.hear(given(1))
        assert await desk.hear(closed(1), again=True) == []
        # The same one again: nothing moves, now or later.
        desk.later.advance(KEEP_SECONDS - 0.1)
        assert await desk.hear(given(2)) == []
        desk.later.advance(2 * KEEP_SECONDS)
        assert await desk.hear() == []
        # And then nobody comes.
        assert await desk.hear(closed(2), again=True) == []
        desk.later.advance(KEEP_SECONDS - 0.1)
        assert await desk.hear() == []
        desk.later.advance(0.1)
        assert await desk.hear() == [RemoveAddress("rhp0", "10.88.0.2/32")]

    at_desk(test)


def test_another_address_takes_the_place_of_the_old_one(at_desk):
    async def test(desk):
        await desk.hear(given(1))
        await desk.hear(closed(1), again=True)
        assert await desk.hear(given(2, "10.88.0.3/32")) == [
            RemoveAddress("rhp0", "10.88.0.2/32"),
            AddAddress("rhp0", "10.88.0.3/32"),
        ]

    at_desk(test)


def test_a_new_ike_sa_before_the_old_one_ends_changes_nothing(at_desk):
    async def test(desk):
        await desk.hear(given(1, dns=DNS), child(1))
        assert await desk.hear(given(2, dns=DNS), child(2, 10), closed(1), closed(1)) == []
        assert len(await desk.hear(closed(2))) == 2

    at_desk(test)


def test_name_servers_that_the_tunnel_reaches_are_set_while_it_is_up(at_desk):
    async def test(desk):
        assert await desk.hear(given(1, dns=DNS, domains=("corp.example",))) == [AddAddress("rhp0", "10.88.0.2/32")]
        assert await desk.hear(child(1)) == [SetDns("rhp0", ("10.1.0.53",), ("corp.example",))]
        # A pair for a further lane, and the first one gone: still reached.
        assert await desk.hear(child(1, 10), events.ChildClosed(9, 1, "office", "net", "x", Fault.NONE)) == []
        assert await desk.hear(events.ChildClosed(10, 1, "office", "net", "x", Fault.NONE)) == [ClearDns("rhp0")]
        assert await desk.hear(child(1, 11)) == [SetDns("rhp0", ("10.1.0.53",), ("corp.example",))]
        # Names are not looked up over a tunnel that is down, not even for a while.
        assert await desk.hear(closed(1), again=True) == [ClearDns("rhp0")]
        assert "dns set" in desk.words()

    at_desk(test)


def test_another_name_server_by_a_reauthentication_takes_the_place_of_the_first(at_desk):
    # The IKE SA that speaks for the lineage keeps its id, and so do the children: they are renewed, not established.
    renewed = events.ChildRekeyed(9, 1, "office", "net", 3, 4, "suite")

    async def test(desk):
        await desk.hear(given(1, dns=DNS), child(1))
        assert await desk.hear(given(1, dns=(ip_address("10.1.0.54"),)), renewed) == [
            SetDns("rhp0", ("10.1.0.54",), ())
        ]
        # What lies behind the child goes by what was assigned last.
        fewer = given(1, dns=(ip_address("10.1.0.54"),), subnets=(ip_network("10.1.9.0/24"),))
        assert await desk.hear(fewer) == [ClearDns("rhp0")]

    at_desk(test)


@pytest.mark.parametrize("everything", ["0.0.0.0/0", "::/0"])
def test_where_everything_goes_through_the_tunnel_all_names_do(at_desk, everything):
    # RFC 8598 section 2: INTERNAL_DNS_DOMAIN means something beside a way out of one's own, and else nothing.
    async def test(desk):
        await desk.hear(given(1, dns=DNS, domains=("corp.example",)))
        asked = await desk.hear(child(1, remote=("10.1.0.0/16", everything)))
        assert [one.domains for one in asked if isinstance(one, SetDns)] == [()]

    at_desk(test)


def test_name_servers_outside_the_tunnel_are_not_used(at_desk):
    async def test(desk):
        await desk.hear(given(1, dns=(ip_address("8.8.8.8"),)))
        assert await desk.hear(child(1), child(1, 10)) == []
        assert desk.words().count("dns skipped") == 1

    at_desk(test)


def test_one_connection_s_name_servers_at_a_time(at_desk):
    async def test(desk):
        await desk.hear(given(1, dns=DNS), child(1))
        assert await desk.hear(given(2, connection="other", dns=(ip_address("10.1.0.99"),)), child(2, 10)) == []
        assert await desk.hear(closed(1)) == [SetDns("rhp0", ("10.1.0.99",), ())]
        assert await desk.hear(closed(2, "other")) == [RemoveAddress("rhp0", "10.88.0.2/32"), ClearDns("rhp0")]

    at_desk(test)


def test_on_an_ethernet_the_link_is_what_is_reached(at_desk):
    async def test(desk):
        dns = (ip_address("10.88.0.53"), ip_address("10.1.0.53"))
        assert await desk.hear(given(1, "10.88.0.2/24", dns=dns)) == [AddAddress("rhp0", "10.88.0.2/24")]
        assert await desk.hear(child(1, mode="ethernet", remote=())) == [SetDns("rhp0", ("10.88.0.53",), ())]

    at_desk(test)


def test_a_network_that_would_catch_the_tunnel_itself_is_left_out(at_desk):
    async def test(desk):
        assert await desk.hear(given(1, "192.0.2.77/24")) == [AddAddress("rhp0", "192.0.2.77/32")]

    at_desk(test)


def test_what_the_guard_refuses_is_told(at_desk):
    async def test(desk):
        desk.rig.guard.refusals = {AddAddress: "there is no such thing", SetDns: "no resolver"}
        await desk.hear(given(1, dns=DNS), child(1))
        assert desk.words() == ["address skipped", "dns skipped"]
        assert desk.assigned.addresses() == desk.claimed == []

    at_desk(test)


def test_name_servers_that_were_refused_are_tried_again(at_desk):
    async def test(desk):
        wanted = [SetDns("rhp0", ("10.1.0.53",), ())]
        desk.rig.guard.refusals = {SetDns: "no resolver"}
        await desk.hear(given(1, dns=DNS), child(1))
        desk.later.advance(DNS_AGAIN_SECONDS - 0.1)
        assert await desk.hear() == []
        for _ in range(2):
            desk.later.advance(DNS_AGAIN_SECONDS)
            assert await desk.hear() == wanted
        assert desk.words().count("dns skipped") == 1
        desk.rig.guard.refusals = {}
        desk.later.advance(DNS_AGAIN_SECONDS)
        assert await desk.hear() == wanted
        assert desk.words()[-1] == "dns set"
        assert desk.later.waiting == []

    at_desk(test)


@pytest.mark.parametrize(
    "end", [lambda desk: desk.assigned.heard(closed(1), again=False), lambda desk: desk.assigned.stop()]
)
def test_name_servers_that_nobody_wants_any_more_are_not_tried_again(at_desk, end):
    async def test(desk):
        desk.rig.guard.refusals = {SetDns: "no resolver"}
        await desk.hear(given(1, dns=DNS), child(1))
        end(desk)
        await desk.hear()
        desk.later.advance(10 * DNS_AGAIN_SECONDS)
        assert await desk.hear() == []

    at_desk(test)


def test_a_refusal_that_comes_after_the_end_starts_nothing(at_desk):
    async def test(desk):
        desk.rig.guard.refusals = {SetDns: "no resolver"}
        desk.assigned.heard(given(1, dns=DNS), again=False)
        desk.assigned.heard(child(1), again=False)
        desk.assigned.stop()
        await desk.hear()
        assert desk.later.waiting == []

    at_desk(test)


def test_an_interface_that_was_made_again_gets_everything_again(at_desk):
    async def test(desk):
        await desk.hear(given(1, dns=DNS), child(1))
        desk.assigned.restore()
        assert await desk.hear() == [AddAddress("rhp0", "10.88.0.2/32"), SetDns("rhp0", ("10.1.0.53",), ())]

    at_desk(test)


def tunnel(name, ours, theirs, **more):
    from rhp.crypto.proposal import default_esp_proposals

    return ChildConfig(
        name, "tunnel", tuple(map(selector, ours)), tuple(map(selector, theirs)), default_esp_proposals()
    )


def client(make_rig, make_connection, **more):
    config = make_connection(
        "office",
        "a@example.org",
        "gate.example",
        "192.0.2.2",
        children=[tunnel("net", [], ["0.0.0.0/0"])],
        request_addresses=True,
    )
    rig = make_rig((config,), (PskSecret("office", key=b"k" * 16),), address="192.0.2.1", **more)
    desk = Desk(rig)
    rig.adapter.shape = desk.assigned.shape
    rig.tunnels._assigned = desk.assigned.addresses
    heard = rig.adapter._listener
    rig.adapter._listener = lambda event: (desk.assigned.heard(event, again=False), heard(event))
    return rig, desk


def gateway(make_rig, make_connection, pools=("p",), subnets=("10.1.0.0/16",)):
    from dataclasses import replace

    from rhp.realm.pool import PoolConfig, Span

    config = make_connection(
        "road", "gate.example", "*@example.org", children=[tunnel("net", ["0.0.0.0/0"], [])], pools=pools
    )
    rig = make_rig((config,), (PskSecret("road", key=b"k" * 16),), address="192.0.2.2")
    pool = PoolConfig(
        "p",
        (Span(ip_address("10.88.0.2"), ip_address("10.88.0.9")),),
        24,
        dns=(ip_address("10.1.0.53"),),
        subnets=tuple(map(ip_network, subnets)),
    )
    rig.engine.set_config(replace(rig.engine._ctx.config, pools=(pool,)))
    return rig


def test_two_nodes_settle_address_route_and_name_server(make_rig, make_connection, make_wire, run):
    async def meet():
        a, _ = client(make_rig, make_connection)
        b = gateway(make_rig, make_connection)
        wire = make_wire(a, b)
        a.keeper.start()
        await wire.settle(until=lambda: a.named("ChildEstablished"))
        await a.queue.drained()
        # b grants everything and names one network: that is where traffic goes, from the address that it gave.
        route = AddRoute("10.1.0.0/16", "rhp0", "10.88.0.2")
        assert a.guard.asked == [AddAddress("rhp0", "10.88.0.2/32"), route, SetDns("rhp0", ("10.1.0.53",), ())]
        (port,) = a.plane.ports.values()
        assert [(one.start, one.end) for one in port["remote_ts"]] == [("10.1.0.0", "10.1.255.255")]
        (there,) = b.plane.ports.values()
        assert [(one.start, one.end) for one in there["remote_ts"]] == [("10.88.0.2", "10.88.0.2")]
        a.guard.asked.clear()
        a.adapter.command(a.engine.close_all)
        await wire.settle(until=lambda: not a.engine.status())
        await a.queue.drained()
        undone = [
            RemoveRoute("10.1.0.0/16", "rhp0", "10.88.0.2"),
            ClearDns("rhp0"),
            RemoveAddress("rhp0", "10.88.0.2/32"),
        ]
        assert a.guard.asked == undone
        await a.close()
        await b.close()

    run(meet())


def test_a_peer_that_grants_everything_and_names_nothing_gets_everything(make_rig, make_connection, make_wire, run):
    async def meet():
        a, _ = client(make_rig, make_connection)
        b = gateway(make_rig, make_connection, subnets=())
        wire = make_wire(a, b)
        a.keeper.start()
        await wire.settle(until=lambda: a.named("ChildEstablished"))
        await a.queue.drained()
        (lineage,) = a.children
        hub = str(pseudo_gateway(lineage.pseudo_mac, 4))
        capture = CaptureTraffic("rhp0", "0.0.0.0/0", ("192.0.2.2",), "10.88.0.2", hub)
        assert capture in a.guard.asked
        assert not [one for one in a.guard.asked if isinstance(one, AddRoute)]
        assert a.plane.neighbours == {hub: (lineage.pseudo_mac, lineage.port)}
        # The peer's address moves: what is spared moves along, once.
        a.guard.asked.clear()
        sa = a.engine._ctx.table.by_id(lineage.ike_id)
        moved = Path(sa.path.local, Endpoint(ip_address("192.0.2.99"), 4500), natt=True)
        moving.follow(sa, moved, "nat-moved")
        a.adapter.pump()
        await a.queue.drained()
        assert a.guard.asked == [CaptureTraffic("rhp0", "0.0.0.0/0", ("192.0.2.99",), "10.88.0.2", hub)]
        a.guard.asked.clear()
        moving.follow(sa, Path(sa.path.local, Endpoint(b.address, 4500), natt=True), "nat-moved")
        a.adapter.command(a.engine.close_all)
        await wire.settle(until=lambda: not a.engine.status())
        await a.queue.drained()
        assert ReleaseTraffic("rhp0", "0.0.0.0/0") in a.guard.asked
        await a.close()
        await b.close()

    run(meet())


def test_a_peer_without_an_address_for_us_is_asked_more_and_more_rarely(
    make_rig, make_connection, make_wire, run, monkeypatch
):
    monkeypatch.setattr(keeper_module, "FIRST_WAIT", 0.01)

    async def meet():
        a, _ = client(make_rig, make_connection)
        b = gateway(make_rig, make_connection, pools=())
        wire = make_wire(a, b)
        a.keeper.start()
        await wire.settle(until=lambda: len(a.named("IkeClosed")) >= 4)
        assert a.keeper._charges["office"].failures >= 4
        assert a.named("IkeClosed")[0].reason == "no-address-assigned"
        assert a.plane.ports == {}
        await a.close()
        await b.close()

    run(meet())
