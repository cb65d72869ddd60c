"""Connections that the configuration wants up are brought up, again and again, and never twice."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address, ip_network
from types import SimpleNamespace

import pytest

from rhp.crypto.proposal import default_esp_proposals
from rhp.guard.policy import PskSecret
from rhp.ike import events
from rhp.ike.changes import compare
from rhp.ike.config import ChildConfig, Retransmit
from rhp.ike.errors import Fault
from rhp.node import keeper as keeper_module


@pytest.fixture
def quick(monkeypatch):
    """Short waits, so that a test can see several tries."""
    monkeypatch.setattr(keeper_module, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(keeper_module, "LONGEST_WAIT", 0.1)
    monkeypatch.setattr(keeper_module, "DOUBLE_WAIT", 0.02)
    monkeypatch.setattr(keeper_module, "CALLED_WAIT", 0.05)


def live(rig):
    return [sa for sa in rig.engine.status() if sa.established_at is not None]


def test_a_silent_peer_is_called_again_with_growing_waits(make_rig, make_connection, make_wire, run, monkeypatch):
    monkeypatch.setattr(keeper_module, "FIRST_WAIT", 0.01)

    async def call():
        retransmit = Retransmit(tries=1, base=0.01)
        config = make_connection("to-b", "a.example", "b.example", "192.0.2.2", retransmit=retransmit)
        rig = make_rig((config,), (PskSecret("to-b", key=b"k" * 16),), address="192.0.2.1")
        wire = make_wire(rig)
        rig.keeper.start()
        await wire.settle(until=lambda: len(rig.named("InitiationFailed")) >= 5)
        waits = [one["retry_in"] for one in rig.published if one["event"] == "connecting failed"]
        charge = rig.keeper._charges["to-b"]
        assert charge.failures >= 5
        assert rig.keeper.retry_in("to-b") is None or rig.keeper.retry_in("to-b") <= 0.01 * 2**5 * 1.2
        assert len(waits) >= 5
        assert rig.journal.failures()[0]["event"] == "connecting failed"
        assert rig.journal.failures()[0]["count"] >= 5
        await rig.close()

    run(call())


def test_a_wait_is_never_longer_than_a_minute(make_rig, make_connection, run):
    async def call():
        config = make_connection("to-b", "a.example", "b.example", "192.0.2.2")
        rig = make_rig((config,), (PskSecret("to-b", key=b"k" * 16),), address="192.0.2.1")
        rig.keeper._charges["to-b"].failures = 1000
        assert 48.0 <= rig.keeper._again("to-b") <= 72.0
        await rig.close()

    run(call())


def test_no_route_is_a_failure_that_is_tried_again(make_rig, make_connection, make_wire, quick, run):
    async def call():
        config = make_connection("to-b", "a.example", "b.example", "192.0.2.2")
        rig = make_rig((config,), (PskSecret("to-b", key=b"k" * 16),), address="192.0.2.1")
        rig.no_route = True
        rig.keeper.start()
        await make_wire(rig).settle(until=lambda: rig.journal.counters["connecting-failed"] >= 3)
        assert rig.journal.failures()[0]["reason"] == "no-route"
        assert "unreachable" in rig.journal.last_errors["to-b"]
        assert not rig.ike.sent
        rig.no_route = False
        await make_wire(rig).settle(until=lambda: rig.engine.status())
        await rig.close()

    run(call())


def test_a_lost_connection_comes_back(pair, quick, run):
    async def meet():
        a, b, wire = pair()
        a.keeper.start()
        await wire.settle(until=lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
        b.adapter.command(b.engine.close_all)
        await wire.settle(until=lambda: len(a.named("ChildEstablished")) == len(b.named("ChildEstablished")) == 2)
        assert len(live(a)) == len(live(b)) == 1
        assert len(a.plane.ports) == 1
        await a.close()
        await b.close()

    run(meet())


def test_a_connection_that_an_operator_took_down_stays_down(pair, quick, run):
    async def meet():
        a, b, wire = pair()
        a.keeper.start()
        await wire.settle(until=lambda: a.named("ChildEstablished"))
        a.keeper.hold("to-b")
        a.adapter.command(a.engine.close_all)
        await wire.settle(until=lambda: a.named("IkeClosed") and b.named("IkeClosed"))
        await asyncio.sleep(0.2)
        await wire.settle()
        assert not live(a)
        assert a.keeper.retry_in("to-b") is None
        a.keeper.want("to-b")
        await wire.settle(until=lambda: live(a) and live(b))
        await a.close()
        await b.close()

    run(meet())


def test_a_child_that_the_peer_deletes_comes_back(pair, quick, run):
    async def meet():
        a, b, wire = pair()
        a.keeper.start()
        await wire.settle(until=lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
        child_id = b.engine.status()[0].children[0].child_id
        b.adapter.command(lambda now: b.engine.delete_child(child_id, now))
        await wire.settle(until=lambda: len(a.named("ChildEstablished")) == 2 and len(a.plane.sas) == 1)
        assert not a.named("IkeClosed")
        await a.close()
        await b.close()

    run(meet())


def test_a_child_that_an_operator_deletes_stays_away(pair, quick, run):
    async def meet():
        a, b, wire = pair()
        a.keeper.start()
        await wire.settle(until=lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
        a.keeper.hold_child("to-b", "ethernet")
        child_id = a.engine.status()[0].children[0].child_id
        a.adapter.command(lambda now: a.engine.delete_child(child_id, now))
        await wire.settle(until=lambda: a.named("ChildClosed") and b.named("ChildClosed"))
        await asyncio.sleep(0.2)
        await wire.settle()
        assert len(a.named("ChildEstablished")) == 1
        assert live(a)
        await a.close()
        await b.close()

    run(meet())


def test_every_child_of_a_connection_is_made_once(pair, quick, run):
    async def meet():
        names = ("one", "two", "three")
        children = tuple(ChildConfig(name, "ethernet", (), (), default_esp_proposals()) for name in names)
        a, b, wire = pair(children=children)
        a.keeper.start()
        await wire.settle(until=lambda: len(a.plane.sas) == len(b.plane.sas) == 3)
        await asyncio.sleep(0.2)
        await wire.settle()
        assert len(a.plane.sas) == len(b.plane.sas) == 3
        assert {event.child_name for event in a.named("ChildEstablished")} == set(names)
        await a.close()
        await b.close()

    run(meet())


def test_two_nodes_that_call_each_other_keep_one_connection(pair, quick, run):
    async def meet():
        a, b, wire = pair(both_call=True)
        a.keeper.start()
        b.keeper.start()
        await wire.settle(until=lambda: live(a) and live(b))
        await asyncio.sleep(0.3)
        await wire.settle(until=lambda: len(live(a)) == len(live(b)) == 1 and len(a.plane.sas) == len(b.plane.sas) == 1)
        await asyncio.sleep(0.3)
        await wire.settle()
        assert len(live(a)) == len(live(b)) == 1
        (sa_a,), (sa_b,) = a.plane.sas.values(), b.plane.sas.values()
        assert (sa_a.spi_in, sa_a.spi_out) == (sa_b.spi_out, sa_b.spi_in)
        assert len(a.plane.ports) == len(b.plane.ports) == 1
        await a.close()
        await b.close()

    run(meet())


@pytest.mark.parametrize("state", ["established", "deleting", "rekeyed"])
def test_only_of_two_that_both_live_one_is_closed(pair, run, state):
    """One that waits for the answer to its DELETE is on its way out: closing the other as well would leave none."""

    async def meet():
        a, b, wire = pair(both_call=True)
        a.keeper.start()
        await wire.settle(until=lambda: live(a) and live(b))
        (real,) = b.engine.status()
        ours, theirs = (
            replace(real, ike_id=77, role="initiator"),
            replace(real, ike_id=78, role="responder", state=state),
        )
        asked = []
        b.keeper._engine = SimpleNamespace(status=lambda name: [theirs, ours], close=lambda ike_id, now: ike_id)
        b.keeper._command = lambda verb: asked.append(verb(0.0))
        b.keeper._close_doubles("to-a")
        assert asked == ([77] if state == "established" else [])
        await a.close()
        await b.close()

    run(meet())


def test_a_host_name_is_looked_up_at_every_try_and_addresses_take_turns(
    make_rig, make_connection, make_wire, quick, run
):
    async def call():
        config = make_connection(
            "to-b", "a.example", "b.example", start="initiate", retransmit=Retransmit(tries=1, base=0.01)
        )
        rig = make_rig(
            (config,),
            (PskSecret("to-b", key=b"k" * 16),),
            address="192.0.2.1",
            hosts={"to-b": ("gate.example",)},
            answers={},
        )
        called = []
        rig.ike.send = lambda datagram, local, remote: called.append(remote.ip) or True
        wire = make_wire(rig)
        rig.keeper.start()
        await wire.settle(until=lambda: rig.journal.counters["connecting-failed"] >= 2)
        assert not called
        assert "gate.example: " in rig.journal.last_errors["to-b"]
        assert "not known" in rig.journal.last_errors["to-b"]
        rig.answers["gate.example"] = ["192.0.2.8", "192.0.2.9"]
        await wire.settle(until=lambda: len(called) >= 4)
        assert set(called) == {ip_address("192.0.2.8"), ip_address("192.0.2.9")}
        assert called[0] != called[1]
        await rig.close()

    run(call())


def test_a_waiting_connection_calls_nobody(make_rig, make_connection, make_wire, quick, run):
    async def call():
        config = make_connection("to-b", "a.example", "b.example", "192.0.2.2", start="wait")
        rig = make_rig((config,), (PskSecret("to-b", key=b"k" * 16),), address="192.0.2.1")
        rig.keeper.start()
        await asyncio.sleep(0.1)
        assert not rig.engine.status()
        assert not rig.ike.sent
        await rig.close()

    run(call())


def test_no_next_try_is_told_of_a_connection_that_waits(make_rig, make_connection, run):
    async def call():
        config = make_connection("to-b", "a.example", "b.example", "192.0.2.2", start="wait")
        rig = make_rig((config,), (PskSecret("to-b", key=b"k" * 16),), address="192.0.2.1")
        rig.keeper._tend_in("to-b", 5.0)
        assert rig.keeper.retry_in("to-b") is None
        await rig.close()

    run(call())


def test_a_waiting_connection_is_called_once_when_an_operator_asks(make_rig, make_connection, make_wire, quick, run):
    async def call():
        retransmit = Retransmit(tries=1, base=0.01)
        config = make_connection("to-b", "a.example", "b.example", "192.0.2.2", start="wait", retransmit=retransmit)
        rig = make_rig((config,), (PskSecret("to-b", key=b"k" * 16),), address="192.0.2.1")
        wire = make_wire(rig)
        assert rig.keeper.has_address("to-b")
        rig.keeper.want("to-b")
        await wire.settle(until=lambda: rig.named("InitiationFailed"))
        await asyncio.sleep(0.2)
        await wire.settle()
        assert len(rig.named("InitiationFailed")) == 1
        assert rig.keeper.retry_in("to-b") is None
        await rig.close()

    run(call())


def test_a_network_or_nothing_is_nobody_to_call(make_rig, make_connection, run):
    async def call():
        psk = PskSecret("to-b", key=b"k" * 16)
        for remote in (None, "192.0.2.0/24"):
            config = make_connection("to-b", "a.example", "b.example", remote, start="wait")
            rig = make_rig((config,), (psk,), address="192.0.2.1")
            assert not rig.keeper.has_address("to-b")
            await rig.close()

    run(call())


def test_a_peer_that_proved_its_crash_is_called_at_once(make_rig, make_connection, run):
    async def call():
        config = make_connection("to-b", "a.example", "b.example", "192.0.2.2")
        rig = make_rig((config,), (PskSecret("to-b", key=b"k" * 16),), address="192.0.2.1")
        peer = config.remote.pattern.identity
        # Only the first time: one that keeps crashing is called as seldom as one that is not there.
        assert rig.keeper.heard(events.IkeClosed(1, "to-b", peer, "peer-crashed", Fault.PEER)) <= 0.2
        rig.keeper._charges["to-b"].retry_at = None
        assert rig.keeper.heard(events.IkeClosed(2, "to-b", peer, "peer-crashed", Fault.PEER)) >= 1.6
        await rig.close()

    run(call())


@pytest.fixture
def asking(make_rig, make_connection, make_wire):
    """A rig that calls b by a name of which nobody has told the address yet, and how it is told."""

    async def begin():
        config = make_connection("to-b", "a.example", "b.example", start="initiate")
        psk = PskSecret("to-b", key=b"k" * 16)
        rig = make_rig((config,), (psk,), address="192.0.2.1", hosts={"to-b": ("old.example",)})
        told, asked = asyncio.Event(), []

        async def resolve(host):
            asked.append(host)
            if host == "old.example":
                await told.wait()
            return [ip_address("192.0.2.8" if host == "old.example" else "192.0.2.9")]

        rig.keeper._resolve = resolve
        called = []
        rig.ike.send = lambda datagram, local, remote: called.append(str(remote.ip)) or True
        rig.keeper.start()
        wire = make_wire(rig)
        await wire.settle(until=lambda: asked)
        return rig, wire, config, told, called

    return begin


def test_a_call_to_where_the_peer_was_before_a_reload_is_called_off(asking, run):
    async def call():
        rig, wire, config, told, called = await asking()
        change = compare(config, config, moved=True)
        rig.keeper.update((config,), {"to-b": ("new.example",)}, {"to-b": change})
        await wire.settle(until=lambda: called)
        told.set()
        await wire.settle()
        assert set(called) == {"192.0.2.9"}
        assert len(rig.engine.status()) == 1
        assert rig.journal.counters["connecting"] == 1
        await rig.close()

    run(call())


def test_a_call_goes_on_through_a_reload_that_does_not_concern_it(asking, run):
    async def call():
        rig, wire, config, told, called = await asking()
        new = replace(config, dpd_delay=33.0)
        rig.keeper.update((new,), {"to-b": ("old.example",)}, {"to-b": compare(config, new)})
        await wire.settle()
        assert not called
        told.set()
        await wire.settle(until=lambda: called)
        assert set(called) == {"192.0.2.8"}
        assert rig.journal.counters["connecting"] == 1
        await rig.close()

    run(call())


@pytest.mark.parametrize("who", ["operator", "reload"])
def test_who_is_held_down_while_its_name_is_asked_for_is_not_called(asking, run, who):
    async def call():
        rig, wire, config, told, called = await asking()
        if who == "operator":
            rig.keeper.hold("to-b")
        else:
            waits = replace(config, start="wait")
            rig.keeper.update((waits,), {"to-b": ("old.example",)}, {"to-b": compare(config, waits)})
        told.set()
        await wire.settle()
        assert not called and not rig.engine.status()
        rig.keeper.want("to-b")
        await wire.settle(until=lambda: called)
        await rig.close()

    run(call())


def test_where_a_gateway_of_before_has_sent_us_is_forgotten_with_its_address(make_rig, make_connection, make_wire, run):
    async def call():
        config = make_connection("to-b", "a.example", "b.example", "192.0.2.2")
        rig = make_rig((config,), (PskSecret("to-b", key=b"k" * 16),), address="192.0.2.1")
        called = []
        rig.ike.send = lambda datagram, local, remote: called.append(str(remote.ip)) or True
        sent_on = events.Redirected(1, "to-b", target=ip_address("203.0.113.7"), gateway=ip_address("192.0.2.2"))
        rig.keeper.heard(sent_on)
        new = replace(config, remote_addrs=(ip_network("192.0.2.3"),))
        rig.keeper.update((new,), {}, {"to-b": compare(config, new)})
        await make_wire(rig).settle(until=lambda: called)
        assert called == ["192.0.2.3"]
        await rig.close()

    run(call())
