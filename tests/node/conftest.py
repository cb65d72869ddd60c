"""A node's rooms with everything outside replaced: a data plane that only keeps books, a guard without privileges, a
network between two nodes that is a list."""

import asyncio
import contextlib
import os
import socket
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from daemon_rig import LoopbackGuard
from looked_rig import Looked
from loopback import four_ports
from reload_rig import SECRET

from rhp._fast import stats
from rhp.crypto.proposal import default_esp_proposals, default_ike_proposals
from rhp.guard.policy import GuardPolicy, PskSecret
from rhp.guard.protocol import CheckPsk, Descriptors, Done, ProvePsk, Refused, SignOctets
from rhp.guard.secrets import SecretStore
from rhp.ike.config import ChildConfig, ConnectionConfig, EngineConfig, LocalAuth, RemoteAuth
from rhp.ike.engine import Engine
from rhp.lab.nodeconf import psk, toml
from rhp.net.udp import FakeUdp
from rhp.node.adapter import NON_ESP_MARKER, Adapter
from rhp.node.children import Children, HubPlace
from rhp.node.journal import Journal
from rhp.node.keeper import Keeper
from rhp.node.log import EventLog
from rhp.node.network import NetworkQueue
from rhp.node.pathmtu import PathMtus
from rhp.node.pathwatch import PathWatch
from rhp.node.settings import HubSettings, InterfaceSettings, NodeSettings
from rhp.node.status import Sources
from rhp.node.tunnels import Tunnels
from rhp.pki.identity import parse_identity
from rhp.realm.pattern import IdentityPattern


class FakePlane:
    """Keeps ports, SAs and what it was told; `event` plays an event of the lanes."""

    lanes = 1

    def __init__(self):
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.ports = {}
        self.sas = {}
        self.active = []
        self.migrated = []
        self.probes = []
        self.sent = 2
        self.hub = None
        self.hubs = {}
        self.neighbours = {}
        self.last_in = {}
        self.last_out = {}
        self.refuse_install = False
        self._events = []
        self._next_port = 1
        self._next_spi = 0x1000

    def allocate_spi(self, lane=None):
        self._next_spi += 1
        return self._next_spi

    def event(self, *event):
        self._events.append(event)
        os.eventfd_write(self.event_fd, 1)

    def poll_events(self, limit=256):
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.event_fd)
        found, self._events = self._events[:limit], self._events[limit:]
        return found

    def add_port(self, kind, **values):
        port, self._next_port = self._next_port, self._next_port + 1
        self.ports[port] = {"kind": kind, **values}
        return port

    def set_port_path(self, port, **values):
        self.ports[port].update(values)

    def probe(self, spi_in, octets):
        assert spi_in in self.sas
        self.probes.append((spi_in, octets))

    def remove_port(self, port):
        del self.ports[port]
        for spi in [spi for spi, sa in self.sas.items() if sa.port == port]:
            del self.sas[spi]

    def install(self, sa):
        if self.refuse_install:
            raise ValueError("the table is full")
        assert sa.port in self.ports
        assert sa.spi_in not in self.sas
        self.sas[sa.spi_in] = sa
        if sa.outbound_active:
            self.active.append(sa.spi_in)

    def retire(self, spi_in):
        del self.sas[spi_in]

    def activate(self, spi_in):
        assert spi_in in self.sas
        self.active.append(spi_in)

    def deactivate(self, spi_in):
        assert spi_in in self.sas
        self.active.remove(spi_in)

    def migrate(self, spi_in, local, remote, encapsulation):
        assert spi_in in self.sas
        self.migrated.append((spi_in, local, remote, encapsulation))

    def set_hub(self, **values):
        self.hubs[values["hub"]] = self.hub = values

    def add_neighbour(self, ip, mac, port, hub=0):
        assert port in self.ports
        self.neighbours[ip] = (mac, port)

    def remove_neighbour(self, ip, hub=0):
        del self.neighbours[ip]

    def macs(self, hub=0):
        return [(bytes.fromhex("020000000001"), 0, 1.5), (bytes.fromhex("020000000002"), 1, 0.5)]

    def counters(self):
        return {**dict.fromkeys(stats.NAMES, 0), "drop-esp-bad-icv": 3}

    def sa_counters(self, spi_in):
        assert spi_in in self.sas
        heard, sent = self.last_in.get(spi_in, 0), self.last_out.get(spi_in, 0)
        return {"last_in_ns": heard, "last_out_ns": sent, "replay_drops": 1, "auth_drops": 2}

    def lane_counters(self, lane):
        return dict.fromkeys(stats.NAMES, 0)

    def cpu(self, lane):
        return None, 1_500_000_000

    def offloads(self, lane):
        return {"tap": 0, "udp4": (64, True)}

    def port_counters(self, port, lane=None):
        assert port in self.ports
        return {"packets_in": 1, "bytes_in": 100, "packets_out": self.sent, "bytes_out": 200, "drops": 0}

    def close(self):
        os.close(self.event_fd)


