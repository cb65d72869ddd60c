"""The node's part of a redirection: names are looked up, the other gateway is called, and home is not forgotten."""

import asyncio
from ipaddress import ip_address

import pytest

from rhp.guard.policy import PskSecret
from rhp.node import keeper as keeper_module
from rhp.node.commands import Commands
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused

KEY = b"0123456789abcdef"
HOME, OTHER = ip_address("192.0.2.2"), ip_address("192.0.2.3")


@pytest.fixture
def three(make_rig, make_connection, make_wire, monkeypatch):
    """A client that calls the first of two gateways, which are one to it."""
    monkeypatch.setattr(keeper_module, "FIRST_WAIT", 0.02)

    def make(*, answers=None, start="initiate", follow=True):
        mine = make_connection("up", "a.example", "b.example", str(HOME), follow_redirects=follow, start=start)
        client = make_rig(
            (mine,), (PskSecret("up", "a.example", "b.example", key=KEY),), address="192.0.2.1", answers=answers
        )
        gateways = [
            make_rig(
                (make_connection("down", "b.example", "a.example"),),
                (PskSecret("down", "b.example", "a.example", key=KEY),),
                address=str(address),
            )
            for address in (HOME, OTHER)
        ]
        return client, *gateways, make_wire(client, *gateways)

    return make


def commands(rig):
    return Commands(
        rig.engine,
        rig.adapter.command,
        rig.keeper,
        rig.journal,
        frozenset({"down"}),
        views=None,
        stop=lambda why: None,
        add_lane=None,
        reload=None,
    )


def at(client, address):
    """Whether the client is up at that gateway, with its child."""
    live = [sa for sa in client.engine.status() if sa.established_at is not None]
    return len(live) == 1 and live[0].path.remote.ip == address and len(live[0].children) == 1


async def end(*rigs):
    for rig in rigs:
        await rig.close()


@pytest.mark.parametrize("target", ["192.0.2.3", "gate.example.org"])
@pytest.mark.parametrize("start", ["initiate", "wait"])
def test_an_established_client_goes_where_it_is_sent(three, run, target, start):
    async def call():
        client, home, other, wire = three(answers={"gate.example.org": [str(OTHER)]}, start=start)
        client.keeper.want("up")
        await wire.settle(until=lambda: at(client, HOME))
        asked = await commands(home).handle(Request("redirect", {"connection": "down", "target": target}))
        assert asked == {"redirected": 1, "unable": 0}
        await wire.settle(until=lambda: at(client, OTHER))
        (line,) = [one for one in client.published if one["event"] == "redirected"]
        assert (line["old"], line["new"]) == (str(HOME), target)
        assert client.journal.failures() == []
        await end(client, home, other)

    run(call())


def test_who_calls_later_is_sent_as_well_until_it_ends(three, run):
    async def call():
        client, home, other, wire = three()
        both = commands(home)
        await both.handle(Request("redirect", {"connection": "down", "target": str(OTHER)}))
        client.keeper.start()
        await wire.settle(until=lambda: at(client, OTHER))
        # The other gateway is lost: the client goes home, and stays there when nobody is sent away any more.
        await both.handle(Request("redirect-off", {"connection": "down"}))
        other.adapter.command(other.engine.close_all)
        await wire.settle(until=lambda: at(client, HOME))
        await end(client, home, other)

    run(call())


@pytest.mark.parametrize("answers", [None, ["127.0.0.1", "::1", "224.0.0.1"]])
def test_a_name_that_leads_nowhere_leads_home(three, run, answers):
    async def call():
        client, home, other, wire = three(answers={"gate.example.org": answers} if answers else None)
        client.keeper.start()
        await wire.settle(until=lambda: at(client, HOME))
        await commands(home).handle(
            Request("redirect", {"connection": "down", "target": "gate.example.org", "peer": "a.example"})
        )
        await wire.settle(until=lambda: client.journal.counters["connecting-failed"] == 1)
        assert "gate.example.org" in client.journal.last_errors["up"]
        await wire.settle(until=lambda: at(client, HOME))
        await end(client, home, other)

    run(call())


def test_one_that_an_operator_took_down_does_not_come_back_elsewhere(three, run):
    async def call():
        client, home, other, wire = three()
        client.keeper.start()
        await wire.settle(until=lambda: at(client, HOME))
        await commands(home).handle(Request("redirect", {"connection": "down", "target": str(OTHER)}))
        client.keeper.hold("up")
        client.adapter.command(client.engine.close_all)
        await wire.settle(until=lambda: client.named("IkeClosed"))
        await asyncio.sleep(0.1)
        await wire.settle()
        assert client.engine.status() == other.engine.status() == []
        await end(client, home, other)

    run(call())


def test_what_cannot_be_done_is_told(three, run):
    async def call():
        client, home, other, wire = three(follow=False)
        client.keeper.start()
        await wire.settle(until=lambda: at(client, HOME))
        both = commands(home)
        fields = {"connection": "down", "target": str(OTHER)}
        assert await both.handle(Request("redirect", fields)) == {"redirected": 0, "unable": 1}
        assert at(client, HOME)
        with pytest.raises(CommandRefused, match=r'no peer "c\.example" now'):
            await both.handle(Request("redirect", {**fields, "peer": "c.example"}))
        with pytest.raises(CommandRefused, match="neither an address nor a host name"):
            await both.handle(Request("redirect", {**fields, "target": "a b"}))
        with pytest.raises(CommandRefused, match="there is no connection"):
            await both.handle(Request("redirect", {**fields, "connection": "x"}))
        await end(client, home, other)

    run(call())
