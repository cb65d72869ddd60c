"""This machine's addresses as they come and go: told by the kernel (rtnetlink(7)), never asked for in turn.

An address counts while it can be used: its interface is up and has a carrier, it is not on trial (RFC 4862 section
5.4), and others than neighbours can reach it. Changes of routes and of the rules for routing are told as well, because
they decide which address is the right one. Whatever is told of addresses and links, all of them are read anew; so lost
messages lose nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Collection, Iterable
from enum import Flag, auto
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from rhp.net import netlink

IpAddress = IPv4Address | IPv6Address


class Told(Flag):
    """What the kernel told of since the last time; what of it has changed by now is another question."""

    NOTHING = 0
    ADDRESSES = auto()
    ROUTES = auto()
    RULES = auto()
    RULES_GONE = auto()


Changed = Callable[[tuple[IpAddress, ...], Told], None]

SETTLE_SECONDS = 0.1
"""A change seldom comes alone: so long after the first message of it everything is read."""
REST_SECONDS = 1.0
"""At least this long after a reading comes the next one."""

_READS_PER_WAKEUP = 64
_LARGEST = 65536
_RTM_GETLINK, _RTM_GETADDR = 18, 22
_RTM_NEWROUTE, _RTM_DELROUTE = 24, 25
_RTM_NEWRULE, _RTM_DELRULE = 32, 33
# RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE and, as it would be called, IPV6_RULE.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_IFLA_IFNAME = 3
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
# Switched on, with a carrier, and not waiting for anything else (IFF_UP, IFF_LOWER_UP, IFF_RUNNING).
_IFF_AT_WORK = 0x1 | 0x10000 | 0x40
# Failed or under duplicate address detection, or deprecated.
_UNFIT = 0x8 | 0x40 | 0x20

_ANYTHING = ~Told.NOTHING
_ABOUT = {
    _RTM_NEWROUTE: Told.ROUTES,
    _RTM_DELROUTE: Told.ROUTES,
    _RTM_NEWRULE: Told.RULES,
    _RTM_DELRULE: Told.RULES | Told.RULES_GONE,
}
"""What a message is about, where that is neither an address nor a link."""


class AddressMonitor(Protocol):
    """Tells of this machine's addresses."""

    def addresses(self) -> tuple[IpAddress, ...]:
        """Those that can be used now, each once; raises OSError."""
        ...

    def listen(self, loop: asyncio.AbstractEventLoop, changed: Changed) -> None:
        """Have `changed` called with them whenever addresses or routes may have changed."""
        ...

    def close(self) -> None:
        """Listen no longer. Safe twice."""
        ...


