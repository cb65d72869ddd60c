"""A running node reloads: what comes, what goes, and what stays."""

import asyncio
import socket
from functools import partial
from pathlib import Path

import pytest
from loopback import until
from reload_rig import SECRET, both_up, pair, serving, spis, up

from rhp.guard.protocol import Done, OpenTap, Refused, RunHook
from rhp.node.control.client import ask
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused
from rhp.node.traffic import NOTHING


def test_connections_come_and_go_while_another_stays(written):
    async def story():
        async with pair(written, "stays", "goes") as (a, _, b):
            before = spis(a, "stays")
            for node, which in ((b, "b"), (a, "a")):
                written(which, "stays", "comes")
                told = await node.reload("test")
                assert (told["added"], told["removed"], told["changed"]) == (["comes"], ["goes"], [])
            await until(lambda: up(a, "stays", "comes") and up(b, "stays", "comes"))
            assert spis(a, "stays") == before
            status = await asyncio.to_thread(ask, a._settings.control_socket, Request("status"))
            assert [one["name"] for one in status["connections"]] == ["stays", "comes"]
            with pytest.raises(Exception, match="there is no connection"):
                await asyncio.to_thread(ask, a._settings.control_socket, Request("terminate", {"connection": "goes"}))
            await asyncio.to_thread(ask, a._settings.control_socket, Request("terminate", {"connection": "comes"}))

    asyncio.run(story())


def test_no_sums_are_kept_of_what_has_gone_though_nobody_reads_them(written, monkeypatch):
    monkeypatch.setattr("rhp.node.telemetry.FORGET_SECONDS", 0.02)

    def summed(node):
        return {labels[0] for counter in node._telemetry._counts.by_name.values() for labels in counter}

    async def story():
        async with pair(written, "stays", "goes") as (a, _, b):
            assert summed(a) == summed(b) == {"stays", "goes"}
            # What is left of it ends after the first look, which comes of the reload.
            looked, forget = [], a._telemetry._forget
            with monkeypatch.context() as mute:
                mute.setattr(a._edges.natt[socket.AF_INET], "send", lambda *datagram: True)
                mute.setattr(a._telemetry, "_forget", lambda *rooms: (forget(*rooms), looked.append(summed(a))))
                written("a", "stays")
                await a.reload("test")
                await until(lambda: looked)
                assert looked[0] == {"stays", "goes"}
            await until(lambda: not a._engine.status("goes"))
            await until(lambda: summed(a) == {"stays"})
            assert a._children.traffic.past("goes") is NOTHING
            # At b it is still in the file.
            assert summed(b) == {"stays", "goes"}
            assert b._children.traffic.past("goes") is not NOTHING

    asyncio.run(story())


def test_a_changed_connection_is_begun_anew_at_once(written):
    async def story():
        async with pair(written, "stays", "changes") as (a, _, b):
            before, old = spis(a, "stays"), spis(a, "changes")
            written("b", "stays", "changes", tables={"changes": {"local": {"id": "c.example"}}})
            assert (await b.reload("test"))["changed"][0]["effect"] == "anew"
            written("a", "stays", "changes", tables={"changes": {"remote": {"id": "c.example"}}})
            told = await a.reload("test")
            assert told["changed"] == [{"name": "changes", "keys": ["remote.id"], "effect": "anew"}]
            await until(lambda: up(a, "stays", "changes") and spis(a, "changes") != old)
            assert spis(a, "stays") == before

    asyncio.run(story())


def test_start_says_who_begins_from_now_on(written):
    async def story():
        waits = {"one": {"start": "wait"}}
        async with serving(written("b", "one")) as (b, _), serving(written("a", "one", tables=waits)) as (a, _):
            written("a", "one")
            assert (await a.reload("test"))["changed"][0]["keys"] == ["start"]
            await until(lambda: up(a, "one") and up(b, "one"))

    asyncio.run(story())


BLUE = {"hubs": {"blue": {"mac_ageing": 300}}}


def hubs(node):
    return [(hub.name, hub.settings.interface.name, node._children.ports().get(hub.name, 0)) for hub in node._hubs]


def test_a_hub_comes_with_its_connection_and_goes_with_it(written):
    async def story():
        async with pair(written, "stays") as (a, guard, b):
            before = spis(a, "stays")
            written("b", "stays", "comes")
            await b.reload("test")
            interface = {"name": "no-such-blue", "addresses": ["10.55.0.1/24"]}
            written("a", "stays", "comes", tables={"comes": {"hub": "blue"}}, hubs={"blue": {"interface": interface}})
            told = await a.reload("test")
            assert (told["added"], told["settings"], told["refused"]) == (["comes"], ["hubs.blue"], [])
            await until(partial(both_up, a, b, "stays", "comes"))
            assert hubs(a) == [("", "no-such-a", 1), ("blue", "no-such-blue", 1)]
            assert str(a._config.stations["blue"].ip4) == "10.55.0.1"
            assert [one.name for one in guard.asked if isinstance(one, OpenTap)] == ["no-such-a", "no-such-blue"]
            # Out of its hub into the node's own: the tunnel begins anew there, and then the hub goes.
            written("a", "stays", "comes")
            told = await a.reload("test")
            assert told["settings"] == ["hubs.blue"]
            assert told["changed"] == [{"name": "comes", "keys": ["hub"], "effect": "anew"}]
            await until(lambda: hubs(a) == [("", "no-such-a", 2)])
            assert spis(a, "stays") == before
            assert not a._rooms.leaving

    asyncio.run(story())


