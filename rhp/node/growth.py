"""Adding a lane to the running node: its sockets, its queue of each interface, then its thread; the others go on.

The queue comes last before the thread, because the kernel hands it frames from the moment it is there. Lanes are not
taken away again: their inbound SAs would have to be replaced first.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from rhp.guard.guard import Guard
from rhp.ike.engine import Engine
from rhp.node.edges import families, open_lane
from rhp.node.errors import StartError
from rhp.node.hubs import Hubs
from rhp.node.journal import Journal
from rhp.node.keeper import Command
from rhp.node.settings import NodeSettings

if TYPE_CHECKING:
    from rhp.spi.esp import DataPlane


class Growth:
    """Takes spare lanes into use. `raw_esp` says whether lanes have sockets of IP protocol 50."""

    def __init__(
        self,
        guard: Guard,
        plane: DataPlane,
        hubs: Hubs,
        engine: Engine,
        command: Command,
        journal: Journal,
        settings: NodeSettings,
        *,
        raw_esp: bool,
    ) -> None:
        self._guard = guard
        self._plane = plane
        self._hubs = hubs
        self._engine = engine
        self._command = command
        self._journal = journal
        self._settings = settings
        self._raw_esp = raw_esp
        self._lock = asyncio.Lock()

    async def add_lane(self) -> int:
        """Add one and return its number; raises `StartError` with a sentence when there is none or it cannot be."""
        async with self._lock:
            lane = self._plane.lanes
            if lane == self._plane.prepared:
                raise StartError(f"all {lane} lanes are in use; write a larger node.spare_lanes and restart the node")
            for family in families():
                await open_lane(self._guard, self._plane, self._settings, lane, family, raw_esp=self._raw_esp)
            await self._hubs.add_lane(lane)
            self._journal.write("lane added", lane=lane)
            self._command(partial(self._engine.set_lanes, self._plane.lanes))
            return lane
