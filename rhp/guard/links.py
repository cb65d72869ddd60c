"""Interfaces, addresses, bridge membership and routes, through rtnetlink; every change goes into the undo log.

Routes have a file of their own. For the others pyroute2 is imported when the first question comes: it costs a tenth of
a second and a dozen megabytes, which a node that configures nothing does not pay.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol, cast

from rhp.guard import addresses, routes
from rhp.guard.protocol import AddAddress, AddRoute, ConfigureLink, RemoveAddress, RemoveRoute
from rhp.guard.tapowner import persists
from rhp.guard.undo import UndoLog, error_number

_Value = int | str

_NODAD = 2
"""IFA_F_NODAD of linux/if_addr.h: no search for another station with this IPv6 address, which takes a second."""


class _Message(Protocol):
    """What rtnetlink says about a link."""

    def get_attr(self, name: str) -> _Value | None: ...


class _Netlink(Protocol):
    """The verbs of pyroute2's AsyncIPRoute that are used here."""

    def link(self, command: str, **values: _Value) -> Awaitable[list[_Message]]: ...

    def addr(self, command: str, **values: _Value) -> Awaitable[list[_Message]]: ...

    def flush_addr(self, **values: _Value) -> Awaitable[list[_Message]]: ...


class LinkError(Exception):
    """A change could not be made; the message is one sentence."""


class Links:
    """Changes the links of the network namespace of this process, noting in `undo` how each change is taken back."""

    def __init__(self, undo: UndoLog) -> None:
        self._undo = undo

    def created(self, name: str) -> None:
        """Note that the interface was made by us: taking it back is deleting it, with all that hangs on it."""
        self._undo.add(f"the interface {name}", partial(self._delete, name))

    def rests(self, name: str) -> None:
        """Note that the interface is ours and outlives us: taking it back is taking from it what we set."""
        self._undo.add(f"the interface {name}", partial(self._rest, name))

    async def bare(self, name: str) -> None:
        """Take from an interface that is still there what a node before us set: its routes, for it is down then, and
        its addresses. Raises `LinkError`.
        """
        try:
            await self._rest(name)
        except Exception as error:
            raise _sentence(f"{name} cannot be taken over", error) from None

    async def _rest(self, name: str) -> None:
        index = _present(name)
        if persists(index):
            # Not by us, and then it would be in the way of the next start.
            await self._delete(name)
            return
        async with _netlink() as netlink:
            await netlink.link("set", index=index, state="down")
            await netlink.flush_addr(index=index)

    async def configure(self, question: ConfigureLink) -> None:
        """Set what is given of an interface of ours, and goes with it or rests with it; raises `LinkError`."""
        index = _index(question.name)
        async with _netlink() as netlink:
            await self._set_properties(netlink, index, question)
            for text in question.addresses:
                await self._add_address(netlink, index, question.name, text)
            if question.up:
                await _do(f"{question.name} cannot be set up", netlink.link("set", index=index, state="up"))

    async def _set_properties(self, netlink: _Netlink, index: int, question: ConfigureLink) -> None:
        wanted: dict[str, _Value] = {}
        if question.mtu is not None:
            wanted["mtu"] = question.mtu
        if question.mac is not None:
            wanted["address"] = question.mac.hex(":")
        if question.queue_length is not None:
            wanted["txqlen"] = question.queue_length
        if question.segments is not None:
            wanted["gso_max_segs"] = question.segments
        if question.bridge is not None:
            wanted["master"] = await _bridge(netlink, question.bridge)
        for key, value in wanted.items():
            await _do(f"{question.name}: {key} {value} cannot be set", netlink.link("set", index=index, **{key: value}))

    async def add_address(self, question: AddAddress) -> None:
        """Give an interface one more address, usable at once; raises `LinkError`."""
        index = _index(question.interface)
        async with _netlink() as netlink:
            # Whoever assigned it answers for its being unique.
            await self._add_address(netlink, index, question.interface, question.address, flags=_NODAD)

    async def remove_address(self, question: RemoveAddress) -> None:
        """Take back an address of ours; raises `LinkError` for one that `add_address` did not make."""
        key = _address_key(question.interface, question.address)
        if key not in self._undo:
            raise LinkError(f"{question.interface}: address {question.address} was not given by this node")
        try:
            await self._remove_address(question.interface, _address(question.address))
        except Exception as error:
            if error_number(error) not in (errno.EADDRNOTAVAIL, errno.ENODEV):
                what = f"{question.interface}: address {question.address} cannot be removed"
                raise _sentence(what, error) from None
        self._undo.forget(key)

    async def _add_address(self, netlink: _Netlink, index: int, name: str, text: str, **more: _Value) -> None:
        address = _address(text)
        try:
            await netlink.addr("add", index=index, **address, **more)
        except Exception as error:
            if error_number(error) == errno.EEXIST:
                return  # It is there already, and so not ours to take back.
            raise _sentence(f"{name}: address {text} cannot be added", error) from None
        step = partial(self._remove_address, name, address)
        self._undo.add(f"address {text} of {name}", step, _address_key(name, text))

    async def add_route(self, question: AddRoute) -> None:
        """Add a route; raises `LinkError`, also when there is one to the same destination that is not ours.

        Our own may be asked for again, by who cannot know whether the kernel still has it.
        """
        index = _index(question.interface)
        try:
            if _route_key(question) in self._undo:
                routes.again(question, index)
            else:
                routes.add(question, index)
        except OSError as error:
            raise _sentence(f"the route to {question.destination} cannot be added", error) from None
        step = partial(self._delete_route, question)
        self._undo.add(f"the route to {question.destination}", step, _route_key(question))

    async def remove_route(self, question: RemoveRoute) -> None:
        """Take back a route of ours; raises `LinkError` for one that `add_route` did not make."""
        key = _route_key(question)
        if key not in self._undo:
            raise LinkError(f"the route to {question.destination} was not made by this node")
        try:
            await self._delete_route(question)
        except Exception as error:
            if error_number(error) not in (errno.ESRCH, errno.ENODEV):
                raise _sentence(f"the route to {question.destination} cannot be removed", error) from None
        self._undo.forget(key)

    async def _delete(self, name: str) -> None:
        async with _netlink() as netlink:
            await netlink.link("del", index=_present(name))

    async def _remove_address(self, name: str, address: dict[str, _Value]) -> None:
        async with _netlink() as netlink:
            await netlink.addr("del", index=_present(name), **address)

    async def _delete_route(self, question: AddRoute | RemoveRoute) -> None:
        routes.delete(question, _present(question.interface))


