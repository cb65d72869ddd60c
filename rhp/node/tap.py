"""A hub's network interface: made, set up, described, and made again when somebody takes it away.

Every lane tells when its queue is gone; the first to tell counts. The tunnels stay up meanwhile: lanes go on with all
else, and frames for the interface are counted drops until it is back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from rhp.guard.guard import Guard
from rhp.guard.protocol import AddTapQueue, ConfigureLink, Descriptors, OpenTap, Refused
from rhp.net.link import link_mac, link_mtu, link_up
from rhp.node.errors import StartError
from rhp.node.journal import Journal
from rhp.node.pseudomac import interface_mac
from rhp.node.settings import InterfaceSettings
from rhp.node.whereabouts import addresses_now
from rhp.spi.esp import TAP_PORT, DataPlane

IpAddress = IPv4Address | IPv6Address

RETRY_SECONDS = 2.0
_MACHINE_ID = Path("/etc/machine-id")


class Tap:
    """A hub's interface. `mtu` and `mac` are what it is made with; `restored` is called when it was made again.

    `turns` is held while it is made again: no lane comes meanwhile, which would have no queue of it.
    """

    def __init__(
        self,
        guard: Guard,
        plane: DataPlane,
        journal: Journal,
        interface: InterfaceSettings,
        mtu: int,
        mac: bytes,
        turns: asyncio.Lock,
        restored: Callable[[], None],
        hub: int = 0,
    ) -> None:
        self._guard = guard
        self._plane = plane
        self._journal = journal
        self._interface = interface
        self._mtu = mtu
        self._mac = mac
        self._turns = turns
        self._restored = restored
        self._hub = hub
        self._restoring: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Make the interface, set it up and give each lane its queue; raises `StartError`."""
        name = self._interface.name
        self._tell_doubles(addresses_now())
        opened = await self._guard.ask(OpenTap(name, self._plane.lanes, offload=True))
        if not isinstance(opened, Descriptors):
            raise StartError(opened.reason if isinstance(opened, Refused) else "the guard gave no interface")
        try:
            await self._configure()
            for lane, fd in enumerate(opened.fds):
                self._plane.attach_tap(lane, fd, self._mac, opened.offloads, self._hub)
            # The hub must know where these live, or a tunnel whose range holds one would be taken for its owner.
            for address in self._interface.addresses:
                self._plane.add_neighbour(str(address.ip), self._mac, TAP_PORT, self._hub)
        except OSError as error:
            raise StartError(f"the interface {name} cannot be used: {error.strerror or error}") from None
        finally:
            for fd in opened.fds:
                os.close(fd)

    async def add_queue(self, lane: int) -> None:
        """Give one more lane its queue; raises `StartError`."""
        name = self._interface.name
        answer = await self._guard.ask(AddTapQueue(name))
        if not isinstance(answer, Descriptors):
            raise StartError(answer.reason if isinstance(answer, Refused) else "the guard gave no queue")
        (fd,) = answer.fds
        try:
            self._plane.attach_tap(lane, fd, self._mac, answer.offloads, self._hub)
        except OSError as error:
            raise StartError(f"the interface {name} cannot be used: {error.strerror or error}") from None
        finally:
            os.close(fd)

    def adopt(self, interface: InterfaceSettings, mtu: int) -> None:
        """Other addresses or another MTU from now on: have the hub know, and whoever makes the interface again."""
        old, self._interface, self._mtu = self._interface, interface, mtu
        here = {one.ip for one in interface.addresses}
        for address in {one.ip for one in old.addresses} - here:
            self.disclaim(address)
        for address in here:
            self.claim(address)

    def claim(self, address: IpAddress) -> None:
        """Have the hub know that an address is this host's, which answers for it itself."""
        # A full table is no reason to do without the address: the hub then only knows less.
        with suppress(ValueError):
            self._plane.add_neighbour(str(address), self._mac, TAP_PORT, self._hub)

    def disclaim(self, address: IpAddress) -> None:
        """The address is no longer this host's."""
        with suppress(KeyError):
            self._plane.remove_neighbour(str(address), self._hub)

    def lost(self, lane: int, errno: int) -> None:
        """A lane's queue is gone: begin to make the interface again."""
        if self._restoring is None and not self._closed:
            reason = os.strerror(errno) if errno else None
            self._journal.write("tap lost", interface=self._interface.name, lane=lane, errno=reason)
            self._restoring = asyncio.get_running_loop().create_task(self._restore(), name="rhp-restore-tap")

    async def close(self) -> None:
        """Make it no more. Taking the interface away is the guard's."""
        self._closed = True
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.gather(self._restoring, return_exceptions=True)

    def picture(self) -> dict[str, Any]:
        """The interface's part of the status."""
        name = self._interface.name
        addresses = [str(one) for one in self._interface.addresses]
        shown: dict[str, Any] = {"name": name, "addresses": addresses, "bridge": self._interface.bridge}
        try:
            facts = {"up": link_up(name), "mac": link_mac(name).hex(":"), "mtu": link_mtu(name)}
        except OSError:
            return {**shown, "present": False, "up": False, "mac": None, "mtu": None}
        return {**shown, "present": True, **facts}

    def _tell_doubles(self, taken: Collection[IpAddress]) -> None:
        """Say which addresses of the interface-to-be another one has: the kernel takes them, and both work badly."""
        for address in self._interface.addresses:
            if address.ip in taken:
                self._journal.write(
                    "address doubled",
                    interface=self._interface.name,
                    addresses=str(address),
                    detail=f"another interface of this machine has {address.ip}; write another one in "
                    "interface.addresses, or take it away there",
                )

    async def _configure(self) -> None:
        answer = await self._guard.ask(
            ConfigureLink(
                self._interface.name,
                mtu=self._mtu,
                up=True,
                mac=self._mac,
                addresses=tuple(map(str, self._interface.addresses)),
                bridge=self._interface.bridge,
                queue_length=self._interface.queue_length,
                segments=self._interface.segments,
            )
        )
        if isinstance(answer, Refused):
            raise StartError(answer.reason)

    async def _restore(self) -> None:
        name = self._interface.name
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                async with self._turns:
                    await self.open()
                break
            except (StartError, ValueError) as error:
                # A hub that is full of addresses for a moment must not end this either.
                self._journal.write("tap restore failed", interface=name, detail=str(error), retry_in=RETRY_SECONDS)
        self._restoring = None
        self._restored()
        self._journal.write("tap restored", interface=name)


def chosen_mac(interface: InterfaceSettings, identities: Iterable[bytes]) -> bytes:
    """The interface's MAC, six octets: the configured one, or that of this node by its identities."""
    return interface.mac or interface_mac(_machine_id(), interface.name, identities)


def _machine_id(file: Path = _MACHINE_ID) -> bytes:
    """What tells this machine from others (machine-id(5)), or nothing where it has no such name."""
    try:
        return file.read_bytes().strip()
    except OSError:
        return b""
