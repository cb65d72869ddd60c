"""Keeps the engine informed of this machine's addresses, and answers its question which of them leads where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from rhp.ike.engine import Engine
from rhp.net.addresses import source_address
from rhp.net.monitor import AddressMonitor, NetlinkMonitor, Told, usable_addresses
from rhp.node.journal import Journal

IpAddress = IPv4Address | IPv6Address
Command = Callable[[Callable[[float], object]], None]


class Whereabouts:
    """Between the monitor and the engine. `command` calls one of the engine's verbs and pumps.

    `changed` is called after the engine has heard of other addresses, `touched` also where they are as before: one may
    have been away for a moment, and the kernel does not give back what it took with it. `unruled` is called when a rule
    for routing has gone, whosever it was, and `rerouted` when routes or rules have changed, and nothing else.
    """

    def __init__(
        self,
        monitor: AddressMonitor,
        engine: Engine,
        command: Command,
        journal: Journal,
        changed: Callable[[], None],
        touched: Callable[[], None] = lambda: None,
        unruled: Callable[[], None] = lambda: None,
        rerouted: Callable[[], None] = lambda: None,
    ) -> None:
        self._monitor = monitor
        self._engine = engine
        self._command = command
        self._journal = journal
        self._on_change = changed
        self._on_touch = touched
        self._on_unrule = unruled
        self._on_reroute = rerouted
        self._known: tuple[IpAddress, ...] = ()

    def start(self) -> None:
        """Tell the addresses of now, and then every change. Raises OSError."""
        self._known = self._monitor.addresses()
        self._tell()
        self._monitor.listen(asyncio.get_running_loop(), self._changed)

    def _changed(self, addresses: tuple[IpAddress, ...], told: Told) -> None:
        others = set(addresses) != set(self._known)
        if others:
            self._journal.write("addresses changed", old=_listed(self._known), new=_listed(addresses))
        self._known = addresses
        self._tell()
        if Told.ADDRESSES in told:
            self._on_touch()
        if Told.RULES_GONE in told:
            self._on_unrule()
        if others:
            self._on_change()
        elif told & (Told.ROUTES | Told.RULES):
            self._on_reroute()

    def _tell(self) -> None:
        self._command(partial(self._engine.addresses_changed, self._known))


def addresses_now(monitor: NetlinkMonitor | None = None) -> tuple[IpAddress, ...]:
    """This machine's addresses that can be used now, the node's interfaces' too; none if the kernel does not tell.

    Where there is no monitor, which knows of every change, all of them are read.
    """
    try:
        return usable_addresses() if monitor is None else monitor.everywhere()
    except OSError:
        return ()


def source_of(remote: IpAddress) -> IpAddress | None:
    """The address that the routing table takes towards a peer's, None where there is no way."""
    try:
        return source_address(remote)
    except OSError:
        return None


def _listed(addresses: tuple[IpAddress, ...]) -> str:
    return " ".join(map(str, addresses)) or "none"
