"""A running node reloads: what the guard answers, what the node does of it, and what is left when something fails."""

import asyncio
import contextlib
import socket
import typing
from functools import partial
from ipaddress import ip_interface
from pathlib import Path

import pytest

from rhp.config.nodeshare import complete
from rhp.config.process import read
from rhp.guard.local import LocalGuard
from rhp.guard.protocol import (
    AdoptConfiguration,
    ConfigureLink,
    Descriptors,
    Done,
    FingerprintSecrets,
    NetworkQuestion,
    OpenTap,
    OpenUdp,
    ReadConfiguration,
    Refused,
    RemoveAddress,
)
from rhp.ike.config import EngineConfig
from rhp.lab.nodeconf import psk, toml
from rhp.node.control.client import ask
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused
from rhp.node.daemon import Node

SECRET = "0123456789abcdef"


class FileGuard(LocalGuard):
    """The real guard with its real file; but ports are on loopback, the TAP is a socket pair, and no link is touched.

    `answers` has the answer to a kind of question, which may be an exception; `asked` are all that were put.
    """

    def __init__(self, file):
        async def again():
            return await asyncio.to_thread(read, file)

        first = read(file)
        super().__init__(first.guard.policy, again, first)
        self.first = complete(first.node, EngineConfig())
        self.answers = {}
        self.asked = []
        self.cables = []

    async def ask(self, question):
        self.asked.append(question)
        answer = self.answers.get(type(question))
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        match question:
            case OpenTap():
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self.cables.append(theirs)
                return Descriptors((ours.detach(),))
            case OpenUdp(address, port):
                return Descriptors((on_loopback(":" in address, port, question.reuse),))
        return Done() if isinstance(question, typing.get_args(NetworkQuestion)) else await super().ask(question)


def on_loopback(six, port, reuse):
    opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuse)
    if six:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IP, 8, 1)
    opened.bind(("::1" if six else "127.0.0.1", port))
    return opened.detach()


@pytest.fixture
def ports():
    """Ports for two nodes that nobody has now."""
    held, found = [], []
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(lowest - 1, 1024, -7):
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.append(probe)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == 4:
            break
    for probe in held:
        probe.close()
    return {"a": found[:2], "b": found[2:]}


@pytest.fixture
def written(tmp_path, ports):
    """Write the file of node a or b: connections by name, with what differs from the usual one."""

    def write(which, *names, tables=None, node=None, **parts):
        other = "b" if which == "a" else "a"
        (port, natt), (theirs, their_natt) = ports[which], ports[other]
        where = {"remote_port": theirs, "remote_natt_port": their_natt, "remote_addrs": "127.0.0.1"}
        start = "initiate" if which == "a" else "wait"
        connections = {}
        for name in names:
            one = psk(f"{which}-{name}.example", f"{other}-{name}.example", SECRET, **where, start=start)
            own = {**one, **(tables or {}).get(name, {})}
            connections[name] = {key: value for key, value in own.items() if value is not None}
        own = {"port": port, "natt_port": natt, "lanes": 1, "run_dir": which, "state_dir": f"{which}/state"}
        table = {"node": {**own, **(node or {})}, "interface": {"name": f"no-such-{which}"}, "connections": connections}
        (tmp_path / which).mkdir(exist_ok=True)
        file = tmp_path / f"{which}.toml"
        file.write_text(toml({**table, **parts}) + "\n")
        file.chmod(0o600)
        return file

    return write


@contextlib.asynccontextmanager
async def serving(file):
    """A node with that file, in service."""
    guard = FileGuard(file)
    node = Node(guard.first.settings, guard.first.engine, guard)
    task = asyncio.create_task(node.serve())
    try:
        await until(lambda: node._state == "running" or task.done())
        yield node, guard
    finally:
        node.stop("test")
        await task
        for cable in guard.cables:
            cable.close()


async def until(condition, seconds=20.0):
    end = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < end, "that did not come"
        await asyncio.sleep(0.005)
    return found


def up(node, *names):
    """Whether these connections are up with a child, and no others."""
    live = {sa.connection for sa in node._engine.status() if sa.established_at is not None and sa.children}
    return live == set(names) and len(node._engine.status()) == len(names)


def both_up(a, b, *names):
    return up(a, *names) and up(b, *names)


def spis(node, name):
    (sa,) = node._engine.status(name)
    return sa.spi_i, sa.spi_r, [(child.spi_in, child.spi_out) for child in sa.children]


@contextlib.asynccontextmanager
async def pair(written, *names):
    async with serving(written("b", *names)) as b, serving(written("a", *names)) as a:
        await until(lambda: up(a[0], *names) and up(b[0], *names))
        yield a[0], a[1], b[0]


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


