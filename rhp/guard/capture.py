"""Traffic that goes through a tunnel although it would catch the tunnel's own packets, as all traffic does.

Such routes stand in a table of their own, and rules say who looks there (ip-rule(8)), in this order: packets to the
other end of the tunnel use the main table or go nowhere, never into the tunnel itself; where the main table has a
narrower route than the default one, that counts; everything else looks into our table. So neither a change of the
default route nor its loss can send the tunnel through itself, and strict reverse-path filters find what they expect.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Awaitable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Protocol, cast

from rhp.guard.addresses import address, network
from rhp.guard.links import LinkError
from rhp.guard.protocol import CaptureTraffic, ReleaseTraffic
from rhp.guard.undo import UndoLog, error_number
from rhp.net import netlink as kernel

_Value = int | str | list[str]
_Rule = dict[str, int | str]
_Trait = tuple[int, bytes]

KEPT = "capture.before"

TABLE = 5210
"""The routing table that holds these routes and nothing else."""

TO_OUTER, OUTER_ENDS, NARROWER, CAPTURED = 5206, 5207, 5208, 5209
"""Priorities of the rules, below the main table's 32766 and above the local table's 0."""

_MAIN = 254
_MOST_OUTERS = 64
_MOST_HELD = 256
_UNREACHABLE = 7  # FR_ACT_UNREACHABLE of linux/fib_rules.h.
_RTM_GETRULE = 34
_FRA_DST, _FRA_PRIORITY = 1, 6
_HEADER = struct.Struct("=BBBBBBBBI")
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class _Netlink(Protocol):
    """The verbs of pyroute2's AsyncIPRoute that are used here."""

    def rule(self, command: str, **values: _Value) -> Awaitable[object]: ...

    def route(self, command: str, **values: _Value) -> Awaitable[object]: ...


class Capture:
    """Keeps rules and table in step with the destinations that are captured."""

    def __init__(self, undo: UndoLog, folder: Path) -> None:
        self._undo = undo
        self._kept = folder / KEPT
        self._held: dict[str, CaptureTraffic] = {}

    async def recover(self) -> None:
        """Take away rules of a node that was killed; its routes went with its interface. Raises `LinkError`."""
        if not self._kept.exists():
            return  # What rules there are may be those of another node on this machine.
        try:
            async with _netlink() as netlink:
                for version in _FAMILIES:
                    await _flush(netlink, version)
        except Exception as error:
            raise LinkError(f"rules of an earlier run cannot be taken back: {error}") from None
        self._forget()

    async def set(self, question: CaptureTraffic) -> None:
        """Raises `LinkError`, and ValueError for what is no network or no address."""
        version = _version(question)
        if len(self._held) >= _MOST_HELD and question.destination not in self._held:
            raise ValueError("traffic to too many destinations is captured already")
        if not self._held:
            self._note()
            self._undo.add(_WHAT, self._take_back)
        before = self._held.get(question.destination)
        self._held[question.destination] = question
        try:
            async with _netlink() as netlink:
                if before is not None:
                    await _forget_route(netlink, before)
                await netlink.route("add", **_route(question))
                await self._follow(netlink, version)
        except Exception as error:
            await self.release(ReleaseTraffic(question.interface, question.destination))
            raise _sentence(question, error) from None

    async def release(self, question: ReleaseTraffic) -> None:
        """Take one destination back; one that is not captured is fine. Raises `LinkError`."""
        held = self._held.pop(question.destination, None)
        if held is None:
            return
        try:
            async with _netlink() as netlink:
                await self._follow(netlink, _version(held))
                await _forget_route(netlink, held)
            if not self._held:
                self._forget()
                self._undo.forget(_WHAT)
        except Exception as error:
            raise _sentence(held, error) from None

    async def mend(self) -> None:
        """Set the rules again that somebody else took away; raises `LinkError`.

        What stands is left alone: each rule that goes is told to the node, and our own changes must not lead back here.
        """
        try:
            for version in {_version(one) for one in self._held.values()}:
                standing = _standing(version)
                missing = [rule for rule in self._rules(version) if _trait(rule) not in standing]
                async with _netlink() as netlink:
                    for rule in missing:
                        await netlink.rule("add", family=_FAMILIES[version], **rule)
        except Exception as error:
            raise LinkError(f"rules that somebody took away cannot be set again: {error}") from None

    async def _take_back(self) -> None:
        held, self._held = self._held, {}
        async with _netlink() as netlink:
            for version in _FAMILIES:
                await _flush(netlink, version)
            for question in held.values():
                await _forget_route(netlink, question)
        self._forget()

    def _note(self) -> None:
        """Before anything is done, that there may be rules: whatever the configuration says at the next start."""
        try:
            self._kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._kept.touch(mode=0o600)
        except OSError as error:
            raise LinkError(f"{self._kept} cannot be written: {error.strerror or error}") from None

    def _forget(self) -> None:
        with suppress(OSError):
            self._kept.unlink(missing_ok=True)

    async def _follow(self, netlink: _Netlink, version: int) -> None:
        """Set the rules of one IP version anew: captured last and released first, so that nothing ever loops."""
        await _flush(netlink, version)
        for rule in self._rules(version):
            await netlink.rule("add", family=_FAMILIES[version], **rule)

    def _rules(self, version: int) -> Iterator[_Rule]:
        held = [one for one in self._held.values() if _version(one) == version]
        # An outer packet of the other IP version is nothing that these rules see.
        outers = {outer for one in held for outer in one.outers if address(outer).version == version}
        return _rules(outers) if held else iter(())


