"""Whole nodes with several hubs: interfaces and routes of their own, and hubs that come and go."""

import asyncio
from dataclasses import replace

import pytest
from daemon_rig import FRAME, picture, received, serving
from loopback import until
from scapy.layers.inet import IP, UDP

from rhp.config.selectors import selector
from rhp.crypto.proposal import default_esp_proposals
from rhp.guard.protocol import AddRoute, AddTapQueue, OpenTap, ReleaseAll
from rhp.ike.config import ChildConfig
from rhp.node.errors import StartError
from rhp.node.settings import HubSettings, InterfaceSettings, NamedHubSettings
from rhp.realm.policy import PortPolicy


def test_a_named_hub_has_an_interface_of_its_own(configured, run, monkeypatch):
    monkeypatch.setattr("rhp.node.tap.RETRY_SECONDS", 0.05)

    async def body():
        a, b = configured("a"), configured("b")
        blue = NamedHubSettings("blue", InterfaceSettings(name="no-such-blue"), HubSettings(isolate=True))
        cable = replace(a[1].connections[0], policy=PortPolicy(hub="blue"))
        a = replace(a[0], hubs=(blue,)), replace(a[1], connections=(cable,)), a[2]
        async with serving(*b), serving(*a) as (node, _):
            while not (await picture(a[0]))["connections"][0]["children"]:
                await asyncio.sleep(0.01)
            own, other = a[2].cables
            own.send(FRAME)
            other.send(FRAME + b"of the other hub")
            assert await until(lambda: received(b[2].cables[0])) == FRAME + b"of the other hub"
            b[2].cables[0].send(FRAME)
            assert await until(lambda: received(other)) == FRAME
            shown = (await picture(a[0]))["hubs"]
            assert [(one["name"], one["interface"]["name"], one["ports"], one["isolate"]) for one in shown] == [
                (None, "no-such-a", 0, False),
                ("blue", "no-such-blue", 1, True),
            ]
            assert shown[0]["counters"]["tap-frames-in"] == shown[1]["counters"]["tap-frames-in"] == 1
            # What is made again is the interface that is gone, while the lanes run.
            other.close()
            remade = await until(lambda: a[2].cables[2:])
            assert [one.name for one in a[2].asked if isinstance(one, OpenTap)][2:] == ["no-such-blue"]
            await until(lambda: node._hubs.own.tap._restoring is None and node._journal.counters["tap-restored"])
            b[2].cables[0].send(FRAME)
            assert await until(lambda: received(remade[0])) == FRAME
            assert received(own) is None

    run(body())


def test_the_routes_of_a_tunnel_lead_to_the_interface_of_its_hub(configured, run):
    async def body():
        nets = {"a": "10.98.0.0/24", "b": "10.99.0.0/24"}
        a, b = configured("a"), configured("b")
        blue = NamedHubSettings("blue", InterfaceSettings(name="no-such-blue"), HubSettings())
        found = []
        for one, ours, theirs in ((a, "a", "b"), (b, "b", "a")):
            selectors = tuple((selector(nets[side]),) for side in (ours, theirs))
            child = ChildConfig("net", "tunnel", *selectors, default_esp_proposals())
            policy = PortPolicy(hub="blue" if one is a else "")
            connection = replace(one[1].connections[0], children=(child,), policy=policy)
            hubs = (blue,) if one is a else ()
            found.append((replace(one[0], hubs=hubs), replace(one[1], connections=(connection,)), one[2]))
        a, b = found
        async with serving(*b), serving(*a):
            await until(lambda: AddRoute(nets["b"], "no-such-blue") in a[2].asked)
            await until(lambda: AddRoute(nets["a"], "no-such-b") in b[2].asked)
            # A packet for that network from the host, and its answer, by the queue of that hub alone.
            (child,) = (await picture(a[0]))["connections"][0]["children"]
            mac, host = bytes.fromhex(child["pseudo_mac"].replace(":", "")), bytes.fromhex("020000000077")
            packet = bytes(IP(src="10.98.0.1", dst="10.99.0.1") / UDP(sport=1, dport=2) / b"hello")
            a[2].cables[1].send(mac + host + b"\x08\x00" + packet)
            assert (await until(lambda: received(b[2].cables[0])))[14:] == packet
            assert received(a[2].cables[0]) is None

    run(body())