def test_a_hook_hears_of_the_interface_of_a_hub_that_came_by_a_reload(written):
    async def story():
        hooks = [{"on": ["tunnel-up", "tunnel-down"], "command": ["/bin/true"]}]
        there = serving(written("b", "stays", "comes"))
        async with there as (b, _), serving(written("a", "stays", hooks=hooks)) as (a, guard):
            guard.answers[RunHook] = Done()

            def told():
                asked = [one for one in guard.asked if isinstance(one, RunHook) and one.connection == "comes"]
                return [(one.event, one.interface) for one in asked]

            written("a", "stays", "comes", tables={"comes": {"hub": "blue"}}, **BLUE, hooks=hooks)
            assert (await a.reload("test"))["applied"]
            await until(lambda: both_up(a, b, "stays", "comes") and told())
            assert told() == [("tunnel-up", "blue")]
            # Out of its hub: what ends was there, and what comes is here.
            written("a", "stays", "comes", hooks=hooks)
            assert (await a.reload("test"))["applied"]
            await until(lambda: len(told()) == 3)
            assert told()[1:] == [("tunnel-down", "blue"), ("tunnel-up", "no-such-a")]

    asyncio.run(story())


def test_a_hub_whose_tunnel_does_not_end_is_waited_for(written, monkeypatch):
    monkeypatch.setattr("rhp.node.rooms.PATIENCE", 0.2)

    async def story():
        async with pair(written, "stays") as (a, _, _):
            written("a", "stays", **BLUE)
            assert (await a.reload("test"))["applied"]
            ports = a._children.ports
            a._children.ports = lambda: {"blue": 1}
            written("a", "stays")
            assert (await a.reload("test"))["settings"] == ["hubs.blue"]
            assert hubs(a)[1:] == [("blue", "blue", 1)]
            written("a", "stays", "more", **BLUE)
            with pytest.raises(CommandRefused, match="the hub blue of before still has tunnels"):
                await a.reload("test")
            assert [one.name for one in a._config.connections] == ["stays"]
            a._children.ports = ports
            await until(lambda: not a._rooms.leaving)
            assert (await a.reload("test"))["applied"]
            assert hubs(a)[1:] == [("blue", "blue", 0)]

    asyncio.run(story())


def test_a_hub_that_cannot_be_made_is_told_and_tried_again(written):
    async def story():
        async with pair(written, "one") as (a, guard, _):
            before = spis(a, "one")
            written("a", "one", **BLUE)
            guard.answers[OpenTap] = Refused("the interface blue exists already")
            told = await a.reload("test")
            assert told["applied"] and told["refused"] == ["the interface blue exists already"]
            guard.answers.clear()
            assert (await a.reload("test"))["refused"] == []
            assert hubs(a) == [("", "no-such-a", 1), ("blue", "blue", 0)]
            written(
                "a",
                "one",
                hubs={"blue": {"mac_ageing": 300, "isolate": True, "interface": {"addresses": ["10.5.0.1/24"]}}},
            )
            told = await a.reload("test")
            assert told["settings"] == ["hubs.blue.isolate", "hubs.blue.interface.addresses"]
            written("a", "one", hubs={"blue": {"interface": {"name": "green"}}})
            assert (await a.reload("test"))["restart"] == ["hubs.blue.interface.name"]
            assert spis(a, "one") == before

    asyncio.run(story())


def realm(name, *match, **more):
    """A realm of node b that takes node a's connections."""
    return {name: {"match": list(match), "psk": SECRET, "local": {"id": "gate.example"}, **more}}


def called(*names, **more):
    """Node a's connections, by which it calls the gateway's realms."""
    return {name: {"remote": {"id": "gate.example"}, **more} for name in names}


