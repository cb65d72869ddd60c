"""What a tunnel that comes or goes changes on this machine: routes, and the MTU of the interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

from rhp.guard.protocol import (
    AddRoute,
    Answer,
    CaptureTraffic,
    ConfigureLink,
    Refused,
    ReleaseTraffic,
    RemoveRoute,
)
from rhp.ike.effects import InstallSA
from rhp.node.children import Children, Lineage, covers, routes_of
from rhp.node.journal import Journal
from rhp.node.mtu import LEAST_TAP_MTU
from rhp.node.network import NetworkQueue
from rhp.node.pseudomac import pseudo_gateway
from rhp.node.routebook import RouteBook
from rhp.node.settings import InterfaceSettings
from rhp.node.tally import Tally

IpAddress = IPv4Address | IPv6Address


class LooksAfterTunnels(Protocol):
    """Hears of tunnels that come, go and change; of one hub, or of all of them."""

    def installed(self, lineage: Lineage) -> None:
        """A pair of SAs was installed."""
        ...

    def ended(self, lineage: Lineage) -> None:
        """A lineage ended."""
        ...

    def moved(self, lineage: Lineage) -> None:
        """A pair goes over another path."""
        ...

    def install_failed(self, effect: InstallSA, reason: str) -> None:
        """The data plane refused a pair."""
        ...

    def follow_mtu(self) -> None:
        """What the live tunnels can carry may have changed."""
        ...


class Tunnels:
    """Keeps routes and MTU of one hub's interface in step with the live children of that hub.

    `addresses` gives this machine's addresses at the moment, `assigned` those that peers gave, `ends` the
    outer addresses that a peer may be reached at; `mtu` is what the interface was set up with.
    """

    def __init__(
        self,
        children: Children,
        queue: NetworkQueue,
        journal: Journal,
        interface: InterfaceSettings,
        mtu: int,
        addresses: Callable[[], Iterable[IpAddress]],
        assigned: Callable[[], Iterable[IpAddress]] = tuple,
        ends: Callable[[Lineage], Iterable[IpAddress]] = lambda lineage: (lineage.remote_ip,),
        hub: str = "",
    ) -> None:
        self._children = children
        self._queue = queue
        self._journal = journal
        self._interface = interface
        self._configured_mtu = mtu
        self._addresses = addresses
        self._assigned = assigned
        self._ends = ends
        self._hub = hub
        self._book = RouteBook()
        self._captured: Tally[str] = Tally()
        self.mtu = mtu

    def installed(self, lineage: Lineage) -> None:
        """A pair of SAs was installed: set the lineage's routes the first time, and see to the MTU."""
        if lineage.mode == "tunnel" and not lineage.routes and not lineage.captures:
            self._add_routes(lineage)
        self.follow_mtu()

    def ended(self, lineage: Lineage) -> None:
        """A lineage ended: take its routes back, and see to the MTU."""
        self._take_back(lineage)
        self.follow_mtu()

    def _take_back(self, lineage: Lineage) -> None:
        """Take a lineage's routes back, unless another one needs them."""
        while lineage.routes:
            self._give_up(lineage, lineage.routes[0])
        for one in lineage.captures:
            if self._captured.remove(one.destination):
                self._queue.submit(ReleaseTraffic(one.interface, one.destination))
                self._journal.write("route removed", connection=lineage.connection, destination=one.destination)
        lineage.captures.clear()

    def _give_up(self, lineage: Lineage, route: AddRoute) -> None:
        """Take one route back; who wants another one to the same destination gets it now."""
        lineage.routes.remove(route)
        gone, heir = self._book.remove(lineage, route.destination)
        if gone is None:
            return
        self._remove(lineage, gone)
        if heir is not None:
            self._set(*heir)

    def _want(self, lineage: Lineage, route: AddRoute) -> None:
        """Set a route, unless there is one to the same destination, which it shares."""
        lineage.routes.append(route)
        if self._book.add(lineage, route):
            self._set(lineage, route)

    def _remove(self, lineage: Lineage, route: AddRoute) -> None:
        self._queue.submit(RemoveRoute(route.destination, route.interface, route.source, route.gateway))
        self._journal.write("route removed", connection=lineage.connection, destination=route.destination)

    def _set(self, lineage: Lineage, route: AddRoute) -> None:
        self._queue.submit(route, partial(self._answered, lineage, route))

    def moved(self, lineage: Lineage) -> None:
        """A pair goes over another path: what is captured has to spare the peer's new address."""
        if not lineage.captures:
            return
        outers = self._outers(lineage)
        for index, one in enumerate(lineage.captures):
            if one.outers != outers:
                lineage.captures[index] = renewed = replace(one, outers=outers)
                self._queue.submit(renewed, partial(self._capture_answered, lineage, renewed))

    def install_failed(self, effect: InstallSA, reason: str) -> None:
        """The data plane refused a pair."""
        self._journal.write("install failed", connection=effect.connection, child=effect.child_name, detail=reason)

    def restore(self) -> None:
        """The interface was made anew: set every route again."""
        self.mtu = self._configured_mtu
        self._book, self._captured = RouteBook(), Tally()
        ours = self._ours()
        for lineage in ours:
            lineage.routes.clear()
            lineage.captures.clear()
        for lineage in ours:
            self._add_routes(lineage)
        self.follow_mtu()

    def readdress(self) -> None:
        """This machine's addresses have changed, or were away for a moment: see to the routes' sources.

        With an address the kernel takes every IPv4 route that has it for its source, and from an IPv6 one the source.
        Such a route is asked for again, which changes nothing where it still stands. An address that came may be the
        source of a route that had none.
        """
        sources = self._sources()
        for lineage in self._ours():
            for old in list(lineage.routes):
                if old.source is not None:
                    if self._book.is_standing(old) and not self._is_own(old.source):
                        self._queue.submit(old, partial(self._asked_again, lineage, old))
                    continue
                new = _sourced(lineage, old, sources)
                if new.source is not None:
                    self._give_up(lineage, old)
                    self._want(lineage, new)

    def _asked_again(self, lineage: Lineage, route: AddRoute, answer: Answer) -> None:
        """Routes whose source has gone are set from another address, or without a source, rather than not at all."""
        if not isinstance(answer, Refused) or not self._book.is_standing(route):
            return
        losers, heir = self._book.refuse(route)
        self._remove(lineage, route)
        if heir is not None:
            self._set(*heir)
        sources = [ip for ip in self._sources() if str(ip) != route.source]
        for loser, lost in losers:
            loser.routes.remove(lost)
            self._want(loser, _sourced(loser, lost, sources))

    def adopt(self, interface: InterfaceSettings, mtu: int) -> None:
        """Other addresses, or another MTU: set the routes from those that are there now, and follow the MTU.

        What changes on the interface itself is on its way to the guard already, in front of these.
        """
        old, self._interface, self._configured_mtu = self._interface, interface, mtu
        if old.addresses != interface.addresses:
            ours = self._ours()
            for lineage in ours:
                self._take_back(lineage)
            for lineage in ours:
                self._add_routes(lineage)
        if interface.mtu != old.mtu and mtu != self.mtu:
            self._set_mtu(mtu)
        self.follow_mtu()

    def _ours(self) -> list[Lineage]:
        """The live lineages of this hub."""
        return [lineage for lineage in self._children if lineage.policy.hub == self._hub]

    def _add_routes(self, lineage: Lineage) -> None:
        for route in routes_of(lineage, self._interface.name, self._sources()):
            net = ip_network(route.destination)
            catches_itself = covers(net, lineage.remote_ip)
            if (catches_itself or not net.prefixlen) and self._capture(lineage, route):
                continue
            if catches_itself:
                self._skip(lineage, route, "it would catch the tunnel's own packets; set a route by hand")
                continue
            if self._is_connected(net):
                continue  # The kernel made that one itself.
            self._want(lineage, route)

    def _is_connected(self, destination: IPv4Network | IPv6Network) -> bool:
        """Whether the interface's own network holds it, as it does an address lent out of that."""
        first, prefix = destination.network_address, destination.prefixlen
        own = [address.network for address in self._interface.addresses]
        return any(prefix >= net.prefixlen and covers(net, first) for net in own)

    def _capture(self, lineage: Lineage, route: AddRoute) -> bool:
        """Send such traffic through the tunnel by rules, where the peer gave us the address to send it from.

        The hub answers for networks, but not for "everything", so it is told of a gateway that stands for the peer.
        """
        if route.source is None or lineage.pseudo_mac is None:
            return False
        if ip_address(route.source) not in set(self._assigned()):
            return False
        gateway = pseudo_gateway(lineage.pseudo_mac, ip_address(route.source).version)
        try:
            self._children.name_gateway(lineage, gateway)
        except ValueError:
            return False  # The hub's table is full.
        outers = self._outers(lineage)
        question = CaptureTraffic(route.interface, route.destination, outers, route.source, str(gateway))
        lineage.captures.append(question)
        self._captured.add(question.destination)
        self._queue.submit(question, partial(self._capture_answered, lineage, question))
        return True

    def _outers(self, lineage: Lineage) -> tuple[str, ...]:
        """Where the peer is, and where it may be tried next."""
        # Rules are by address alone: which link a link-local one is at, they do not ask.
        ends = {str(ip).partition("%")[0] for ip in (lineage.remote_ip, *self._ends(lineage))}
        return tuple(sorted(ends))

    def _capture_answered(self, lineage: Lineage, question: CaptureTraffic, answer: Answer) -> None:
        fields = {"connection": lineage.connection, "destination": question.destination}
        if isinstance(answer, Refused):
            self._journal.write("route skipped", **fields, detail=answer.reason)
        else:
            self._journal.write("route added", **fields, interface=question.interface, source=question.source)

    def _is_own(self, source: str) -> bool:
        """Whether the address is the interface's own or was assigned: it comes and goes with what we do ourselves."""
        ip = ip_address(source)
        return ip in self._assigned() or any(ip == own.ip for own in self._interface.addresses)

    def _sources(self) -> list[IpAddress]:
        """The addresses to send from: those that peers assigned first, then the interface's own."""
        own = [*self._assigned(), *(address.ip for address in self._interface.addresses)]
        others = sorted(set(self._addresses()) - set(own), key=int)
        return own + [ip for ip in others if not ip.is_loopback and not ip.is_link_local]

    def _answered(self, lineage: Lineage, route: AddRoute, answer: Answer) -> None:
        if isinstance(answer, Refused):
            self._skip(lineage, route, answer.reason)
            self._refused(route)
            return
        self._journal.write(
            "route added",
            connection=lineage.connection,
            destination=route.destination,
            interface=route.interface,
            source=route.source,
        )

    def _refused(self, route: AddRoute) -> None:
        """Nobody has that route; who wants another one to the same destination may still get it."""
        if not self._book.is_standing(route):
            return  # It was taken back meanwhile.
        losers, heir = self._book.refuse(route)
        for lineage, lost in losers:
            lineage.routes.remove(lost)
        if heir is not None:
            self._set(*heir)

    def _skip(self, lineage: Lineage, route: AddRoute, reason: str) -> None:
        self._journal.write(
            "route skipped", connection=lineage.connection, destination=route.destination, detail=reason
        )

    def follow_mtu(self) -> None:
        """Lower the interface's MTU to what the live tunnels carry, and raise it again when they are gone.

        Not in a bridge, which drops without a word what is longer than the MTU of the port it leaves by: there the
        frames come to us, and the data plane fragments or answers. And not below what IPv6 needs, for the kernel would
        take IPv6 off the interface.
        """
        if self._interface.mtu is not None or self._interface.bridge is not None:
            return
        smallest = max(LEAST_TAP_MTU, self._children.smallest_mtu(self._hub) or self._configured_mtu)
        wanted = min(self._configured_mtu, smallest)
        if wanted != self.mtu:
            self._set_mtu(wanted)

    def _set_mtu(self, wanted: int) -> None:
        self._journal.write("mtu changed", interface=self._interface.name, old=self.mtu, mtu=wanted)
        self.mtu = wanted
        self._queue.submit(ConfigureLink(self._interface.name, mtu=wanted))


def _sourced(lineage: Lineage, route: AddRoute, sources: Iterable[IpAddress]) -> AddRoute:
    """The same route from the first of these addresses that fits."""
    found = routes_of(lineage, route.interface, sources)
    return next(one for one in found if one.destination == route.destination)
