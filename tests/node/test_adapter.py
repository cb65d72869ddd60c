"""Two engines with all of a node around them but sockets, lanes and privileges."""

import asyncio
from functools import partial
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from rhp.crypto.proposal import default_esp_proposals
from rhp.guard.protocol import AddRoute, ConfigureLink, RemoveRoute
from rhp.ike.config import ChildConfig
from rhp.ike.errors import Fault
from rhp.node.settings import HubSettings, InterfaceSettings, StaticMac
from rhp.node.slumber import Slumber, slept_since_start
from rhp.wire.ts import TrafficSelector


def selector(text):
    net = ip_network(text)
    return TrafficSelector(7 if net.version == 4 else 8, 0, 0, 65535, net[0], net[-1])


def tunnel(name, ours, theirs):
    return ChildConfig(
        name, "tunnel", tuple(map(selector, ours)), tuple(map(selector, theirs)), default_esp_proposals()
    )


def established(*rigs):
    return all(rig.named("ChildEstablished") for rig in rigs)


async def established_pair(pair, **options):
    """Two nodes and their network after the handshake, when all that it entails is done."""
    a, b, wire = pair(**options)
    a.keeper.start()
    await wire.settle(until=lambda: established(a, b))
    await wire.settle()
    return a, b, wire


def test_two_nodes_meet_and_carry_ethernet(pair, run):
    async def meet():
        a, b, wire = await established_pair(pair)
        (sa_a,), (sa_b,) = a.plane.sas.values(), b.plane.sas.values()
        assert (sa_a.spi_in, sa_a.spi_out) == (sa_b.spi_out, sa_b.spi_in)
        assert sa_a.encryption_key_in == sa_b.encryption_key_out
        assert sa_a.encryption_key_out == sa_b.encryption_key_in
        assert sa_a.encryption_key_in != sa_a.encryption_key_out
        assert (sa_a.mode, sa_a.encapsulation, sa_a.local_port, sa_a.remote_port) == ("ethernet", "udp", 4500, 4500)
        assert (sa_a.local_ip, sa_a.remote_ip) == ("192.0.2.1", "192.0.2.2")
        (port,) = a.plane.ports.values()
        assert port["kind"] == "ethernet"
        assert port["pseudo_mac"] is None
        assert port["mss"] == 1382
        assert wire.seen["ike"] >= 2
        assert wire.seen["natt"] >= 2
        assert a.guard.asked == []
        assert [event.role for event in a.named("IkeEstablished") + b.named("IkeEstablished")] == [
            "initiator",
            "responder",
        ]
        await a.close()
        await b.close()

    run(meet())


def test_a_wrong_key_is_told_on_both_sides(pair, run):
    async def meet():
        a, b, wire = pair(psk_b=b"another key of the same length..")
        a.keeper.start()
        await wire.settle(until=lambda: a.named("InitiationFailed") and b.named("AuthenticationFailed"))
        for rig, name, peer in ((a, "to-b", "b.example"), (b, "to-a", "a.example")):
            error = rig.journal.last_errors[name]
            assert error.startswith(f"authentication failed: {peer}: ")
            assert len(error) > len(f"authentication failed: {peer}: ")
            failures = [one for one in rig.journal.failures() if one["event"] == "authentication failed"]
            assert [one["peer"] for one in failures] == [peer]
            assert "0123456789abcdef" not in str(rig.published)
            assert not rig.plane.sas
            assert not rig.plane.ports
        assert a.keeper.retry_in("to-b") > 0
        assert a.named("AuthenticationFailed")[0].fault is not Fault.NONE
        await a.close()
        await b.close()

    run(meet())