class FakeGuard:
    """Real pre-shared keys, no privileges: network questions are kept and granted, or refused by `refusals`."""

    def __init__(self, policy):
        self.secrets = SecretStore(policy)
        self.asked = []
        self.refusals = {}
        self.broken = False

    async def ask(self, question):
        if self.broken:
            raise RuntimeError("a secret detail")
        match question:
            case ProvePsk():
                return self.secrets.prove(question)
            case CheckPsk():
                return self.secrets.check(question)
            case SignOctets():
                return Refused("no private key here")
        self.asked.append(question)
        if reason := self.refusals.get(type(question)):
            return Refused(reason)
        return Descriptors(()) if type(question).__name__.startswith("Open") else Done()


class LineLog:
    """Stands in for the log and keeps what was written."""

    def __init__(self):
        self.lines = []

    def __call__(self, event):
        return [fields for words, fields in self.lines if words == event]


class Rig:
    """One node without daemon: engine, adapter, keeper and journal over fakes, at one address of the fake network."""

    def __init__(
        self, connections, psks, *, address, hub=None, hubs=(), interface=None, hosts=None, answers=None, log=None
    ):
        self.loop = asyncio.get_running_loop()
        self.address = ip_address(address)
        self.plane = FakePlane()
        self.guard = FakeGuard(GuardPolicy(psks=psks))
        self.engine = Engine(
            EngineConfig(connections), allocate_spi=self.plane.allocate_spi, wall_clock=lambda: datetime.now(UTC)
        )
        self.events = []
        self.published = []
        self.ours = {self.address}
        self.expected = {one.name: one.remote.pattern.text for one in connections}
        self.journal = Journal(
            EventLog(self.loop.time), lambda: datetime(2026, 3, 1, tzinfo=UTC), self.published.append, self.expected
        )
        self.paths = PathMtus(lambda _: 1500)
        places = {name: HubPlace(number, settings) for number, (name, settings) in enumerate(dict(hubs).items(), 1)}
        places[""] = HubPlace(0, hub or HubSettings())
        self.children = Children(self.plane, places, self.paths.mtu)
        self.queue = NetworkQueue(self.guard)
        self.queue.start()
        self.interface = interface or InterfaceSettings()
        self.tunnels = Tunnels(self.children, self.queue, self.journal, self.interface, 1422, lambda: self.ours)
        self.watch = PathWatch(self.plane, self.children, self.tunnels, self.journal, self.paths)
        self.ike, self.natt = FakeUdp(), FakeUdp()
        self.adapter = Adapter(
            self.engine,
            self.plane,
            self.guard,
            ike={socket.AF_INET: self.ike},
            natt={socket.AF_INET: self.natt},
            children=self.children,
            tunnels=self.tunnels,
            listener=self._heard,
        )
        self.answers = answers or {}
        self.keeper = Keeper(
            self.engine,
            self.adapter.command,
            self.journal,
            hosts or {},
            connections,
            self._resolve,
            self._source,
        )
        self.no_route = False
        self.adapter.start()

    def _heard(self, event):
        self.events.append(event)
        retry = self.keeper.heard(event)
        self.journal.record(event, **({"retry_in": retry} if type(event).__name__ == "InitiationFailed" else {}))

    async def _resolve(self, host):
        if host not in self.answers:
            raise OSError(-2, "Name or service not known")
        return [ip_address(text) for text in self.answers[host]]

    def _source(self, remote):
        if self.no_route:
            raise OSError(101, "Network is unreachable")
        return self.address

    def named(self, name):
        return [event for event in self.events if type(event).__name__ == name]

    async def close(self):
        self.keeper.stop()
        self.adapter.stop()
        await self.queue.close()
        await asyncio.sleep(0)
        self.plane.close()

    def sources(self, **others):
        """What a status is made of: this node's own, and the `others` that only a whole node has."""
        return Sources(
            engine=self.engine,
            plane=self.plane,
            children=self.children,
            paths=self.paths,
            watch=self.watch,
            keeper=self.keeper,
            journal=self.journal,
            adapter=self.adapter,
            established_ms={},
            **others,
        )


