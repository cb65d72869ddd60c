"""The life of a node: what is opened in which order, and how all of it is taken back.

Start: control socket, sockets, TAP, lanes, then the connections. Whatever fails on the way, the exit stack takes back
what was there, newest first, and the caller hears one sentence. End: the connections are DELETEd, their peers get a
moment to confirm, then the same stack unwinds. What has to be true before any of this stands in rhp.node.preflight.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rhp.guard.guard import Guard
from rhp.guard.protocol import Question, Refused, ReleaseAll, TellState
from rhp.ike import events
from rhp.ike.config import EngineConfig
from rhp.ike.engine import Engine
from rhp.ike.errors import LocalError
from rhp.ike.tasks import registry
from rhp.net.addresses import source_address
from rhp.net.monitor import NetlinkMonitor
from rhp.net.route import interface_mtu
from rhp.node import status
from rhp.node.adapter import Adapter
from rhp.node.capture import Capture
from rhp.node.changes import Changes
from rhp.node.children import Children, IpAddress, Lineage
from rhp.node.commands import Commands
from rhp.node.control.protocol import Request
from rhp.node.control.server import CommandRefused, ControlServer
from rhp.node.edges import Edges, open_sockets
from rhp.node.errors import StartError
from rhp.node.fingerprints import bind_to_secrets
from rhp.node.gatekeeper import Gatekeeper
from rhp.node.growth import Growth
from rhp.node.hooks import HookAsker
from rhp.node.hubs import Hubs, places
from rhp.node.journal import Journal
from rhp.node.keeper import Keeper
from rhp.node.log import EventLog
from rhp.node.logring import LogRing, wants
from rhp.node.names import Names
from rhp.node.network import NetworkQueue
from rhp.node.pathmtu import PathMtus
from rhp.node.pathwatch import PathWatch
from rhp.node.providers import Providers, load_providers, open_plane
from rhp.node.reload import Reloader
from rhp.node.rooms import Rooms
from rhp.node.settings import NodeSettings
from rhp.node.sinks import Sinks
from rhp.node.state.commands import StateCommands
from rhp.node.state.store import Store
from rhp.node.stopwatch import Stopwatch
from rhp.node.telemetry import Telemetry
from rhp.node.vault import NodeVault
from rhp.node.views import Views
from rhp.node.watchedguard import WatchedGuard
from rhp.node.whereabouts import Whereabouts, addresses_now, source_of

FAREWELL_SECONDS = 2.0
"""How long peers have to confirm their DELETE."""


class Node:
    """One running node. `serve` returns when it has been stopped and has taken everything back.

    `providers` were loaded before; by default those of the settings are loaded here.
    """

    def __init__(
        self, settings: NodeSettings, engine_config: EngineConfig, guard: Guard, providers: Providers | None = None
    ) -> None:
        providers = providers or load_providers(settings)
        # First, because nothing is open yet that would have to be closed again.
        try:
            registry.load(engine_config.extensions)
        except LocalError as error:
            raise StartError(error.detail) from error
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._guard = WatchedGuard(guard, self._loop.time, self._refused)
        self._began = self._loop.time()
        self._stop = asyncio.Event()
        self._why = ""
        self._state = "starting"
        self._stopwatch = Stopwatch()
        self._raw_esp = any(one.encapsulation == "auto" for one in engine_config.connections)
        self._edges = Edges()
        self._plane = open_plane(providers.esp, settings)
        self._config = replace(engine_config, lanes=self._plane.lanes, spare_lanes=settings.spare_lanes)
        self._control = ControlServer(
            settings.control_socket, self._handle, audit=lambda *command: self._telemetry.commanded(*command)
        )
        self._log = EventLog(self._loop.time)
        self._ring = LogRing(lambda line: self._control.publish(line, "log", lambda ask: wants(ask.fields)(line)))
        self._sinks = Sinks(providers.sinks, settings.state_dir, self._loop)
        self._journal = self._make_journal()
        self._sinks.listen(lambda name, why: self._journal.write("event sink off", sink=name, detail=why))
        self._telemetry = Telemetry(settings, self._log, self._journal)
        self._engine = Engine(
            self._config, allocate_spi=self._plane.allocate_spi, wall_clock=_utc_now, source_of=source_of
        )
        self._vault = NodeVault(settings.state_dir, _utc_now, self._journal)
        self._monitor: NetlinkMonitor | None = None
        self._paths = PathMtus(interface_mtu, settings.path_mtu)
        self._children = Children(self._plane, places(self._plane, settings), self._paths.mtu)
        self._store = Store(settings.state_dir, _utc_now, self._journal, self._engine, self._plane, self._children)
        self._network = NetworkQueue(self._guard)
        self._hubs = self._make_hubs()
        self._place(self._config)
        self._watch = PathWatch(self._plane, self._children, self._hubs, self._journal, self._paths)
        self._adapter = self._make_adapter()
        self._keeper = self._make_keeper()
        self._hooks = HookAsker(self._guard, settings, lambda name: self._config.connection(name), self._hubs.device)
        self._rooms = self._make_rooms()
        self._reloader = Reloader(
            self._guard,
            self._journal,
            settings,
            engine_config,
            key=lambda: self._vault.fingerprint_key,
            follow=self._follow,
            obstacle=self._rooms.obstacle,
        )
        self._commands = self._make_commands()
        self._state_commands = StateCommands(self._store, self._engine)

    @property
    def tunnels(self) -> int:
        """How many IKE SAs there are."""
        return self._engine.count()

    def stop(self, why: str) -> None:
        """Begin to end; safe from a signal handler of the loop, and safe twice."""
        self._why = self._why or why
        self._stop.set()

    def reload_soon(self, why: str) -> None:
        """Read the configuration again, from a signal handler of the loop; the log tells what came of it."""
        self._reloader.soon(self.reload(why))

    async def reload(self, why: str) -> dict[str, Any]:
        """Read the configuration again and go by it; raises `CommandRefused`. See `rhp.node.reload`."""
        if self._state != "running":
            raise CommandRefused(f"the node is {self._state}, and nothing was changed; try again in a moment")
        return await self._reloader.reload(why)

    async def _follow(self, settings: NodeSettings, config: EngineConfig, changes: Changes) -> list[str]:
        if self._state != "running":
            return []  # It ends meanwhile.
        self._settings = settings
        refused = await self._rooms.follow(settings, config, changes)
        if changes.removed:
            self._forget_soon()
        return refused

    async def serve(self) -> None:
        """Start, serve until `stop`, take everything back. Raises `StartError`."""
        self._telemetry.open()
        try:
            async with AsyncExitStack() as stack:
                await self._start(stack)
                await self._stop.wait()
                await self._say_goodbye()
            self._journal.write("node stopped", pid=os.getpid())
        finally:
            self._telemetry.close()
            await self._sinks.close()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        self._ring.attach()
        stack.callback(self._ring.detach)
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
        self._engine.set_vault(self._vault.open())
        stack.callback(self._vault.close)
        self._store.open()
        stack.push_async_callback(self._store.close)
        self._config = await bind_to_secrets(self._config, self._guard, self._vault.fingerprint_key)
        self._engine.set_config(self._config)
        self._reloader.begin(self._config)
        await open_sockets(self._guard, self._plane, settings, raw_esp=self._raw_esp, edges=self._edges)
        await self._hubs.open()
        self._network.start()
        stack.push_async_callback(self._network.close)
        self._plane.start()
        self._adapter.start()
        stack.callback(self._adapter.stop)
        stack.push_async_callback(self._hubs.close)
        self._edges.listen(self._loop, self._adapter.receive, self._gatekeeper())
        for heard in self._edges.icmp:
            heard.listen(self._loop, self._watch.heard)
        if self._edges.deaf is not None:
            self._journal.write("icmp unheard", detail=self._edges.deaf)
        self._vault.start(self._loop, self._engine.set_vault)
        self._watch.start()
        stack.callback(self._watch.stop)
        self._watch_addresses(stack)
        await self._telemetry.serve(
            self._sources, lambda: self._config.connections, self._control, self._guard, lambda: self._state
        )
        # Before anything is taken back that is read for it.
        stack.push_async_callback(self._telemetry.unserve)
        self._state = "running"
        self._journal.write(
            "node started",
            version=status.program_version(),
            pid=os.getpid(),
            interface=settings.interface.name,
            mtu=self._hubs.own.mtu,
            port=settings.port,
            natt_port=settings.natt_port,
        )
        await self._guard.ask(TellState("running"))
        self._hooks.node("node-up")
        self._keeper.start()
        stack.callback(self._keeper.stop)

    def _watch_addresses(self, stack: AsyncExitStack) -> None:
        """From now on the SAs follow this machine's addresses, before the first of them is begun."""
        try:
            self._monitor = monitor = NetlinkMonitor(self._hubs.interfaces())
            stack.callback(monitor.close)
            command, hubs, keeper = self._adapter.command, self._hubs, self._keeper
            follow = keeper.hurry, hubs.readdress, hubs.unruled, keeper.rerouted
            Whereabouts(monitor, self._engine, command, self._journal, *follow).start()
        except OSError as error:
            self._journal.write("addresses unwatched", detail=error.strerror or str(error))

    async def _say_goodbye(self) -> None:
        self._state = "stopping"
        self._hooks.node("node-down")
        told = self._loop.create_task(self._guard.ask(TellState("stopping")), name="rhp-stopping")
        self._journal.write("node stopping", reason=self._why)
        self._rooms.close()
        self._keeper.stop()
        self._engine.set_config(replace(self._config, connections=()))
        self._adapter.command(self._engine.close_all)
        deadline = self._loop.time() + FAREWELL_SECONDS
        while self._engine.count() and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        if left := self._engine.count():
            self._journal.write("shutdown incomplete", reason="no-answer", detail=f"{left} IKE SAs ended unconfirmed")
        await self._network.drained()
        await told
        self._state = "ending"

    async def _release(self) -> None:
        answer = await self._guard.ask(ReleaseAll())
        if isinstance(answer, Refused):
            self._journal.write("shutdown incomplete", reason="release", detail=answer.reason)

    def _gatekeeper(self) -> Gatekeeper:
        if self._edges.gate is None:
            raise RuntimeError("the sockets are not open")
        return Gatekeeper(self._edges.gate, self._engine.admission, self._loop.time)

    def _place(self, config: EngineConfig) -> EngineConfig:
        """Go by this, with what the engine has to know of the machine: a peer that takes part gets a pair for each lane
        (RFC 9611), and hears who we are on its Ethernet."""
        lanes, spare = self._plane.lanes, self._plane.prepared - self._plane.lanes
        own, others = self._hubs.own.station(), self._hubs.stations()
        self._config = replace(config, lanes=lanes, spare_lanes=spare, station=own, stations=others)
        return self._config

    def _make_journal(self) -> Journal:
        self._expected = {one.name: one.expects for one in self._config.connections}
        return Journal(
            self._log,
            _utc_now,
            self._sinks.beside(self._control.publish),
            self._expected,
            lambda: self._control.followed or self._sinks.working,
        )

    def _make_rooms(self) -> Rooms:
        return Rooms(
            engine=self._engine,
            command=self._adapter.command,
            keeper=self._keeper,
            children=self._children,
            hubs=self._hubs,
            network=self._network,
            journal=self._journal,
            names=set(self._expected),
            expected=self._expected,
            place=self._place,
            interfaces=self._ignore,
        )

    def _ignore(self, interfaces: Collection[str]) -> None:
        if self._monitor is not None:
            self._monitor.ignore(interfaces)

    def _make_hubs(self) -> Hubs:
        return Hubs(
            self._guard,
            self._plane,
            self._journal,
            self._network,
            self._children,
            self._settings,
            self._config.connections,
            lambda: addresses_now(self._monitor),
            self._ends,
        )

    def _make_keeper(self) -> Keeper:
        return Keeper(
            self._engine,
            self._adapter.command,
            self._journal,
            self._settings.hosts,
            self._config.connections,
            Names().resolve,
            source_address,
        )

    def _make_adapter(self) -> Adapter:
        adapter = Adapter(
            self._engine,
            self._plane,
            self._guard,
            ike=self._edges.ike,
            natt=self._edges.natt,
            children=self._children,
            tunnels=self._hubs,
            listener=self._heard,
        )
        adapter.on_tap_lost = self._hubs.lost
        adapter.on_path_answer = self._watch.answered
        capture = Capture(self._plane, lambda: iter(self._children), self._journal, self._loop.call_soon)
        adapter.on_frames = capture.drain
        adapter.on_wake = self._woke
        self._control.streams["capture"] = capture.begin
        adapter.shape = self._hubs.shape
        return adapter

    def _make_commands(self) -> Commands:
        growth = Growth(
            self._guard,
            self._plane,
            self._hubs,
            self._engine,
            self._adapter.command,
            self._journal,
            self._settings,
            raw_esp=self._raw_esp,
        )
        return Commands(
            self._engine,
            self._adapter.command,
            self._keeper,
            self._journal,
            self._rooms.names,
            Views(self._sources, self._picture, self._ring, self._loop.time, _utc_now),
            self.stop,
            growth.add_lane,
            self.reload,
        )

    async def _handle(self, request: Request) -> dict[str, Any]:
        if self._state not in ("running", "stopping") and request.command != "down":
            raise CommandRefused(f"the node is {self._state}; try again in a moment")
        told = self._state_commands.handle(request)
        return told if told is not None else await self._commands.handle(request)

    def _heard(self, event: events.Event) -> None:
        extra: dict[str, object] = {}
        if (took := self._stopwatch.heard(event, self._loop.time())) is not None:
            extra["established_ms"] = took
        self._telemetry.heard(event, took)
        retry = self._keeper.heard(event)
        self._store.heard(event)
        self._hubs.heard(event, again=retry is not None)
        self._hooks.heard(event)
        if isinstance(event, events.InitiationFailed | events.ChildFailed):
            extra["retry_in"] = retry
        self._journal.record(event, **extra)
        name = getattr(event, "connection", "")
        if name and name not in self._expected:
            self._forget_soon()

    def _woke(self, slept: float) -> None:
        """The machine has slept, of which the engine knows: who is to be called later is called now."""
        self._journal.write("machine woke", slept=round(slept))
        self._keeper.hurry()

    def _forget_soon(self) -> None:
        self._telemetry.forget_soon(self._engine, self._children, lambda: self._config.connections)

    def _refused(self, name: str, question: Question, reason: str) -> None:
        # What stops the start is told by its one sentence.
        if self._state != "starting":
            self._telemetry.refused(name, question, reason)

    def _ends(self, lineage: Lineage) -> list[IpAddress]:
        """The outer addresses of a peer: those configured, and those that it told us of."""
        config = self._config.connection(lineage.connection)
        found = [net[0] for net in config.remote_addrs if net.num_addresses == 1] if config is not None else []
        told = (sa.peer_addresses for sa in self._engine.status(lineage.connection) if sa.ike_id == lineage.ike_id)
        return found + [address for addresses in told for address in addresses]

    def _picture(self) -> dict[str, Any]:
        now = self._loop.time()
        return status.picture(self._sources(), self._state, now - self._began, now)

    def _sources(self) -> status.Sources:
        return status.Sources(
            engine=self._engine,
            plane=self._plane,
            children=self._children,
            paths=self._paths,
            watch=self._watch,
            keeper=self._keeper,
            journal=self._journal,
            hubs=self._hubs,
            edges=self._edges,
            sinks=self._sinks,
            store=self._store,
            hooks=self._hooks,
            adapter=self._adapter,
            settings=self._settings,
            starts={one.name: one.start for one in self._config.connections},
            established_ms=self._stopwatch.established_ms,
            realms=[one for one in self._config.connections if one.match],
        )


def _utc_now() -> datetime:
    return datetime.now(UTC)
