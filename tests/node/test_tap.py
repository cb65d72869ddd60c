"""A node's interface: what keeps it from being made again, and what does not."""

import asyncio
import socket
from ipaddress import IPv4Interface

from rhp._fast.dataplane import DataPlane
from rhp.guard.protocol import Descriptors, Done, OpenTap
from rhp.node import tap as tap_module
from rhp.node.settings import InterfaceSettings
from rhp.node.tap import Tap

MAC = bytes.fromhex("020000000001")


class Guard:
    """Gives one end of a pair of sockets for the interface, and keeps the other."""

    def __init__(self):
        self.kept = []

    async def ask(self, order):
        if not isinstance(order, OpenTap):
            return Done()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.kept.append(ours)
        return Descriptors((theirs.detach(),))


class Crowded(DataPlane):
    """Its table of neighbours has no room in the beginning."""

    refusals = 1

    def add_neighbour(self, *what):
        if self.refusals:
            self.refusals -= 1
            raise ValueError("the neighbour table is full of static entries")
        super().add_neighbour(*what)


class Journal:
    def __init__(self):
        self.events = []

    def write(self, event, **fields):
        self.events.append((event, fields.get("detail")))


def test_an_interface_is_made_again_although_the_hub_was_full(monkeypatch):
    monkeypatch.setattr(tap_module, "RETRY_SECONDS", 0.01)
    guard, plane, journal = Guard(), Crowded(1), Journal()

    async def body():
        restored = asyncio.Event()
        interface = InterfaceSettings("rhp-none", (IPv4Interface("10.9.9.9/24"),))
        tap = Tap(guard, plane, journal, interface, 1400, MAC, asyncio.Lock(), restored.set)
        tap.lost(0, 0)
        await restored.wait()
        await asyncio.sleep(0)
        # A second loss is heard again.
        restored.clear()
        tap.lost(0, 0)
        await restored.wait()
        await tap.close()

    asyncio.run(asyncio.wait_for(body(), 60))
    plane.close()
    for kept in guard.kept:
        kept.close()
    assert [event for event, _ in journal.events if event == "tap restored"] == ["tap restored"] * 2
    assert ("tap restore failed", "the neighbour table is full of static entries") in journal.events