class NetlinkMonitor:
    """The kernel's word. The interfaces named in `ignored` are the node's own; raises OSError."""

    def __init__(self, ignored: Collection[str]) -> None:
        self._ignored = frozenset(ignored)
        self._socket = netlink.opened(_GROUPS)
        self._socket.setblocking(False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: Changed | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._read_at = 0.0
        self._found: list[tuple[IpAddress, str]] | None = None
        self._told = Told.NOTHING

    def ignore(self, names: Collection[str]) -> None:
        """These are the node's own interfaces from now on."""
        self._ignored = frozenset(names)

    def addresses(self) -> tuple[IpAddress, ...]:
        """Those that can be used now, in the kernel's order, each once; raises OSError."""
        return _but_those_of(self._ignored, self._current())

    def everywhere(self) -> tuple[IpAddress, ...]:
        """Those and the node's own; raises OSError. The kernel is asked only when it has told of a change."""
        return _but_those_of((), self._current())

    def listen(self, loop: asyncio.AbstractEventLoop, changed: Changed) -> None:
        """Have `changed` called with them whenever addresses or routes may have changed."""
        self._loop, self._changed = loop, changed
        loop.add_reader(self._socket.fileno(), self._heard)

    def close(self) -> None:
        """Listen no longer. Safe twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
        self._loop = None
        self._socket.close()

    def _current(self) -> list[tuple[IpAddress, str]]:
        """What was read last, or what is read now where anything but a route has changed since."""
        # The kernel tells in the moment of a change, so there is no news but what waits here.
        if self._drain():
            self._tell_soon()
        if self._found is None:
            self._found = _usable()
        return self._found

    def _heard(self) -> None:
        self._drain()
        self._tell_soon()

    def _drain(self) -> bool:
        """Read what the kernel has told; whether there was anything."""
        for number in range(_READS_PER_WAKEUP):
            try:
                kinds = [kind for kind, _ in netlink.messages(self._socket.recv(_LARGEST))]
            except (BlockingIOError, InterruptedError):
                return number > 0
            except OSError:
                kinds = []  # More came than fits; that something changed is all we need to know.
            self._note(_told_by(kinds) if kinds else _ANYTHING)
        self._note(_ANYTHING)  # There may be more.
        return True

    def _note(self, told: Told) -> None:
        self._told |= told
        if Told.ADDRESSES in told:
            self._found = None

    def _tell_soon(self) -> None:
        if self._loop is not None and self._timer is None:
            due = max(self._loop.time() + SETTLE_SECONDS, self._read_at + REST_SECONDS)
            self._timer = self._loop.call_at(due, self._settled)

    def _settled(self) -> None:
        self._timer = None
        if self._loop is None or self._changed is None:
            return
        self._read_at = self._loop.time()
        with contextlib.suppress(OSError):
            addresses = self.addresses()
            told, self._told = self._told, Told.NOTHING
            self._changed(addresses, told)


class FakeMonitor:
    """Has the addresses that it is given; `change` plays the kernel."""

    def __init__(self, *addresses: IpAddress) -> None:
        self._addresses = addresses
        self._changed: Changed | None = None
        self.closed = False

    def addresses(self) -> tuple[IpAddress, ...]:
        """Those of the last change."""
        return self._addresses

    def listen(self, loop: asyncio.AbstractEventLoop, changed: Changed) -> None:
        """Remember whom to tell."""
        self._changed = changed

    def change(self, *addresses: IpAddress, told: Told = Told.ADDRESSES) -> None:
        """From now on there are these, of which the kernel has told so."""
        self._addresses = addresses
        if self._changed is not None:
            self._changed(addresses, told)

    def close(self) -> None:
        """Note that it is closed."""
        self.closed = True
        self._changed = None


def _told_by(kinds: Iterable[int]) -> Told:
    told = Told.NOTHING
    for kind in kinds:
        told |= _ABOUT.get(kind, Told.ADDRESSES)
    return told


def usable_addresses(ignored: Collection[str] = ()) -> tuple[IpAddress, ...]:
    """The addresses of this network namespace that can be used now, but for those of some interfaces; or OSError."""
    return _but_those_of(ignored, _usable())


def _but_those_of(interfaces: Collection[str], found: Iterable[tuple[IpAddress, str]]) -> tuple[IpAddress, ...]:
    """Each address once."""
    return tuple(dict.fromkeys(address for address, interface in found if interface not in interfaces))


def _usable() -> list[tuple[IpAddress, str]]:
    """Each usable address with its interface, in the kernel's order."""
    links = _usable_links()
    found: list[tuple[IpAddress, str]] = []
    for entry in netlink.dump(_RTM_GETADDR, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        _, _, flags, _, index = _ADDRESS.unpack_from(entry)
        values = dict(netlink.attributes(entry[_ADDRESS.size :]))
        if _IFA_FLAGS in values:
            (flags,) = struct.unpack("=I", values[_IFA_FLAGS])
        octets = values.get(_IFA_LOCAL, values.get(_IFA_ADDRESS, b""))
        if index not in links or flags & _UNFIT or len(octets) not in (4, 16):
            continue
        address: IpAddress = IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets)
        if not (address.is_loopback or address.is_link_local):
            found.append((address, links[index]))
    return found


def _usable_links() -> dict[int, str]:
    found = {}
    for entry in netlink.dump(_RTM_GETLINK, _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        _, _, index, flags, _ = _LINK.unpack_from(entry)
        values = dict(netlink.attributes(entry[_LINK.size :]))
        name = values.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
        if flags & _IFF_AT_WORK == _IFF_AT_WORK:
            found[index] = name
    return found
