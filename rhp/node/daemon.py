"""The life of a node: what is opened in which order, and how all of it is taken back.

Start: control socket, sockets, TAP, lanes, then the connections. Whatever fails on the way, the exit stack takes back
what was there, newest first, and the caller hears one sentence. End: the connections are DELETEd, their peers get a
moment to confirm, then the same stack unwinds. What has to be true before any of this stands in rhp.node.preflight.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rhp.guard.guard import Guard
from rhp.guard.protocol import Refused, ReleaseAll
from rhp.ike import events
from rhp.ike.config import EngineConfig
from rhp.ike.engine import Engine
from rhp.net.addresses import local_addresses, source_address
from rhp.node import status
from rhp.node.adapter import Adapter
from rhp.node.children import Children
from rhp.node.commands import Commands
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused, ControlServer
from rhp.node.edges import Edges, lane_count, open_sockets
from rhp.node.errors import StartError
from rhp.node.journal import Journal
from rhp.node.keeper import Keeper, resolve
from rhp.node.log import EventLog
from rhp.node.mtu import configured_mtu
from rhp.node.network import NetworkQueue
from rhp.node.settings import NodeSettings
from rhp.node.stopwatch import Stopwatch
from rhp.node.tap import Tap
from rhp.node.tunnels import Tunnels

FAREWELL_SECONDS = 2.0
"""How long peers have to confirm their DELETE."""


class Node:
    """One running node. `serve` returns when it has been stopped and has taken everything back."""

    def __init__(self, settings: NodeSettings, engine_config: EngineConfig, guard: Guard) -> None:
        from rhp._fast.dataplane import DataPlane

        self._settings = settings
        self._config = engine_config
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._stop = asyncio.Event()
        self._why = ""
        self._state = "starting"
        self._stopwatch = Stopwatch()
        self._mtu = settings.interface.mtu or configured_mtu(engine_config.connections)
        self._edges = Edges()
        self._plane = DataPlane(lane_count(settings.lanes))
        self._control = ControlServer(settings.control_socket, self._handle)
        expected = {one.name: one.remote.pattern.text for one in engine_config.connections}
        self._journal = Journal(EventLog(self._loop.time), _utc_now, self._control.publish, expected)
        self._engine = Engine(engine_config, allocate_spi=self._plane.allocate_spi, wall_clock=_utc_now)
        self._children = Children(self._plane, settings.hub)
        self._network = NetworkQueue(guard)
        self._tunnels = Tunnels(
            self._children, self._network, self._journal, settings.interface, self._mtu, local_addresses
        )
        identities = [one.local.identity.build() for one in engine_config.connections]
        self._tap = Tap(
            guard, self._plane, self._journal, settings.interface, self._mtu, identities, self._tunnels.restore
        )
        self._adapter = self._make_adapter()
        self._keeper = Keeper(
            self._engine,
            self._adapter.command,
            self._journal,
            settings.hosts,
            engine_config.connections,
            resolve,
            source_address,
        )
        self._commands = self._make_commands()

    def stop(self, why: str) -> None:
        """Begin to end; safe from a signal handler of the loop, and safe twice."""
        self._why = self._why or why
        self._stop.set()

    async def serve(self) -> None:
        """Start, serve until `stop`, take everything back. Raises `StartError`."""
        async with AsyncExitStack() as stack:
            await self._start(stack)
            await self._stop.wait()
            await self._say_goodbye()
        self._journal.write("node stopped", pid=os.getpid())

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        try:
            await self._control.start()
        except OSError as error:
            reason = error.strerror or error
            raise StartError(f"the control socket {settings.control_socket} cannot be made: {reason}") from None
        # The last thing to go, so that rhp down, which waits for it, finds everything taken back.
        stack.push_async_callback(self._control.close)
        stack.push_async_callback(self._release)
        stack.callback(self._plane.close)
        stack.callback(self._edges.close)
        raw_esp = any(one.encapsulation == "auto" for one in self._config.connections)
        await open_sockets(self._guard, self._plane, settings, raw_esp=raw_esp, edges=self._edges)
        await self._tap.open()
        self._children.set_hub()
        self._network.start()
        stack.push_async_callback(self._network.close)
        self._plane.start()
        self._adapter.start()
        stack.callback(self._adapter.stop)
        stack.push_async_callback(self._tap.close)
        for edge in self._edges.ike.values():
            edge.listen(self._loop, self._adapter.receive)
        self._state = "running"
        self._journal.write(
            "node started",
            version=status.program_version(),
            pid=os.getpid(),
            interface=settings.interface.name,
            mtu=self._mtu,
            port=settings.port,
            natt_port=settings.natt_port,
        )
        self._keeper.start()
        stack.callback(self._keeper.stop)

    async def _say_goodbye(self) -> None:
        self._state = "stopping"
        self._journal.write("node stopping", reason=self._why)
        self._keeper.stop()
        self._engine.set_config(replace(self._config, connections=()))
        self._adapter.command(self._engine.close_all)
        deadline = self._loop.time() + FAREWELL_SECONDS
        while self._engine.status() and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        if left := len(self._engine.status()):
            self._journal.write("shutdown incomplete", reason="no-answer", detail=f"{left} IKE SAs ended unconfirmed")
        await self._network.drained()
        self._state = "ending"

    async def _release(self) -> None:
        answer = await self._guard.ask(ReleaseAll())
        if isinstance(answer, Refused):
            self._journal.write("shutdown incomplete", reason="release", detail=answer.reason)

    def _make_adapter(self) -> Adapter:
        adapter = Adapter(
            self._engine,
            self._plane,
            self._guard,
            ike=self._edges.ike,
            natt=self._edges.natt,
            children=self._children,
            tunnels=self._tunnels,
            listener=self._heard,
        )
        adapter.on_tap_lost = self._tap.lost
        return adapter

    def _make_commands(self) -> Commands:
        names = frozenset(one.name for one in self._config.connections)
        return Commands(
            self._engine, self._adapter.command, self._keeper, self._journal, names, self._picture, self.stop
        )

    async def _handle(self, request: Request) -> dict[str, Any]:
        if self._state not in ("running", "stopping") and request.command != "down":
            raise CommandRefused(f"the node is {self._state}; try again in a moment")
        return await self._commands.handle(request)

    def _heard(self, event: events.Event) -> None:
        extra: dict[str, object] = {}
        if (took := self._stopwatch.heard(event, self._loop.time())) is not None:
            extra["established_ms"] = took
        retry = self._keeper.heard(event)
        if isinstance(event, events.InitiationFailed | events.ChildFailed):
            extra["retry_in"] = retry
        self._journal.record(event, **extra)

    def _picture(self) -> dict[str, Any]:
        now = self._loop.time()
        sources = status.Sources(
            engine=self._engine,
            plane=self._plane,
            children=self._children,
            keeper=self._keeper,
            journal=self._journal,
            tap=self._tap,
            edges=self._edges,
            adapter=self._adapter,
            settings=self._settings,
            starts={one.name: one.start for one in self._config.connections},
            established_ms=self._stopwatch.established_ms,
        )
        return status.picture(sources, self._state, now - self._began, now)


async def run(settings: NodeSettings, engine_config: EngineConfig, guard: Guard) -> None:
    """Serve until SIGTERM, SIGINT or `rhp down`. Raises `StartError`."""
    node = Node(settings, engine_config, guard)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.stop, signal.Signals(number).name)
    await node.serve()


def _utc_now() -> datetime:
    return datetime.now(UTC)
