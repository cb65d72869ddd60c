"""The node's one network interface: made, set up, described, and made again when somebody takes it away.

Every lane tells when its queue is gone; the first to tell counts. The tunnels stay up meanwhile: lanes go on with their
sockets, and frames for the interface are counted drops until it is back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rhp.guard.guard import Guard
from rhp.guard.protocol import ConfigureLink, Descriptors, OpenTap, Refused
from rhp.net.link import link_mac, link_mtu, link_up
from rhp.node.errors import StartError
from rhp.node.journal import Journal
from rhp.node.pseudomac import interface_mac
from rhp.node.settings import InterfaceSettings

if TYPE_CHECKING:
    from rhp._fast.dataplane import DataPlane

RETRY_SECONDS = 2.0
TAP_PORT = 0
_MACHINE_ID = Path("/etc/machine-id")


class Tap:
    """The interface. `mtu` is what it is made with; `restored` is called after it was made again."""

    def __init__(
        self,
        guard: Guard,
        plane: DataPlane,
        journal: Journal,
        interface: InterfaceSettings,
        mtu: int,
        identities: Iterable[bytes],
        restored: Callable[[], None],
    ) -> None:
        self._guard = guard
        self._plane = plane
        self._journal = journal
        self._interface = interface
        self._mtu = mtu
        self._mac = interface.mac or interface_mac(_machine_id(), interface.name, identities)
        self._restored = restored
        self._restoring: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Make the interface, set it up and give each lane its queue; raises `StartError`. The lanes must stand."""
        name = self._interface.name
        opened = await self._guard.ask(OpenTap(name, self._plane.lanes))
        if not isinstance(opened, Descriptors):
            raise StartError(opened.reason if isinstance(opened, Refused) else "the guard gave no interface")
        try:
            await self._configure()
            for lane, fd in enumerate(opened.fds):
                self._plane.attach_tap(lane, fd, self._mac)
            # The hub must know where these live, or a tunnel whose range holds one would be taken for its owner.
            for address in self._interface.addresses:
                self._plane.add_neighbour(str(address.ip), self._mac, TAP_PORT)
        except OSError as error:
            raise StartError(f"the interface {name} cannot be used: {error.strerror or error}") from None
        finally:
            for fd in opened.fds:
                os.close(fd)

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

    async def _configure(self) -> None:
        answer = await self._guard.ask(
            ConfigureLink(
                self._interface.name,
                mtu=self._mtu,
                up=True,
                mac=self._mac,
                addresses=tuple(map(str, self._interface.addresses)),
                bridge=self._interface.bridge,
            )
        )
        if isinstance(answer, Refused):
            raise StartError(answer.reason)

    async def _restore(self) -> None:
        name = self._interface.name
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            self._plane.stop()
            try:
                await self.open()
                break
            except StartError as error:
                self._journal.write("tap restore failed", interface=name, detail=str(error), retry_in=RETRY_SECONDS)
            finally:
                self._plane.start()
        self._restoring = None
        self._restored()
        self._journal.write("tap restored", interface=name)


def _machine_id(file: Path = _MACHINE_ID) -> bytes:
    """What tells this machine from others (machine-id(5)), or nothing where it has no such name."""
    try:
        return file.read_bytes().strip()
    except OSError:
        return b""