_WHAT = "captured traffic"


def _rules(outers: set[str]) -> Iterator[_Rule]:
    for outer in sorted(outers):
        to: _Rule = {"dst": outer, "dst_len": address(outer).max_prefixlen}
        yield {"priority": TO_OUTER, "table": _MAIN, **to}
        yield {"priority": OUTER_ENDS, "action": _UNREACHABLE, **to}
    yield {"priority": NARROWER, "table": _MAIN, "suppress_prefixlen": 0}
    yield {"priority": CAPTURED, "table": TABLE}


def _trait(rule: _Rule) -> _Trait:
    """What tells one of these rules from the others."""
    to = str(rule.get("dst", ""))
    return int(rule["priority"]), address(to).packed if to else b""


def _standing(version: int) -> set[_Trait]:
    """The same of all rules that the kernel has."""
    found: set[_Trait] = set()
    for entry in kernel.dump(_RTM_GETRULE, _HEADER.pack(_FAMILIES[version], 0, 0, 0, 0, 0, 0, 0, 0)):
        values = dict(kernel.attributes(entry[_HEADER.size :]))
        (priority,) = struct.unpack("=I", values.get(_FRA_PRIORITY, bytes(4)))
        found.add((priority, values.get(_FRA_DST, b"")))
    return found


async def _flush(netlink: _Netlink, version: int) -> None:
    for priority in (CAPTURED, NARROWER, OUTER_ENDS, TO_OUTER):
        while True:
            try:
                await netlink.rule("del", family=_FAMILIES[version], priority=priority)
            except Exception as error:
                # The last one has gone, or this kernel has no such family.
                if error_number(error) in (errno.ENOENT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
                    break
                raise


def _route(question: CaptureTraffic) -> dict[str, _Value]:
    return {
        "dst": str(network(question.destination)),
        "oif": socket.if_nametoindex(question.interface),
        "prefsrc": str(address(question.source)),
        "gateway": str(address(question.gateway)),
        "table": TABLE,
        "flags": ["onlink"],
        "family": _FAMILIES[_version(question)],
    }


async def _forget_route(netlink: _Netlink, question: CaptureTraffic) -> None:
    with suppress(OSError):  # It went with its interface.
        route = _route(question)
        try:
            await netlink.route("del", **route)
        except Exception as error:
            if error_number(error) not in (errno.ESRCH, errno.ENODEV):
                raise


def _version(question: CaptureTraffic) -> int:
    """The IP version that all of its parts have; ValueError when they differ."""
    parts: list[IPv4Network | IPv6Network | IPv4Address | IPv6Address] = [network(question.destination)]
    parts += [address(question.source), address(question.gateway)]
    versions = {part.version for part in parts}
    if len(versions) != 1:
        raise ValueError("destination, source and gateway are of different IP versions")
    if not 1 <= len(question.outers) <= _MOST_OUTERS or not all(map(address, question.outers)):
        raise ValueError("the tunnel's other end has no address, or too many")
    return versions.pop()


def _netlink() -> AbstractAsyncContextManager[_Netlink]:
    from pyroute2 import AsyncIPRoute  # type: ignore[import-untyped]

    return cast("AbstractAsyncContextManager[_Netlink]", AsyncIPRoute())


def _sentence(question: CaptureTraffic, error: Exception) -> LinkError:
    return LinkError(f"traffic to {question.destination} cannot be sent over {question.interface}: {error}")