class Wire:
    """Carries what two rigs send to each other, in order; `seen` counts, `cut` loses everything."""

    def __init__(self, *rigs):
        self.rigs = {rig.address: rig for rig in rigs}
        self.seen = Counter()
        self.cut = False

    def carry(self):
        moved = False
        for rig in self.rigs.values():
            for edge, natt in ((rig.ike, False), (rig.natt, True)):
                sent, edge.sent = edge.sent, []
                for datagram, local, remote in sent:
                    moved = True
                    self.seen["natt" if natt else "ike"] += 1
                    peer = self.rigs.get(remote.ip)
                    if self.cut or peer is None or datagram == b"\xff":
                        continue
                    if natt:
                        assert datagram.startswith(NON_ESP_MARKER)
                        addresses = (str(local.ip), local.port, str(remote.ip), remote.port)
                        peer.plane.event("ike", *addresses, datagram[4:])
                    else:
                        peer.adapter.receive(datagram, remote, local)
        return moved

    async def settle(self, until=None, seconds=60.0):
        """Carry until nothing moves any more (or `until` holds); fails when that does not come."""
        end = asyncio.get_running_loop().time() + seconds
        quiet = 0
        while asyncio.get_running_loop().time() < end:
            quiet = 0 if self.carry() else quiet + 1
            await asyncio.sleep(0.001)
            if until() if until else quiet > 20:
                return
        raise AssertionError("the two nodes did not settle")


def connection(name, us, them, remote=None, children=(), **more):
    """A PSK connection with one Ethernet child unless told otherwise."""
    from ipaddress import ip_network

    return ConnectionConfig(
        name=name,
        local=LocalAuth("psk", parse_identity(us)),
        remote=RemoteAuth("psk", IdentityPattern.parse(them)),
        proposals=default_ike_proposals(),
        children=tuple(children) or (ethernet("ethernet"),),
        remote_addrs=(ip_network(remote),) if remote else (),
        start=more.pop("start", "initiate" if remote else "wait"),
        **more,
    )


def ethernet(name):
    return ChildConfig(name, "ethernet", (), (), default_esp_proposals())


@pytest.fixture
def make_connection():
    return connection


@pytest.fixture
def make_rig():
    return Rig


@pytest.fixture
def make_wire():
    return Wire


@pytest.fixture
def pair():
    """Two rigs that know each other, `a` calling `b`, and the wire between them."""

    def make(psk_a=b"0123456789abcdef", psk_b=None, **more):
        secret_a = PskSecret("to-b", "a.example", "b.example", key=psk_a)
        secret_b = PskSecret("to-a", "b.example", "a.example", key=psk_b or psk_a)
        children = more.pop("children", ())
        others = more.pop("other_children", children)
        back = "192.0.2.1" if more.pop("both_call", False) else None
        a = Rig(
            (connection("to-b", "a.example", "b.example", "192.0.2.2", children),),
            (secret_a,),
            address="192.0.2.1",
            **more,
        )
        b = Rig((connection("to-a", "b.example", "a.example", back, others),), (secret_b,), address="192.0.2.2", **more)
        return a, b, Wire(a, b)

    return make


@pytest.fixture
def run():
    """Run a coroutine to its end, bounded in time."""

    def go(coroutine, seconds=120):
        return asyncio.run(asyncio.wait_for(coroutine, seconds))

    return go


@pytest.fixture
def looked(pair, run, tmp_path):
    """Run `body(looked)` while a node with its tunnel up is served."""

    def go(body, *, up=True):
        async def serve():
            a, b, wire = pair()
            try:
                async with Looked(a, wire, tmp_path) as node:
                    if up:
                        a.keeper.start()
                        await wire.settle(lambda: a.named("ChildEstablished") and b.named("ChildEstablished"))
                    await body(node)
            finally:
                await a.close()
                await b.close()

        run(serve(), 60)

    return go


@pytest.fixture
def ports():
    """Two for node a, two for node b."""
    return four_ports()


@pytest.fixture
def configured(tmp_path, ports, make_connection):
    """Settings, engine configuration and guard for node `a`, which calls, and for node `b`."""

    def make(which, psk=b"0123456789abcdef", **more):
        mine, theirs = (ports[:2], ports[2:]) if which == "a" else (ports[2:], ports[:2])
        us, them = ("a.example", "b.example") if which == "a" else ("b.example", "a.example")
        connection = make_connection("cable", us, them, "127.0.0.1" if which == "a" else None)
        connection = replace(
            connection,
            remote_addrs=(ip_network("127.0.0.1"),),
            local_port=mine[0],
            remote_port=theirs[0],
            remote_natt_port=theirs[1],
        )
        settings = NodeSettings(
            port=mine[0],
            natt_port=mine[1],
            run_dir=tmp_path / which,
            state_dir=tmp_path / which / "state",
            lanes=1,
            interface=InterfaceSettings(name=f"no-such-{which}"),
        )
        settings.run_dir.mkdir(exist_ok=True)
        guard = LoopbackGuard((PskSecret("cable", us, them, key=psk),), **more)
        return settings, EngineConfig((connection,), natt_port=mine[1]), guard

    return make


@pytest.fixture
def written(tmp_path, ports):
    """Write the file of node a or b: connections by name, with what differs from the usual one."""

    def write(which, *names, tables=None, node=None, **parts):
        other = "b" if which == "a" else "a"
        halves = {"a": ports[:2], "b": ports[2:]}
        (port, natt), (theirs, their_natt) = halves[which], halves[other]
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