def test_realms_come_change_and_go_and_the_peers_of_the_others_stay(written):
    async def story():
        one, two = realm("one", "a-ann.example", "a-cid.example"), realm("two", "a-bob.example")
        names = ("ann", "bob", "cid")
        calling = written("a", *names, tables=called(*names))
        async with serving(written("b", realms={**one, **two})) as (b, _), serving(calling) as (a, _):
            await until(lambda: up(a, *names))
            before = {name: spis(a, name) for name in names}
            # A setting of one realm, and a third realm that nobody is in.
            one = realm("one", "a-ann.example", "a-cid.example", dpd_delay=7)
            written("b", realms={**one, **two, **realm("three", "*@nobody.example")})
            told = await b.reload("test")
            assert told["changed"] == [{"name": "one", "keys": ["dpd_delay"], "effect": "swap"}]
            assert told["added"] == ["three"]
            assert {name: spis(a, name) for name in names} == before
            # Cid is of another realm now, and comes there by himself; Ann and Bob do not notice.
            one, two = realm("one", "a-ann.example"), realm("two", "a-bob.example", "a-cid.example")
            written("b", realms={**one, **two})
            told = await b.reload("test")
            assert [(one["name"], one["keys"]) for one in told["changed"]] == [
                ("one", ["dpd_delay", "match"]),
                ("two", ["match"]),
            ]
            await until(lambda: up(a, *names) and spis(a, "cid") != before["cid"])
            assert {name: spis(a, name) for name in ("ann", "bob")} == {name: before[name] for name in ("ann", "bob")}
            assert sorted(sa.connection for sa in b._engine.status()) == ["one", "two", "two"]
            # A realm goes, and its peer with it.
            written("b", realms=two)
            assert (await b.reload("test"))["removed"] == ["one"]
            await until(lambda: [sa.connection for sa in b._engine.status()] == ["two", "two"])
            assert spis(a, "bob") == before["bob"]

    asyncio.run(story())


def test_another_key_of_one_peer_of_a_realm_is_proved_by_that_peer_alone(written, tmp_path):
    for name in ("ann", "bob"):
        (tmp_path / name).write_text(f"the first key of {name}\n")
        (tmp_path / name).chmod(0o600)

    async def story():
        files = {f"a-{name}.example": name for name in ("ann", "bob")}
        staff = {"staff": {"match": ["*.example"], "psk_files": files, "local": {"id": "gate.example"}}}
        tables = {name: {"psk": None, "psk_file": name, "remote": {"id": "gate.example"}} for name in ("ann", "bob")}
        calling = written("a", "ann", "bob", tables=tables)
        async with serving(written("b", realms=staff)) as (b, _), serving(calling) as (a, _):
            await until(lambda: up(a, "ann", "bob"))
            before = {name: spis(a, name) for name in ("ann", "bob")}
            (tmp_path / "ann").write_text("the second key of ann\n")
            told = await a.reload("test")
            assert told["changed"] == [{"name": "ann", "keys": ["keys"], "effect": "renew"}]
            told = await b.reload("test")
            assert told["changed"] == [{"name": "staff", "keys": ["keys"], "effect": "renew"}]
            await until(lambda: up(a, "ann", "bob") and spis(a, "ann") != before["ann"])
            assert spis(a, "bob") == before["bob"]

    asyncio.run(story())


def test_a_hundred_reloads_leave_nothing_behind(written):
    def held(node):
        node._loop.set_debug(False)
        return {
            "fds": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "tasks": len(asyncio.all_tasks()),
            "ports": len(list(node._children)),
            "charges": len(node._keeper._charges),
            "expected": len(node._expected),
            "bound": len(node._reloader._bound),
            "secrets": len(node._guard._guard._secrets._psks),
            "sas": len(node._engine.status()),
        }

    async def story():
        async with pair(written, "stays") as (a, _, b):
            before, kept = spis(a, "stays"), None
            for number in range(25):
                for names in (("stays", f"comes{number}"), ("stays",)):
                    for node, which in ((b, "b"), (a, "a")):
                        written(which, *names)
                        assert (await node.reload("test"))["applied"]
                    await until(partial(both_up, a, b, *names))
                kept = kept or held(a)
            # Something of the first turn may have been on its way out yet.
            await until(lambda: all(count <= kept[name] for name, count in held(a).items()))
            assert spis(a, "stays") == before

    asyncio.run(story())


def fields_of(value, path=""):
    """The paths of what is printed, as the page writes them."""
    if isinstance(value, dict):
        return {field for name, one in value.items() for field in fields_of(one, f"{path}.{name}" if path else name)}
    if isinstance(value, list):
        return {field for one in value for field in fields_of(one, f"{path}[]")} or {f"{path}[]"}
    return {path}


def test_the_page_has_all_that_is_told(written):
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    section = page.partition("\n## `rhp reload`\n")[2].partition("\n## ")[0]
    told = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}

    async def story():
        async with pair(written, "one") as (a, _, _):
            written("a", "one", tables={"one": {"dpd_delay": 7}})
            found = fields_of(await a.reload("test"))
            written("a", "one", tables={"one": {"dpd_delay": "soon"}})
            found |= fields_of(await a.reload("test"))
            # Lists that are empty in one and hold tables in the other.
            assert found - {"changed[]", "mistakes[]"} == told

    asyncio.run(story())


def test_no_secret_is_written_down(written, capsys, caplog):
    async def story():
        async with pair(written, "one") as (a, _, _):
            written("a", "one", tables={"one": {"psk": "a sentence that nobody may see"}})
            told = await a.reload("test")
            assert told["changed"] == [{"name": "one", "keys": ["keys"], "effect": "renew"}]
            assert "nobody may see" not in str(told)

    with caplog.at_level("DEBUG", logger="rhp"):
        asyncio.run(story())
    assert "nobody may see" not in caplog.text
    assert "connection changed connection=one keys=keys effect=renew" in caplog.text
    assert "configuration reloaded reason=test added=0 changed=1 removed=0" in caplog.text
