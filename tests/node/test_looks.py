"""The commands that look at a node, against a real control socket and the books of a node with its tunnel up."""

import asyncio
import contextlib
import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from rhp.cli.main import main
from rhp.node import status
from rhp.node.commands import Commands
from rhp.node.control.server import ControlServer
from rhp.node.edges import Edges
from rhp.node.logring import LogRing, wants
from rhp.node.settings import HubSettings, NodeSettings, StaticMac
from rhp.node.sinks import Sinks
from rhp.node.views import Views
from rhp.node.vocabulary import FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
INTERFACE = {"name": "rhp0", "addresses": [], "bridge": None, "present": True, "up": True, "mac": "-", "mtu": 1422}


class OwnHub(list):
    """A node's own hub, and no other."""

    def __init__(self, settings, interface):
        tap = SimpleNamespace(picture=lambda: interface)
        self.own = SimpleNamespace(name="", number=0, settings=SimpleNamespace(hub=settings), tap=tap)
        super().__init__([self.own])

    def picture(self):
        return []


class Looked:
    """Node `a` of a pair, with a control socket; `rhp` runs a command against it in a thread."""

    def __init__(self, rig, wire, folder):
        self.rig, self.wire, self.folder = rig, wire, folder
        self.server = ControlServer(folder / "control.sock", self._handle)
        self.ring = LogRing(lambda line: self.server.publish(line, "log", lambda ask: wants(ask.fields)(line)))
        self.settings = NodeSettings(hub=HubSettings(static=(StaticMac(bytes.fromhex("020000000001"), "to-b"),)))
        rig.journal._publish, rig.journal._followed = self.server.publish, lambda: self.server.followed
        views = Views(self.sources, self._picture, self.ring, rig.loop.time, lambda: datetime.now(UTC))
        names = frozenset({"to-b"})
        self._commands = Commands(
            rig.engine, rig.adapter.command, rig.keeper, rig.journal, names, views, lambda why: None, None, None
        )
        (folder / "rhp.toml").write_text(f'[node]\nrun_dir = "{folder}"\n[connections.to-b]\n')

    def sources(self):
        rig = self.rig
        return status.Sources(
            engine=rig.engine,
            plane=rig.plane,
            children=rig.children,
            paths=rig.paths,
            watch=rig.watch,
            keeper=rig.keeper,
            journal=rig.journal,
            hubs=OwnHub(self.settings.hub, INTERFACE),
            edges=Edges(),
            sinks=Sinks({}, self.settings.state_dir, asyncio.get_running_loop()),
            store=SimpleNamespace(counters={"state-write-failed": 2}),
            hooks=SimpleNamespace(counters={"hooks-skipped": 1}),
            adapter=rig.adapter,
            settings=self.settings,
            starts={"to-b": "initiate"},
            established_ms={},
        )

    async def rhp(self, *arguments, code=0):
        """What the command printed; what the two nodes send to each other meanwhile is carried."""
        task = asyncio.create_task(asyncio.to_thread(self._call, *arguments))
        while not task.done():
            self.wire.carry()
            await asyncio.sleep(0.001)
        result = await task
        assert result.exit_code == code, (arguments, result.output, result.exception)
        return result.output

    async def told(self, *arguments, code=0):
        """The objects that it printed."""
        shown = await self.rhp(*arguments, "-o", "json", code=code)
        return [json.loads(line) for line in shown.splitlines()]

    def _call(self, *arguments):
        return CliRunner().invoke(main, [*arguments, "-c", str(self.folder / "rhp.toml")])

    async def _handle(self, request):
        return await self._commands.handle(request)

    def _picture(self):
        now = self.rig.loop.time()
        return status.picture(self.sources(), "running", 1.0, now)


