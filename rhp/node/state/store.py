"""The node's long-term state as one thing: opened at the start, told what happens, written and closed at the end.

Start: the file is read, the engine takes up its leases and spent tickets, and from then on it tells of each change.
Every minute, and at the end, the totals are added up and written. What goes wrong with the file is told once when it
begins and once when it is over; meanwhile the node goes on in memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rhp.ike import events
from rhp.ike.engine import Engine
from rhp.ike.path import IpAddress
from rhp.ike.spent import MOST
from rhp.node.children import Children
from rhp.node.journal import Journal
from rhp.node.state.database import NAME, is_damaged
from rhp.node.state.leases import LeaseBook
from rhp.node.state.tickets import SpentBook
from rhp.node.state.totals import TotalsBook
from rhp.node.state.writer import RETRY_SECONDS, Writer
from rhp.wire.identity import Identity

if TYPE_CHECKING:
    from rhp.spi.esp import DataPlane

WRITE_SECONDS = 60.0
"""How often the totals are written, and what a kill -9 can cost of them."""


class Store:
    """Leases, spent tickets and totals of one node, in `folder`, which the caller has locked."""

    def __init__(
        self,
        folder: Path,
        wall_clock: Callable[[], datetime],
        journal: Journal,
        engine: Engine,
        plane: DataPlane,
        children: Children,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._children = children
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._writer = Writer(
            folder / NAME,
            wall_clock,
            failed=lambda why: self._later(self._failed, why),
            recovered=lambda: self._later(self._recovered),
            renewed=lambda aside: self._later(self._renewed, aside),
            retry_seconds=retry_seconds,
        )
        self.leases = LeaseBook(self._writer.put, wall_clock)
        self.tickets = SpentBook(self._writer.put, wall_clock)
        self.totals = TotalsBook(self._writer.put, wall_clock, plane, children)

    @property
    def counters(self) -> Mapping[str, int]:
        """What went wrong with the file, counted."""
        return self._writer.counters

    def open(self) -> None:
        """Read what an earlier node left, hand it to the engine, and begin to write. Never raises for the file."""
        connection = self._writer.open()
        if connection is not None:
            try:
                self._recall(connection)
            except sqlite3.Error as error:
                # The pages looked well from outside.
                if is_damaged(error):
                    self._writer.damaged()
                else:
                    self._failed(str(error))
        self.leases.keep_only(self._engine.remembered()[0])
        self._engine.tell(self)
        self._children.on_end = self.totals.ended
        self._writer.start()
        self._timer = self._loop.call_later(WRITE_SECONDS, self._write)

    async def close(self) -> None:
        """Write the rest and let go of the file; the loop goes on meanwhile."""
        if self._timer is not None:
            self._timer.cancel()
        self._children.on_end = None
        self.collect()
        self.totals.write()
        await asyncio.to_thread(self._writer.close)
        # Its last words are callbacks of this loop.
        await asyncio.sleep(0)

    def heard(self, event: events.Event) -> None:
        """Count an event of the engine."""
        self.totals.heard(event, self._loop.time())

    def collect(self) -> None:
        """Bring the totals up to this moment."""
        self.totals.collect(self._loop.time())

    def lease_changed(self, pool: str, address: IpAddress, identity: Identity | None, *, in_use: bool) -> None:
        """The engine's word on an inner address (rhp.ike.memory)."""
        self.leases.changed(pool, address, identity, in_use=in_use)

    def ticket_spent(self, ticket_id: bytes, expires: int) -> None:
        """The engine's word on a ticket."""
        self.tickets.spent(ticket_id, expires)

    def _recall(self, connection: sqlite3.Connection) -> None:
        self.totals.load(connection)
        self._engine.recall(self.leases.load(connection), self.tickets.load(connection, MOST))
        self.tickets.sweep()

    def _write(self) -> None:
        self.collect()
        self.totals.write()
        self.tickets.sweep()
        self._timer = self._loop.call_later(WRITE_SECONDS, self._write)

    def _failed(self, why: str) -> None:
        self._journal.write("state unwritten", detail=why)

    def _recovered(self) -> None:
        self._journal.write("state written")

    def _renewed(self, aside: Path) -> None:
        """A damaged file was set aside: the new one gets all that is known."""
        self._journal.write("state set aside", place=aside)
        self.leases.put_all()
        self.totals.put_all()
        for ticket_id, expires in self._engine.remembered()[1]:
            self.tickets.spent(ticket_id, expires)

    def _later(self, step: Callable[..., None], *values: object) -> None:
        """Call this on the loop, from any thread; after the end of the loop there is nobody to tell."""
        try:
            self._loop.call_soon_threadsafe(step, *values)
        except RuntimeError:
            return