def test_a_tunnel_sets_routes_and_takes_them_back(pair, run):
    async def meet():
        ours = tunnel("lan", ["10.1.0.0/24"], ["10.2.0.0/24", "10.3.0.0/25"])
        theirs = tunnel("lan", ["10.2.0.0/24", "10.3.0.0/25"], ["10.1.0.0/24"])
        a, b, wire = pair(children=(ours,), other_children=(theirs,))
        a.ours = {ip_address("192.0.2.1"), ip_address("10.1.0.7"), ip_address("10.1.0.9"), ip_address("127.0.0.1")}
        a.keeper.start()
        await wire.settle(until=lambda: established(a, b))
        await wire.settle()
        assert a.guard.asked == [
            AddRoute("10.2.0.0/24", "rhp0", "10.1.0.7"),
            AddRoute("10.3.0.0/25", "rhp0", "10.1.0.7"),
        ]
        assert b.guard.asked == [AddRoute("10.1.0.0/24", "rhp0", None)]
        (port,) = a.plane.ports.values()
        assert port["kind"] == "ip"
        assert port["pseudo_mac"][0] & 3 == 2
        assert port["remote_ts"][0][:2] == ("10.2.0.0", "10.2.0.255")
        a.adapter.command(a.engine.close_all)
        await wire.settle()
        assert not a.plane.ports
        assert not b.plane.ports
        assert a.guard.asked[2:] == [
            RemoveRoute("10.2.0.0/24", "rhp0", "10.1.0.7"),
            RemoveRoute("10.3.0.0/25", "rhp0", "10.1.0.7"),
        ]
        await a.close()
        await b.close()

    run(meet())


def test_a_route_that_would_catch_the_tunnel_itself_is_left_out(pair, run):
    async def meet():
        ours = tunnel("all", ["10.1.0.0/24"], ["0.0.0.0/0"])
        theirs = tunnel("all", ["0.0.0.0/0"], ["10.1.0.0/24"])
        a, b, _wire = await established_pair(pair, children=(ours,), other_children=(theirs,))
        assert a.guard.asked == []
        (skipped,) = [one for one in a.published if one["event"] == "route skipped"]
        assert skipped["destination"] == "0.0.0.0/0"
        await a.close()
        await b.close()

    run(meet())


def test_a_route_leaves_from_the_interface_s_own_address_first(pair, run):
    async def meet():
        ours, theirs = tunnel("lan", ["0.0.0.0/0"], ["10.2.0.0/24"]), tunnel("lan", ["10.2.0.0/24"], ["0.0.0.0/0"])
        interface = InterfaceSettings(addresses=(ip_interface("192.168.7.1/24"),))
        a, b, wire = pair(children=(ours,), other_children=(theirs,), interface=interface)
        a.ours = {ip_address(text) for text in ("127.0.0.1", "10.1.0.7", "192.168.7.1", "169.254.3.3")}
        a.keeper.start()
        await wire.settle(until=lambda: established(a, b))
        await wire.settle()
        assert a.guard.asked == [AddRoute("10.2.0.0/24", "rhp0", "192.168.7.1")]
        await a.close()
        await b.close()

    run(meet())


def test_a_refused_route_is_told_and_the_tunnel_stays(pair, run):
    async def meet():
        ours, theirs = tunnel("lan", ["10.1.0.0/24"], ["10.2.0.0/24"]), tunnel("lan", ["10.2.0.0/24"], ["10.1.0.0/24"])
        a, b, wire = pair(children=(ours,), other_children=(theirs,))
        a.guard.refusals[AddRoute] = "there is one already"
        a.keeper.start()
        await wire.settle(until=lambda: established(a, b))
        await wire.settle()
        (skipped,) = [one for one in a.published if one["event"] == "route skipped"]
        assert skipped["detail"] == "there is one already"
        assert a.plane.sas
        a.adapter.command(a.engine.close_all)
        await wire.settle()
        assert not [one for one in a.guard.asked if isinstance(one, RemoveRoute)]
        await a.close()
        await b.close()

    run(meet())


