"""What a node tells of itself beside its log: metrics, the audit, and how many lines of the log were left out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rhp.guard.protocol import CheckPsk, Question
from rhp.ike import events
from rhp.ike.config import ConnectionConfig
from rhp.ike.engine import Engine
from rhp.node.auditfile import AuditFile
from rhp.node.children import Children
from rhp.node.control.audit import Client
from rhp.node.control.protocol import Request
from rhp.node.control.server import ControlServer
from rhp.node.errors import StartError
from rhp.node.journal import Journal
from rhp.node.log import EventLog
from rhp.node.metrics.certificates import CertificateDates
from rhp.node.metrics.counts import Counts
from rhp.node.metrics.forgetting import forget
from rhp.node.metrics.reading import MetricSources
from rhp.node.settings import NodeSettings
from rhp.node.status import Sources
from rhp.node.vocabulary import FIELDS
from rhp.node.watchedguard import WatchedGuard

if TYPE_CHECKING:
    from rhp.node.metrics.server import MetricsServer

Connections = Callable[[], tuple[ConnectionConfig, ...]]
"""Those of the configuration, as it is now."""

FLUSH_SECONDS = 60.0
"""At the latest after so long it is told which lines were left out."""

FORGET_SECONDS = 1.0
"""Connections mostly go in numbers, so what is counted of them is looked through once for all that go in this time."""


class Telemetry:
    """Hears, counts and serves. `open` comes first, then `serve`; `unserve` and `close` end them."""

    def __init__(self, settings: NodeSettings, log: EventLog, journal: Journal) -> None:
        self._settings = settings
        self._log = log
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._audit: AuditFile | None = None
        self._server: MetricsServer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._forgetting: asyncio.TimerHandle | None = None
        self._started = time.time()
        self._counts = Counts()
        self._certificates = CertificateDates()

    def open(self) -> None:
        """Open the audit file; raises `StartError`."""
        path = self._settings.audit_file
        if path is not None:
            try:
                self._audit = AuditFile(path, lambda: datetime.now(UTC), self._unusable)
            except OSError as error:
                reason = error.strerror or str(error)
                raise StartError(
                    f"the audit file {path} cannot be opened: {reason}; write another one into node.audit_file"
                ) from None
            self._log.audit = self._audit.write
        self._timer = self._loop.call_later(FLUSH_SECONDS, self._flush)

    async def serve(
        self,
        rooms: Callable[[], Sources],
        connections: Connections,
        control: ControlServer,
        guard: WatchedGuard,
        state: Callable[[], str],
    ) -> None:
        """Serve metrics where the settings want them; raises `StartError`."""
        address = self._settings.metrics
        if address is None:
            return
        # The client library costs some megabytes and a tenth of a second, so only nodes that use it load it.
        from rhp.node.metrics.exporter import Exporter
        from rhp.node.metrics.server import MetricsServer

        sources = MetricSources(
            rooms=rooms,
            connections=connections,
            log=self._log,
            control=control,
            guard=guard,
            counts=self._counts,
            certificates=self._certificates,
            wall_clock=time.time,
            started=self._started,
        )
        server = MetricsServer(address, Exporter(sources), state)
        await server.start()
        self._server = server
        self._journal.write("metrics served", address=address)

    async def unserve(self) -> None:
        """Serve metrics no more. Safe twice."""
        if self._server is not None:
            await self._server.close()

    def close(self) -> None:
        """Tell what is left to tell, and close the audit file. Safe twice."""
        for timer in (self._timer, self._forgetting):
            if timer is not None:
                timer.cancel()
        self._log.flush()
        self._log.audit = None
        if self._audit is not None:
            self._audit.close()

    def heard(self, event: events.Event, setup_ms: float | None) -> None:
        """An event of the engine; `setup_ms` is how long a tunnel took that stands with it."""
        self._counts.heard(event, setup_ms)

    def forget_soon(self, engine: Engine, children: Children, connections: Connections) -> None:
        """A connection has left the configuration, or something of such a one has ended: keep no sums of it."""
        if self._forgetting is None:
            self._forgetting = self._loop.call_later(FORGET_SECONDS, self._forget, engine, children, connections)

    def _forget(self, engine: Engine, children: Children, connections: Connections) -> None:
        self._forgetting = None
        forget(self._counts, engine, children, connections())

    def commanded(self, client: Client, request: Request, outcome: str, why: str) -> None:
        """Somebody had something done by the control socket."""
        fields = {name: value for name, value in request.fields.items() if name in FIELDS}
        who = {"uid": client.uid, "client": client.pid}
        self._journal.write("command", command=request.command, **fields, **who, outcome=outcome, detail=why)

    def refused(self, name: str, question: Question, reason: str) -> None:
        """The guard refused something. Wrong proofs of peers are no news of the guard, and have a line of their own."""
        if isinstance(question, CheckPsk):
            return
        about = {part: getattr(question, part, None) for part in ("connection", "interface")}
        self._journal.write("question refused", question=name, **about, detail=reason)

    def _flush(self) -> None:
        self._log.flush()
        self._timer = self._loop.call_later(FLUSH_SECONDS, self._flush)

    def _unusable(self, detail: str) -> None:
        self._journal.write("audit file unusable", detail=detail)