def _netlink() -> AbstractAsyncContextManager[_Netlink]:
    from pyroute2 import AsyncIPRoute  # type: ignore[import-untyped]

    return cast("AbstractAsyncContextManager[_Netlink]", AsyncIPRoute())


async def _bridge(netlink: _Netlink, name: str) -> int:
    """Return the index of a bridge; `LinkError` where there is none of that name."""
    try:
        index = _present(name)
    except OSError:
        raise LinkError(f"there is no bridge {name}: make it first, with ip link add {name} type bridge") from None
    found = (await _do(f"{name} cannot be read", netlink.link("get", index=index)))[0]
    if (_nested(found, "IFLA_LINKINFO", "IFLA_INFO_KIND")) != "bridge":
        raise LinkError(f"{name} is no bridge: write the name of one that is there")
    return index


def _nested(message: _Message, *names: str) -> object:
    """An attribute within attributes, or None."""
    found: object = message
    for name in names:
        found = cast("_Message", found).get_attr(name) if found is not None else None
    return found


def _index(name: str) -> int:
    try:
        return _present(name)
    except OSError:
        raise LinkError(f"there is no interface {name}") from None


def _present(name: str) -> int:
    """Return the index of an interface; OSError with ENODEV, which the undo log takes for "gone", without one."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from None


def _address(text: str) -> dict[str, _Value]:
    interface = addresses.interface(text)
    return {"address": str(interface.ip), "prefixlen": interface.network.prefixlen}


def _address_key(name: str, text: str) -> tuple[str, ...]:
    return "address", name, text


def _route_key(question: AddRoute | RemoveRoute) -> tuple[str | None, ...]:
    return "route", question.destination, question.interface, question.source, question.gateway


async def _do(what: str, request: Awaitable[list[_Message]]) -> list[_Message]:
    try:
        return await request
    except Exception as error:
        raise _sentence(what, error) from None


def _sentence(what: str, error: Exception) -> LinkError:
    number = error_number(error)
    if number is None:
        return LinkError(f"{what}: {error}")
    if number in (errno.EPERM, errno.EACCES):
        return LinkError(f"{what} without root (CAP_NET_ADMIN)")
    return LinkError(f"{what}: {os.strerror(number)}")