def test_two_tunnels_share_a_route_and_the_last_one_takes_it_back(pair, run):
    async def meet():
        ours = tuple(tunnel(name, ["10.1.0.0/24"], ["10.2.0.0/24"]) for name in ("one", "two"))
        theirs = tuple(tunnel(name, ["10.2.0.0/24"], ["10.1.0.0/24"]) for name in ("one", "two"))
        a, b, wire = pair(children=ours, other_children=theirs)
        a.keeper.start()
        await wire.settle(until=lambda: len(a.plane.ports) == len(b.plane.ports) == 2)
        await wire.settle()
        added, removed = AddRoute("10.2.0.0/24", "rhp0", None), RemoveRoute("10.2.0.0/24", "rhp0", None)
        assert a.guard.asked == [added]
        # Made anew, the interface needs it again, once.
        a.tunnels.restore()
        await wire.settle()
        assert a.guard.asked == [added, added]
        first, second = (event.child_id for event in a.named("ChildEstablished"))
        a.keeper.hold("to-b")
        a.adapter.command(partial(a.engine.delete_child, first))
        await wire.settle(until=lambda: len(a.plane.ports) == 1)
        await wire.settle()
        assert a.guard.asked == [added, added]
        a.adapter.command(partial(a.engine.delete_child, second))
        await wire.settle(until=lambda: not a.plane.ports)
        await wire.settle()
        assert a.guard.asked == [added, added, removed]
        assert a.children.smallest_mtu() is None
        await a.close()
        await b.close()

    run(meet())


def test_a_network_that_the_interface_is_in_needs_no_route(pair, run):
    async def meet():
        ours, theirs = tunnel("lan", ["10.1.0.1/32"], ["10.1.0.0/24"]), tunnel("lan", ["10.1.0.0/24"], ["10.1.0.1/32"])
        interface = InterfaceSettings(addresses=(ip_interface("10.1.0.1/24"),))
        a, b, _wire = await established_pair(pair, children=(ours,), other_children=(theirs,), interface=interface)
        assert a.guard.asked == []
        await a.close()
        await b.close()

    run(meet())


def test_a_rekey_keeps_the_port_and_changes_the_keys(pair, run):
    async def meet():
        a, b, wire = await established_pair(pair)
        (before,) = a.plane.sas.values()
        child_id = a.engine.status()[0].children[0].child_id
        a.adapter.command(lambda now: a.engine.rekey_child(child_id, now))
        await wire.settle(until=lambda: a.named("ChildRekeyed") and b.named("ChildRekeyed"))
        await wire.settle(until=lambda: len(a.plane.sas) == len(b.plane.sas) == 1)
        (after,) = a.plane.sas.values()
        assert after.port == before.port
        assert after.spi_in != before.spi_in
        assert after.encryption_key_in != before.encryption_key_in
        assert list(a.plane.ports) == [before.port]
        assert not a.named("ChildClosed")
        (sa_b,) = b.plane.sas.values()
        assert (after.spi_in, after.spi_out) == (sa_b.spi_out, sa_b.spi_in)
        assert after.spi_in in a.plane.active
        assert sa_b.spi_in in b.plane.active
        await a.close()
        await b.close()

    run(meet())


def test_an_sa_that_the_data_plane_refuses_is_deleted(pair, run):
    async def meet():
        a, b, wire = pair()
        b.plane.refuse_install = True
        a.keeper.start()
        await wire.settle(until=lambda: a.named("ChildClosed") and b.named("ChildClosed"))
        assert not b.plane.ports
        assert not a.plane.ports
        assert b.adapter.counters["install-failed"] == 1
        (failed,) = [one for one in b.published if one["event"] == "install failed"]
        assert failed["detail"] == "the table is full"
        await a.close()
        await b.close()

    run(meet())


def test_a_guard_that_breaks_ends_one_handshake_only(pair, run):
    async def meet():
        a, b, wire = pair()
        b.guard.broken = True
        a.keeper.start()
        await wire.settle(until=lambda: a.named("InitiationFailed"))
        assert b.adapter.counters["guard-failed"] == 1
        assert "a secret detail" not in str(b.published)
        b.guard.broken = False
        a.keeper.want("to-b")
        await wire.settle(until=lambda: established(a, b))
        await a.close()
        await b.close()

    run(meet())


def test_a_static_mac_follows_its_connection_s_port(pair, run):
    async def meet():
        mac = bytes.fromhex("020000000009")
        a, b, wire = pair(hub=HubSettings(static=(StaticMac(mac, "to-b"), StaticMac(mac, "elsewhere"))))
        a.children.set_hub()
        assert a.plane.hub["static"] == []
        a.keeper.start()
        await wire.settle(until=lambda: established(a, b))
        assert a.plane.hub["static"] == [(mac, 1)]
        assert a.plane.hub["mac_ageing"] == 600
        a.adapter.command(a.engine.close_all)
        await wire.settle()
        assert a.plane.hub["static"] == []
        await a.close()
        await b.close()

    run(meet())


