"""A node without daemon that answers the commands which look at it, at a real control socket."""

import asyncio
import json
import logging
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

from click.testing import CliRunner

from rhp.cli.main import main
from rhp.node import status
from rhp.node.commands import Commands
from rhp.node.control.server import ControlServer
from rhp.node.edges import Edges
from rhp.node.logring import LogRing, wants
from rhp.node.settings import HubSettings, NodeSettings, StaticMac
from rhp.node.sinks import Sinks
from rhp.node.state.commands import StateCommands
from rhp.node.state.store import Store
from rhp.node.views import Views

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
    """A rig with a control socket and the books of its state; `rhp` runs a command against it in a thread."""

    def __init__(self, rig, wire, folder, realms=()):
        self.rig, self.wire, self.folder, self.realms = rig, wire, folder, realms
        (one,) = rig.engine._ctx.config.connections
        self.name, self.start = one.name, one.start
        self.server = ControlServer(folder / "control.sock", self._handle)
        self.ring = LogRing(lambda line: self.server.publish(line, "log", lambda ask: wants(ask.fields)(line)))
        self.settings = NodeSettings(hub=HubSettings(static=(StaticMac(bytes.fromhex("020000000001"), self.name),)))
        rig.journal._publish, rig.journal._followed = self.server.publish, lambda: self.server.followed
        self.hooks = SimpleNamespace(counters=Counter({"hooks-skipped": 0}))
        self.store = Store(folder, _now, rig.journal, rig.engine, rig.plane, rig.children)
        self._state_commands = StateCommands(self.store, rig.engine)
        self._listener, rig.adapter._listener = rig.adapter._listener, self._heard
        views = Views(self.sources, self._picture, self.ring, rig.loop.time, _now)
        names = frozenset({self.name})
        self._commands = Commands(
            rig.engine, rig.adapter.command, rig.keeper, rig.journal, names, views, lambda why: None, None, None
        )
        (folder / "rhp.toml").write_text(f'[node]\nrun_dir = "{folder}"\n[connections.{self.name}]\n')

    def sources(self):
        return self.rig.sources(
            hubs=OwnHub(self.settings.hub, INTERFACE),
            edges=Edges(),
            sinks=Sinks({}, self.settings.state_dir, asyncio.get_running_loop()),
            store=self.store,
            hooks=self.hooks,
            settings=self.settings,
            starts={self.name: self.start},
            realms=self.realms,
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
        told = self._state_commands.handle(request)
        return told if told is not None else await self._commands.handle(request)

    def _heard(self, event):
        self.store.heard(event)
        self._listener(event)

    def _picture(self):
        now = self.rig.loop.time()
        return status.picture(self.sources(), "running", 1.0, now)

    async def __aenter__(self):
        self._logger = logging.getLogger("rhp")
        self._level = self._logger.level
        self._logger.setLevel(logging.DEBUG)
        self.ring.attach()
        self.store.open()
        await self.server.start()
        return self

    async def __aexit__(self, *_):
        self.ring.detach()
        self._logger.setLevel(self._level)
        await self.server.close()
        await self.store.close()


def _now():
    return datetime.now(UTC)