def nothing_changed(a, before, names):
    return up(a, *names) and spis(a, names[0]) == before and [one.name for one in a._config.connections] == list(names)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (ReadConfiguration, RuntimeError("a secret detail")),
        (ReadConfiguration, Refused("the disk is full")),
        (ReadConfiguration, Done()),
        (AdoptConfiguration, RuntimeError("a secret detail")),
        (AdoptConfiguration, Refused("the disk is full")),
    ],
)
def test_a_guard_that_fails_leaves_everything_as_it_was(written, question, answer, caplog):
    async def story():
        async with pair(written, "one", "two") as (a, guard, _):
            before = spis(a, "one")
            written("a", "one")
            guard.answers[question] = answer
            with pytest.raises(CommandRefused, match="nothing was changed") as refused:
                await a.reload("test")
            assert "secret" not in str(refused.value)
            assert nothing_changed(a, before, ("one", "two"))
            guard.answers.clear()
            assert (await a.reload("test"))["removed"] == ["two"]

    asyncio.run(story())


def test_a_wrong_file_and_a_setting_that_needs_a_restart_change_nothing(written):
    async def story():
        async with pair(written, "one", "two") as (a, guard, _):
            before = spis(a, "one")
            written("a", "one", tables={"one": {"psk": "0xnot hexadecimal", "dpd_delay": "soon"}})
            told = await a.reload("test")
            assert not told["applied"] and told["file"].endswith("a.toml")
            wheres = [mistake["where"] for mistake in told["mistakes"]]
            assert wheres == ["connections.one.psk", "connections.one.dpd_delay"]
            assert all(mistake["line"] for mistake in told["mistakes"])
            written("a", "one", node={"lanes": 2, "log_level": "debug"})
            told = await a.reload("test")
            assert not told["applied"] and told["restart"] == ["node.lanes"]
            assert nothing_changed(a, before, ("one", "two"))
            assert AdoptConfiguration not in map(type, guard.asked)

    asyncio.run(story())


def test_what_the_machine_refuses_is_told_and_the_rest_is_in_force(written):
    async def story():
        async with pair(written, "one") as (a, guard, _):
            before = spis(a, "one")
            interface = {"name": "no-such-a", "addresses": ["10.77.0.1/24", "fd77::1/64"]}
            written("a", "one", interface=interface)
            guard.answers[ConfigureLink] = Refused("no room for another address")
            told = await a.reload("test")
            assert told["applied"] and told["refused"] == ["no room for another address"] * 2
            assert told["settings"] == ["interface.addresses"]
            guard.answers.clear()
            guard.asked.clear()
            written("a", "one", interface={**interface, "addresses": ["fd77::1/64"]})
            assert (await a.reload("test"))["refused"] == []
            questions = [one for one in guard.asked if isinstance(one, RemoveAddress | ConfigureLink)]
            assert questions[0] == RemoveAddress("no-such-a", "10.77.0.1/24")
            assert questions[1].addresses == ("fd77::1/64",)
            assert a._config.station.ip4 is None and a._config.station.ip6 == ip_interface("fd77::1/64").ip
            assert spis(a, "one") == before

    asyncio.run(story())


def test_a_guard_that_fails_after_the_adoption_leaves_no_half_of_a_configuration(written):
    async def story():
        async with pair(written, "one") as (a, guard, _):
            before = spis(a, "one")
            guard.answers[FingerprintSecrets] = RuntimeError("a secret detail")
            written("a", "one", "two")
            told = await a.reload("test")
            assert told["applied"] and told["added"] == ["two"]
            # A ticket that is bound to nothing is none.
            assert [one.resumption for one in a._config.connections] == [True, False]
            assert spis(a, "one") == before
            guard.answers.clear()
            written("a", "one")
            assert (await a.reload("test"))["removed"] == ["two"]

    asyncio.run(story())


def test_a_mistake_of_ours_at_a_signal_is_seen(written, caplog):
    async def story():
        async with serving(written("a", "one")) as (a, _):
            a._rooms.keeper.update = None
            a.reload_soon("SIGHUP")
            await until(lambda: not a._reloader.tasks)

    with caplog.at_level("ERROR", logger="rhp"):
        asyncio.run(story())
    assert "step failed" in caplog.text


def test_reloads_at_once_are_done_one_after_the_other(written):
    async def story():
        async with pair(written, "one") as (a, guard, _):
            written("a", "one", "two")
            both = await asyncio.gather(a.reload("one"), a.reload("other"))
            assert [told["added"] for told in both] == [["two"], []]
            kinds = [type(one).__name__ for one in guard.asked if "Configuration" in type(one).__name__]
            assert kinds == ["ReadConfiguration", "AdoptConfiguration"] * 2

    asyncio.run(story())


def test_a_node_that_begins_or_ends_does_not_reload(written):
    async def story():
        async with serving(written("a", "one")) as (a, guard):
            a._state = "starting"
            with pytest.raises(CommandRefused, match="starting"):
                await a.reload("test")
            a.reload_soon("SIGHUP")
            await until(lambda: not a._reloader.tasks)
            a._state = "running"
            assert ReadConfiguration not in map(type, guard.asked)
            # It is asked to end while the guard reads.
            written("a", "one", "two")
            reload = asyncio.create_task(a.reload("test"))
            await until(lambda: ReadConfiguration in map(type, guard.asked))
            a._state = "stopping"
            await reload
            assert [one.name for one in a._config.connections] == ["one"]
            a._state = "running"

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
            await until(lambda: held(a) == kept)
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