def test_a_suite_with_more_overhead_lowers_the_mtu_until_it_goes(pair, run):
    from rhp.crypto.proposal import parse_esp_proposal

    async def meet():
        fat = ChildConfig("fat", "ethernet", (), (), (parse_esp_proposal("aes256-sha512"),))
        a, b, wire = await established_pair(pair, children=(fat,))
        assert a.guard.asked == [ConfigureLink("rhp0", mtu=1390)]
        (port,) = a.plane.ports.values()
        assert port["mss"] == 1350
        a.adapter.command(a.engine.close_all)
        await wire.settle()
        assert a.guard.asked[-1] == ConfigureLink("rhp0", mtu=1422)
        await a.close()
        await b.close()

    run(meet())


def test_the_mtu_of_the_configuration_is_left_alone(pair, run):
    from rhp.crypto.proposal import parse_esp_proposal

    async def meet():
        fat = ChildConfig("fat", "ethernet", (), (), (parse_esp_proposal("aes256-sha512"),))
        a, b, _wire = await established_pair(pair, children=(fat,), interface=InterfaceSettings(mtu=1422))
        assert a.guard.asked == []
        await a.close()
        await b.close()

    run(meet())


def test_ports_of_one_peer_never_see_each_other(pair, run):
    from rhp.ike.config import ChildConfig

    async def meet():
        children = tuple(ChildConfig(name, "ethernet", (), (), default_esp_proposals()) for name in ("one", "two"))
        a, b, wire = pair(children=children)
        a.keeper.start()
        await wire.settle(until=lambda: len(a.named("ChildEstablished")) == 2)
        groups = {port["isolate_group"] for port in a.plane.ports.values()}
        assert len(a.plane.ports) == 2
        assert len(groups) == 1
        assert groups != {0}
        await a.close()
        await b.close()

    run(meet())


def test_a_mistake_in_one_step_is_logged_and_the_others_go_on(pair, run, caplog):
    async def meet():
        a, b, wire = pair()
        a.keeper.start()
        a.plane.add_port, kept = lambda *args, **values: 1 / 0, a.plane.add_port
        await wire.settle(until=lambda: b.named("ChildEstablished"))
        await wire.settle()
        assert a.adapter.counters["step-failed"] >= 1
        assert "step failed" in caplog.text
        assert a.named("IkeEstablished")
        a.plane.add_port = kept
        await a.close()
        await b.close()

    run(meet())


@pytest.mark.parametrize(
    "event",
    [
        ("unknown-spi", 0xDEADBEEF, "192.0.2.9", 4500, "192.0.2.1", 4500),
        ("unknown-spi", 0xDEADBEEF, "2001:db8::9", 0, "2001:db8::1", 0),
        ("first-inbound", 77),
        ("sa-limit", 77, "over"),
        ("nat-moved", 77, "192.0.2.9", 4501),
        ("no-sa", 9),
        ("tap-lost", 0, 5, 0),
        ("ike", "192.0.2.9", 4500, "192.0.2.1", 4500, b""),
        ("ike", "192.0.2.9", 4500, "192.0.2.1", 4500, b"\xff" * 200),
        ("an-event-of-tomorrow", 1),
    ],
)
def test_any_event_of_the_data_plane_leaves_a_live_tunnel_alone(pair, run, event):
    async def meet():
        a, b, wire = pair()
        a.keeper.start()
        await wire.settle(until=lambda: established(a, b))
        before = dict(a.plane.sas)
        a.plane.event(*event)
        await wire.settle()
        assert a.plane.sas == before
        assert not a.named("IkeClosed")
        assert not a.named("EngineFault")
        await a.close()
        await b.close()

    run(meet())