@pytest.fixture
def looked(pair, run, tmp_path):
    """Run `body(looked)` while a node with its tunnel up is served."""

    def go(body, *, up=True):
        async def serve():
            a, b, wire = pair()
            node = Looked(a, wire, tmp_path)
            logger = logging.getLogger("rhp")
            level = logger.level
            logger.setLevel(logging.DEBUG)
            node.ring.attach()
            await node.server.start()
            try:
                if up:
                    a.keeper.start()
                    await wire.settle(lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
                await body(node)
            finally:
                node.ring.detach()
                logger.setLevel(level)
                await node.server.close()
                await a.close()
                await b.close()

        run(serve(), 60)

    return go


def test_peers_are_listed_and_chosen(looked):
    async def body(node):
        (shown,) = await node.told("peers")
        assert shown["schema_version"] == 1
        (peer,) = shown["peers"]
        assert (peer["peer"], peer["connection"], peer["address"]) == ("b.example", "to-b", "192.0.2.2:4500")
        assert (peer["bytes_in"], peer["bytes_out"]) == (100, 200)
        assert datetime.fromisoformat(peer["since"]) <= datetime.now(UTC)
        for chosen, count in (
            (["--peer", "*.EXAMPLE"], 1),
            (["--peer", "a*"], 0),
            (["--connection", "to-b"], 1),
            (["--connection", "other"], 0),
        ):
            assert (await node.told("peers", *chosen))[0]["total"] == count, chosen
        head, row = (await node.rhp("peers")).splitlines()
        assert head.split() == ["PEER", "CONNECTION", "ADDRESS", "FOR", "TUNNEL", "RECEIVED", "SENT"]
        assert row.split()[:3] == ["b.example", "to-b", "192.0.2.2:4500"]
        assert row.endswith("Ethernet  100 B     200 B")

    looked(body)


def test_sas_are_listed_with_their_spis(looked):
    async def body(node):
        (shown,) = await node.told("sas")
        (sa,) = shown["ike_sas"]
        (child,) = sa["children"]
        text = await node.rhp("sas", "--peer", "b.*")
        for word in (sa["ike_spi_i"], sa["ike_spi_r"], child["spi_in"], child["spi_out"], child["suite"]):
            assert word in text
        assert (await node.told("sas", "--connection", "other"))[0]["total"] == 0

    looked(body)


def test_the_hub_tells_who_is_where(looked):
    async def body(node):
        (shown,) = await node.told("hub")
        assert [(one["mac"], one["where"], one["peer"], one["static"]) for one in shown["stations"]] == [
            ("02:00:00:00:00:02", "peer", "b.example", False),
            ("02:00:00:00:00:01", "here", None, True),
        ]
        assert (await node.told("hub", "--mac", "02-00-00-00-00-02"))[0]["matching"] == 1
        assert (await node.told("hub", "--peer", "b*", "--mac", "02:00"))[0]["matching"] == 1
        assert (await node.told("hub", "--connection", "other"))[0]["matching"] == 0
        text = await node.rhp("hub", "--most", "1")
        assert text.splitlines()[-1] == "1 more; --most shows them"
        assert "this machine" in await node.rhp("hub")

    looked(body)


def test_watch_counts_from_look_to_look(looked):
    async def body(node):
        counted = iter(range(0, 1_000_000, 1000))
        fixed = node.rig.plane.port_counters

        def growing(port, lane=None):
            return {**fixed(port), "bytes_in": next(counted)}

        node.rig.plane.port_counters = growing
        looks = await node.told("watch", "--count", "2", "--interval", "0.1")
        assert len(looks) == 2
        for look in looks:
            (peer,) = look["peers"]
            assert peer["bits_in_s"] == pytest.approx(8000 / look["interval_s"], rel=0.05)
            assert peer["bits_out_s"] == 0
        assert "bit/s" in await node.rhp("watch", "--count", "1", "--interval", "0.1")

    looked(body)


def test_the_log_is_shown(looked):
    async def body(node):
        lines = await node.told("log")
        assert {"ike established", "child established"} <= {one["event"] for one in lines}
        assert all(one["schema_version"] == 1 for one in lines)
        text = await node.rhp("log", "--level", "info", "-n", "1")
        assert text.count("\n") == 1
        assert " info " in text
        assert await node.told("log", "--connection", "other") == []

    looked(body)


def test_initiate_waits_and_tells_what_came_of_it(looked):
    async def body(node):
        assert "to-b: is up with b.example after" in await node.rhp("initiate", "to-b", "--wait")
        assert await node.rhp("initiate", "to-b", "--wait") == "to-b: is up already\n"
        assert await node.rhp("initiate", "to-b") == "to-b: asked for\n"
        assert "there is no connection" in await node.rhp("initiate", "nobody", "--wait", code=1)
        await node.rhp("terminate", "to-b")
        node.wire.cut = True
        assert "not up after 0.2 s" in await node.rhp("initiate", "to-b", "--wait", "--timeout", "0.2", code=1)

    looked(body, up=False)


def test_the_books_and_the_hooks_are_in_the_status(looked):
    async def body(node):
        counters = json.loads(await node.rhp("status", "-o", "json"))["counters"]["node"]
        assert (counters["state-write-failed"], counters["hooks-skipped"]) == (2, 1)
        assert counters["ike-established"] == 1

    looked(body)


def test_status_ends_with_4_while_a_wanted_tunnel_is_down(looked):
    async def body(node):
        await node.rhp("status")
        await node.rhp("terminate", "to-b")
        await node.wire.settle()
        await node.rhp("status")  # It was taken down on purpose.
        node.wire.cut = True
        await node.rhp("initiate", "to-b")
        assert "connecting" in await node.rhp("status", code=4)

    looked(body)


@pytest.mark.parametrize("fields", [{"level": "loud"}, {"lines": "many"}, {"lines": "9" * 200}, {"lines": "-1"}])
def test_wrong_wishes_are_refused_with_a_sentence(looked, fields):
    async def body(node):
        from rhp.node.control.client import ControlError, ask
        from rhp.node.control.protocol import Request

        with pytest.raises(ControlError, match=r"level|number"):
            await asyncio.to_thread(ask, node.folder / "control.sock", Request("log", fields))

    looked(body, up=False)


def flattened(value, path=""):
    """The paths of all that an object holds; what is in a list is called by "[]"."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flattened(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from flattened(inner, f"{path}[]")
    else:
        yield path, value


def documented(command):
    """The fields that the page names for a command, those of what it includes among them."""
    text = section(f"`{command}`")
    names = field_names(text)
    for prefix, title in re.findall(r"Each of `(.+?)` is \[an? (.+?)\]", text):
        article = "An" if title == "IKE SA" else "A"
        names += [f"{prefix}.{name}" for name in field_names(section(f"{article} {title}"))]
    return names


def section(title):
    text = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert text, title
    return text


def field_names(text):
    return [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]


def plainly(path):
    """An empty list is its own path, and its entries are none."""
    return path.removesuffix("[]")


def compare(command, objects):
    """Every printed field stands on the page, and every field of the page is printed, or lies in something empty."""
    printed = {}
    for one in objects:
        for path, value in flattened(one):
            printed.setdefault(path, []).append(value)
    names = {plainly(name) for name in documented(command)}
    anything = tuple(name.removesuffix("*") for name in names if name.endswith(".*"))
    unknown = [path for path in map(plainly, printed) if path not in names]
    # Of what is empty, the names of its entries stand on the page.
    above = {name[: at + 1] for name in names for at, mark in enumerate(name) if mark in ".["}
    assert [
        path
        for path in unknown
        if not f"{path}.".startswith(anything or ("\0",)) and not {f"{path}.", f"{path}["} & above
    ] == []
    empty = {path for path, values in printed.items() if any(value in (None, [], {}) for value in values)}
    covered = tuple(f"{path}{mark}" for path in empty for mark in (".", "["))
    shown = {plainly(path) for path in printed}
    lacking = [name for name in names if name not in shown and not name.endswith(".*")]
    assert [name for name in lacking if not name.startswith(covered or ("\0",))] == []


def test_the_page_names_every_field_that_is_printed(looked):
    async def body(node):
        for command, more in (
            ("peers", ()),
            ("sas", ()),
            ("hub", ()),
            ("watch", ("--count", "1", "--interval", "0.1")),
            ("log", ()),
        ):
            compare(f"rhp {command}", await node.told(command, *more))
        compare("rhp status", [json.loads(await node.rhp("status", "-o", "json"))])
        compare("rhp status --lanes", [json.loads(await node.rhp("status", "--lanes", "-o", "json"))])
        compare("rhp doctor", await _checked(node, "doctor"))
        compare("rhp check", await _checked(node, "check"))
        compare("rhp config check", await _checked(node, "config", "check"))

    looked(body)


async def _checked(node, *command):
    """Whatever is found: this configuration is none, and has a mistake."""
    result = await asyncio.to_thread(node._call, *command, "-o", "json")
    assert result.exit_code in (2, 4)
    with contextlib.suppress(KeyError):
        assert result.output.startswith('{"schema_version": 1')
    return [json.loads(result.output)]


def test_the_page_names_every_field_of_an_event(looked):
    async def body(node):
        task = asyncio.create_task(node.told("events"))
        while not node.server.followed:
            await asyncio.sleep(0.001)
        node.rig.keeper.start()
        await node.wire.settle(lambda: node.rig.named("ChildEstablished"))
        while not all(one.queue.empty() for one in node.server._followers):
            await asyncio.sleep(0.001)
        await node.server.close()
        told = await task
        names = [name for name in documented("rhp events") if name != "*"]
        assert {"event", "time"} < set(names)
        assert {name for one in told for name in one} <= {*names, *FIELDS}

    looked(body, up=False)