def test_a_hub_comes_and_goes_while_the_node_serves(configured, run):
    async def body():
        settings, config, guard = configured("a")
        async with serving(settings, config, guard) as (node, _):
            green = NamedHubSettings("green", InterfaceSettings(name="no-such-green"), HubSettings(isolate=True))
            await node._hubs.add(green)
            assert [one["name"] for one in (await picture(settings))["hubs"]] == [None, "green"]
            guard.cables[1].send(FRAME)
            await until(lambda: node._plane.hub_counters(1)["tap-frames-in"] == 1)
            await node._hubs.remove("green")
            assert [one["name"] for one in (await picture(settings))["hubs"]] == [None]
            # Its queue is closed as soon as the lanes have let go of it, and so the interface goes.
            assert await until(lambda: received(guard.cables[1]) == b"")
            guard.refuse = "ConfigureLink"
            with pytest.raises(StartError, match="ConfigureLink is refused"):
                await node._hubs.add(green)
            assert node._plane.hubs() == [0]
            assert await until(lambda: received(guard.cables[2]) == b"")

    run(body())


GREEN = NamedHubSettings("green", InterfaceSettings(name="no-such-green"), HubSettings())


def opened(guard):
    """The interfaces that were made, and how many queues each has from the beginning."""
    return [(one.name, one.queues) for one in guard.questions(OpenTap)]


async def some_turns():
    """Let whoever waits for nothing go on."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_hub_that_comes_while_a_lane_does_has_a_queue_for_it(configured, run):
    async def body():
        settings, config, guard = configured("a")
        async with serving(replace(settings, spare_lanes=1), config, guard) as (node, _):
            gate = guard.held["AddTapQueue"] = asyncio.Event()
            lane = asyncio.create_task(node._commands._add_lane())
            await until(lambda: guard.questions(AddTapQueue))
            hub = asyncio.create_task(node._hubs.add(GREEN))
            await some_turns()
            assert opened(guard) == [("no-such-a", 1)]
            gate.set()
            assert await lane == 1
            await hub
            assert opened(guard)[1:] == [("no-such-green", 2)]
            # And the next one finds them both.
            assert [one.name for one in guard.questions(AddTapQueue)] == ["no-such-a"]
            await node._hubs.remove("green")

    run(body())


def test_an_interface_that_is_made_again_while_a_lane_comes_has_a_queue_for_it(configured, run, monkeypatch):
    monkeypatch.setattr("rhp.node.tap.RETRY_SECONDS", 0.01)

    async def body():
        settings, config, guard = configured("a")
        settings = replace(settings, spare_lanes=1, hubs=(GREEN,))
        async with serving(settings, config, guard) as (node, _):
            gate = guard.held["AddTapQueue"] = asyncio.Event()
            lane = asyncio.create_task(node._commands._add_lane())
            await until(lambda: guard.questions(AddTapQueue))
            before = opened(guard)
            node._hubs.lost(0, 0, 0)
            await until(lambda: node._hubs._turns._waiters)
            assert opened(guard) == before
            gate.set()
            assert await lane == 1
            await until(lambda: node._journal.counters["tap-restored"])
            assert opened(guard)[len(before) :] == [("no-such-a", 2)]

    run(body())


def test_a_hub_that_is_being_made_when_the_node_ends_is_waited_for_and_then_there_is_none(configured, run):
    async def body():
        settings, config, guard = configured("a")
        async with serving(settings, config, guard) as (node, task):
            gate = guard.held["OpenTap"] = asyncio.Event()
            hub = asyncio.create_task(node._hubs.add(GREEN))
            await until(lambda: len(opened(guard)) == 2)
            node.stop("test")
            await until(lambda: node._state == "ending")
            await some_turns()
            assert not guard.questions(ReleaseAll) and not task.done()
            gate.set()
            await hub
            await task
            assert guard.questions(ReleaseAll)
            assert all(one.tap._closed for one in node._hubs)
            with pytest.raises(StartError, match="the node ends"):
                await node._hubs.add(replace(GREEN, name="red"))
            with pytest.raises(StartError, match="the node ends"):
                await node._hubs.add_lane(1)

    run(body())
