"""The node's addresses change: the engine hears of it, the SAs move, and the data plane with them."""

import json
from functools import partial
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from rhp.net.monitor import FakeMonitor, Told
from rhp.node.whereabouts import Whereabouts, source_of

A, ELSEWHERE = ip_address("192.0.2.1"), ip_address("198.51.100.1")


@pytest.fixture
def moving(pair, run):
    """Run a story with a tunnel that stands, whose first end has a fake monitor."""

    def tell(story):
        async def body():
            a, b, wire = pair()
            monitor = FakeMonitor(A)
            Whereabouts(monitor, a.engine, a.adapter.command, a.journal, a.keeper.hurry).start()
            a.keeper.start()
            await wire.settle(until=lambda: a.plane.sas and b.plane.sas)
            await wire.settle()
            try:
                await story(a, b, wire, monitor)
            finally:
                await a.close()
                await b.close()

        run(body())

    return tell


def test_the_data_plane_moves_with_the_address(moving):
    async def story(a, b, wire, monitor):
        spis = set(a.plane.sas), set(b.plane.sas)
        wire.rigs[ELSEWHERE] = wire.rigs.pop(A)
        monitor.change(ELSEWHERE)
        await wire.settle(until=lambda: b.plane.migrated)
        assert a.plane.migrated == [(spis[0].pop(), ("198.51.100.1", 4500), ("192.0.2.2", 4500), "udp")]
        assert b.plane.migrated == [(spis[1].pop(), ("192.0.2.2", 4500), ("198.51.100.1", 4500), "udp")]
        (said,) = (one for one in a.published if one["event"] == "addresses changed")
        assert (said["old"], said["new"]) == ("192.0.2.1", "198.51.100.1")
        (path,) = (one for one in a.published if one["event"] == "path changed")
        assert path["reason"] == "own-address" and "198.51.100.1" in path["new"]
        json.dumps(path)

    moving(story)


def test_a_change_of_routes_alone_is_no_line(moving):
    async def story(a, b, wire, monitor):
        monitor.change(A)
        await wire.settle()
        assert not [one for one in a.published if one["event"] in ("addresses changed", "path changed")]
        assert a.plane.migrated == b.plane.migrated == []

    moving(story)


def test_what_may_have_taken_something_along_is_told_though_the_addresses_are_as_before(run):
    async def story():
        called = []
        monitor = FakeMonitor(A)
        engine = SimpleNamespace(addresses_changed=lambda addresses, now: None)
        follow = [partial(called.append, word) for word in ("other", "touched", "unruled", "rerouted")]
        Whereabouts(monitor, engine, lambda verb: None, SimpleNamespace(write=lambda *_, **__: None), *follow).start()
        monitor.change(A, told=Told.ROUTES)
        assert called == ["rerouted"]
        called.clear()
        monitor.change(A)
        assert called == ["touched"]
        monitor.change(ELSEWHERE)
        assert called == ["touched", "touched", "other"]
        monitor.change(ELSEWHERE, told=Told.RULES)
        monitor.change(ELSEWHERE, told=Told.RULES_GONE)
        assert called[3:] == ["rerouted", "unruled"]

    run(story())


def test_the_path_is_asked_anew_after_a_move_to_the_same_peer(moving):
    async def story(a, b, wire, monitor):
        a.watch.look(0.0)
        (spi,) = a.plane.sas
        a.watch.answered(spi, 1500 - 28)
        a.watch.look(2.0)
        a.paths.told(ip_address("192.0.2.2"), 1300, 3.0, "icmp")
        asked = len(a.plane.probes)
        wire.rigs[ELSEWHERE] = wire.rigs.pop(A)
        monitor.change(ELSEWHERE)
        await wire.settle(until=lambda: b.plane.migrated)
        a.watch.look(4.0)
        # What ICMP said was of the other path.
        assert a.paths.mtu(ip_address("192.0.2.2")) == 1500
        assert [size for _, size in a.plane.probes[asked:]] == [1280 - 28, 1500 - 28]

    moving(story)


def test_who_waits_for_the_next_try_is_called_at_once(pair, run):
    async def story():
        a, b, wire = pair()
        monitor = FakeMonitor()
        Whereabouts(monitor, a.engine, a.adapter.command, a.journal, a.keeper.hurry).start()
        a.no_route = True
        a.keeper._charges["to-b"].failures = 10
        a.keeper.start()
        await wire.settle(until=lambda: a.journal.counters["connecting-failed"])
        assert a.keeper.retry_in("to-b") > 40
        a.no_route = False
        monitor.change(A)
        await wire.settle(until=lambda: a.plane.sas and b.plane.sas)
        await a.close()
        await b.close()

    run(story())


def test_a_route_that_comes_back_has_the_peer_called(pair, run):
    """The address stayed. A routing protocol that changes them all the time does not have it called all the time."""

    async def story():
        a, b, wire = pair()
        monitor = FakeMonitor(A)
        nothing = [lambda: None] * 3
        Whereabouts(monitor, a.engine, a.adapter.command, a.journal, *nothing, a.keeper.rerouted).start()
        a.no_route = True
        charge = a.keeper._charges["to-b"]
        charge.failures = 10
        a.keeper.start()
        await wire.settle(until=lambda: a.journal.counters["connecting-failed"] == 1)
        assert a.keeper.retry_in("to-b") > 40
        for _ in range(20):
            monitor.change(A, told=Told.ROUTES)
            await wire.settle()
        # One at once, and one more when the routes have had time to settle.
        assert a.journal.counters["connecting-failed"] == 2
        assert 3.0 < a.keeper.retry_in("to-b") <= 5.0
        a.no_route = False
        charge.looked_at = a.loop.time() - 5.0
        monitor.change(A, told=Told.ROUTES)
        await wire.settle(until=lambda: a.plane.sas and b.plane.sas)
        await a.close()
        await b.close()

    run(story())


def test_routes_do_not_hurry_who_failed_for_another_reason(pair, run):
    async def story():
        a, b, wire = pair()
        a.keeper._charges["to-b"].failures = 10
        a.keeper._again("to-b", "peer-unresponsive")
        a.keeper.rerouted()
        await wire.settle()
        assert a.keeper.retry_in("to-b") > 40
        await a.close()
        await b.close()

    run(story())


def test_no_way_is_no_address():
    assert source_of(ip_address("127.0.0.1")) == ip_address("127.0.0.1")
    assert source_of(ip_address("255.255.255.255")) is None
