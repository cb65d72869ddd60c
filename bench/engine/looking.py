"""What it costs to look at a node with a thousand peers: `rhp status` as a whole, and the node's part of it.

One gateway with a thousand IKE SAs, on a real data plane and behind a real control socket. The command is a process of
its own, as it is for whoever types it. A turn is how long the node's main thread does nothing else.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from types import SimpleNamespace
from typing import Any, cast

from bench.engine.pair import Pair
from rhp._fast.dataplane import DataPlane
from rhp.ike.effects import InstallSA
from rhp.node import status
from rhp.node.children import Children, HubPlace
from rhp.node.control.protocol import Request, build_result
from rhp.node.control.server import ControlServer
from rhp.node.edges import Edges
from rhp.node.hubs import OWN
from rhp.node.logring import LogRing
from rhp.node.pathmtu import PathMtus
from rhp.node.settings import HubSettings, NodeSettings
from rhp.node.views import Views

PEERS = 1000
ROUNDS = 7
PROGRAM = "from rhp.cli.main import main; main()"


class _Hubs(list[SimpleNamespace]):
    """The node's own hub, and no other."""

    def __init__(self, interface: dict[str, Any]) -> None:
        tap = SimpleNamespace(picture=lambda: interface)
        self.own = SimpleNamespace(name=OWN, number=0, settings=SimpleNamespace(hub=HubSettings()), tap=tap)
        super().__init__([self.own])

    def picture(self) -> list[dict[str, Any]]:
        """Of the others."""
        return []


class Gateway:
    """The responder of so many handshakes, with all that its status is taken from, `sources`. `close` it."""

    def __init__(self, peers: int) -> None:
        pair = Pair(peers)
        self.plane = DataPlane(1)
        paths = PathMtus(lambda _: 1500)
        self._children = Children(self.plane, {OWN: HubPlace(0, HubSettings())}, paths.mtu)
        pair.responder.on_install = self._install
        for number in range(peers):
            pair.handshake(number, 0.0)
        quiet = cast("Any", SimpleNamespace(counters={}, last_errors={}, failures=list, retry_in=lambda name: None))
        interface: dict[str, Any] = {"name": "rhp0", "addresses": [], "bridge": None, "present": True, "up": True}
        self.sources = status.Sources(
            engine=pair.responder.engine,
            plane=self.plane,
            children=self._children,
            paths=paths,
            watch=quiet,
            keeper=quiet,
            journal=quiet,
            hubs=cast("Any", _Hubs({**interface, "mtu": 1422, "mac": "02:00:00:00:00:01"})),
            edges=Edges(),
            sinks=cast("Any", SimpleNamespace(counters=dict)),
            store=quiet,
            hooks=quiet,
            adapter=quiet,
            settings=NodeSettings(),
            starts={"gate": "wait"},
            established_ms={},
        )
        self._views = Views(
            lambda: self.sources,
            lambda: status.picture(self.sources, "running", 1.0, 1.0),
            LogRing(lambda line: None),
            lambda: 1.0,
            lambda: datetime.now(UTC),
        )

    def close(self) -> None:
        """Let the data plane go."""
        self.plane.close()

    def answer(self, request: Request) -> Iterator[bytes]:
        """The node's answer, in the pieces in which it is sent."""
        return build_result(self._views.answer(request))

    async def handle(self, request: Request) -> dict[str, Any]:
        """The control server's handler."""
        return self._views.answer(request)

    def _install(self, effect: InstallSA) -> None:
        self._children.install(effect)


def turns(gateway: Gateway, request: Request) -> list[float]:
    """The seconds of processor time of each piece of an answer."""
    spent = []
    before = thread_time()
    for _ in gateway.answer(request):
        spent.append(thread_time() - before)
        before = thread_time()
    return spent


async def command_s(gateway: Gateway, folder: Path, *options: str) -> list[float]:
    """The seconds that `rhp status` takes, from its start to its end, round by round."""
    file = folder / "rhp.toml"
    file.write_text(f'[node]\nrun_dir = "{folder}"\n')
    server = ControlServer(folder / "control.sock", gateway.handle)
    await server.start()
    command = [sys.executable, "-c", PROGRAM, "status", "-c", str(file), *options]
    try:
        return [await asyncio.to_thread(_timed, command) for _ in range(ROUNDS)]
    finally:
        await server.close()


def _timed(command: list[str]) -> float:
    began = perf_counter()
    # With a timeout Python looks for its end at intervals, of 50 ms before long. The command has a timeout of its own.
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - began


def measure() -> dict[str, dict[str, float]]:
    """All of it, beside a node with a single peer."""
    figures: dict[str, dict[str, float]] = {"status_1000_peers_s": {}, "status_turn_ms": {}}
    for name, peers in (("rhp", PEERS), ("rhp-1-peer", 1)):
        gateway = Gateway(peers)
        try:
            with tempfile.TemporaryDirectory() as folder:
                took = asyncio.run(command_s(gateway, Path(folder)))
                long = asyncio.run(command_s(gateway, Path(folder), "-o", "json"))
            figures["status_1000_peers_s"][name] = round(median(took), 3)
            figures["status_1000_peers_s"][f"{name}-json"] = round(median(long), 3)
            figures["status_turn_ms"][name] = round(max(turns(gateway, Request("status"))) * 1000, 1)
        finally:
            gateway.close()
    return figures