def test_packets_sent_are_no_life_and_spare_keep_alives(pair, run, monkeypatch):
    monkeypatch.setattr("rhp.node.adapter.ALIVE_SECONDS", 0.05)

    async def meet():
        a, b, wire = pair()
        a.adapter.stop()
        a.adapter.start()
        a.keeper.start()
        await wire.settle(until=lambda: established(a, b))
        before = a.engine.status()[0].last_seen
        (spi,) = a.plane.sas
        now = asyncio.get_running_loop().time()
        a.plane.last_out[spi] = int((now + 5.0) * 1e9)
        await asyncio.sleep(0.15)
        assert a.engine.status()[0].last_seen == before
        (sa,) = a.engine._ctx.table.sas()
        assert sa.last_sent == pytest.approx(now + 5.0)
        await a.close()
        await b.close()

    run(meet())


def test_inbound_packets_count_as_life(pair, run, monkeypatch):
    monkeypatch.setattr("rhp.node.adapter.ALIVE_SECONDS", 0.05)

    async def meet():
        a, b, wire = pair()
        a.adapter.stop()
        a.adapter.start()
        a.keeper.start()
        await wire.settle(until=lambda: established(a, b))
        before = a.engine.status()[0].last_seen
        (spi,) = a.plane.sas
        a.plane.last_in[spi] = 123
        await asyncio.sleep(0.15)
        seen = a.engine.status()[0].last_seen
        assert seen > before
        await asyncio.sleep(0.15)
        assert a.engine.status()[0].last_seen == seen
        await a.close()
        await b.close()

    run(meet())


def test_two_tunnels_to_one_network_from_different_sources(pair, run):
    """The route that was set is the one that is taken back, and who still wants one gets its own."""

    async def meet():
        ours = (tunnel("one", ["10.1.0.0/24"], ["10.9.0.0/24"]), tunnel("two", ["10.2.0.0/24"], ["10.9.0.0/24"]))
        theirs = (tunnel("one", ["10.9.0.0/24"], ["10.1.0.0/24"]), tunnel("two", ["10.9.0.0/24"], ["10.2.0.0/24"]))
        a, b, wire = pair(children=ours, other_children=theirs)
        a.ours = {ip_address("192.0.2.1"), ip_address("10.1.0.7"), ip_address("10.2.0.7")}
        a.keeper.start()
        await wire.settle(until=lambda: len(a.plane.ports) == len(b.plane.ports) == 2)
        await wire.settle()
        first, second = a.named("ChildEstablished")
        source, other = ("10.1.0.7", "10.2.0.7") if first.child_name == "one" else ("10.2.0.7", "10.1.0.7")
        told = [AddRoute("10.9.0.0/24", "rhp0", source)]
        assert a.guard.asked == told
        a.keeper.hold("to-b")
        a.adapter.command(partial(a.engine.delete_child, first.child_id))
        await wire.settle(until=lambda: len(a.plane.ports) == 1)
        await wire.settle()
        told += [RemoveRoute("10.9.0.0/24", "rhp0", source), AddRoute("10.9.0.0/24", "rhp0", other)]
        assert a.guard.asked == told
        a.adapter.command(partial(a.engine.delete_child, second.child_id))
        await wire.settle(until=lambda: not a.plane.ports)
        await wire.settle()
        assert a.guard.asked == [*told, RemoveRoute("10.9.0.0/24", "rhp0", other)]
        await a.close()
        await b.close()

    run(meet())


def test_a_machine_that_slept_asks_its_peers(pair, run, monkeypatch):
    monkeypatch.setattr("rhp.node.adapter.ALIVE_SECONDS", 0.05)

    async def meet():
        a, b, _wire = await established_pair(pair)
        asleep, woke = [100.0], []
        a.adapter._slumber = Slumber(lambda: asleep[0])
        a.adapter.on_wake = woke.append
        a.adapter.stop()
        a.adapter.start()
        await asyncio.sleep(0.2)
        asleep[0] += 9.0
        await asyncio.sleep(0.2)
        assert not woke and "liveness-checked" not in a.engine.counters
        asleep[0] += 3600.0
        await asyncio.sleep(0.2)
        assert woke == [3600.0]
        assert a.engine.counters["liveness-checked"] == 1
        await a.close()
        await b.close()

    run(meet())


def test_a_machine_that_was_not_suspended_has_not_slept():
    assert slept_since_start() >= -0.01
    assert Slumber().look() is None
