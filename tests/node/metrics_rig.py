"""What the tests of metrics share: everything that is read, of a rig or of parts that a test makes itself."""

import asyncio
import http.client
import socket
from collections import Counter
from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from rhp.node.control.server import ControlServer
from rhp.node.edges import Edges
from rhp.node.log import EventLog
from rhp.node.metrics.address import TcpAddress
from rhp.node.metrics.certificates import CertificateDates
from rhp.node.metrics.counts import Counts
from rhp.node.metrics.exporter import Exporter
from rhp.node.metrics.reading import MetricSources
from rhp.node.watchedguard import WatchedGuard

NOW = 1_772_000_000.0


class Metered:
    """A rig with somebody who counts; `connections` may be changed."""

    def __init__(self, rig, connections, guard=None):
        self.rig = rig
        self.connections = tuple(connections)
        self.counts = Counts()
        self.refused = []
        self.guard = WatchedGuard(guard or rig.guard, rig.loop.time, lambda *refusal: self.refused.append(refusal))
        self.log = EventLog(rig.loop.time)
        self.control = ControlServer(None, None)
        self.edges = Edges()
        self.store = SimpleNamespace(counters=Counter({"state-write-failed": 0}))
        self.hooks = SimpleNamespace(counters=Counter({"hooks-skipped": 0}))
        self.sources = MetricSources(
            rooms=self._rooms,
            connections=lambda: self.connections,
            log=self.log,
            control=self.control,
            guard=self.guard,
            counts=self.counts,
            certificates=CertificateDates(),
            wall_clock=lambda: NOW,
            started=NOW - 60.0,
        )
        self.exporter = Exporter(self.sources)
        heard = rig.adapter._listener

        def listen(event):
            self.counts.heard(event)
            heard(event)

        rig.adapter._listener = listen

    def _rooms(self):
        return self.rig.sources(
            hubs=None,
            edges=self.edges,
            sinks=SimpleNamespace(dropped=lambda: {"jsonl": 3}),
            store=self.store,
            hooks=self.hooks,
            settings=None,
            starts={},
        )

    async def numbers(self):
        """The text as it is now, read by the library's own parser."""
        self.exporter._made_at = None
        return Numbers((await self.exporter.text()).decode())


class Numbers:
    """A page of metrics: `page(name, label=value)` is the sum of the samples that have these labels."""

    def __init__(self, text):
        self.text = text
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def __call__(self, name, **labels):
        found = [one.value for one in self.samples if one.name == name and labels.items() <= one.labels.items()]
        return sum(found)

    def series(self, name):
        """The labels of every sample of that name."""
        return [one.labels for one in self.samples if one.name == name]

    def names(self):
        """How many samples each name has."""
        return Counter(one.name for one in self.samples)


class UnixConnection(http.client.HTTPConnection):
    """The standard library's client on a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def client_of(address):
    """A client for that address."""
    if isinstance(address, TcpAddress):
        return http.client.HTTPConnection(str(address.ip), address.port, timeout=30)
    return UnixConnection(address.path)


async def get(address, path="/metrics", method="GET", headers=None):
    """One request by the standard library's client; the response with its `text`."""

    def ask():
        client = client_of(address)
        try:
            client.request(method, path, headers=headers or {})
            response = client.getresponse()
            response.text = response.read().decode()
            return response
        finally:
            client.close()

    return await asyncio.to_thread(ask)
