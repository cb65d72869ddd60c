"""What a tunnel that comes or goes changes on this machine: routes, and the MTU of the interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from rhp.guard.protocol import AddRoute, Answer, ConfigureLink, Refused, RemoveRoute
from rhp.ike.effects import InstallSA
from rhp.node.children import Children, Lineage, covers, routes_of
from rhp.node.journal import Journal
from rhp.node.network import NetworkQueue
from rhp.node.settings import InterfaceSettings

IpAddress = IPv4Address | IPv6Address


class Tunnels:
    """Keeps routes and MTU in step with the live children.

    `addresses` gives this machine's addresses at the moment; `mtu` is what the interface was set up with.
    """

    def __init__(
        self,
        children: Children,
        queue: NetworkQueue,
        journal: Journal,
        interface: InterfaceSettings,
        mtu: int,
        addresses: Callable[[], Iterable[IpAddress]],
    ) -> None:
        self._children = children
        self._queue = queue
        self._journal = journal
        self._interface = interface
        self._configured_mtu = mtu
        self._addresses = addresses
        self.mtu = mtu

    def installed(self, lineage: Lineage) -> None:
        """A pair of SAs was installed: set the lineage's routes the first time, and see to the MTU."""
        if lineage.mode == "tunnel" and not lineage.routes:
            self._add_routes(lineage)
        self._follow_mtu()

    def ended(self, lineage: Lineage) -> None:
        """A lineage ended: take its routes back, unless another one of the same peer needs them."""
        needed = {route.destination for other in self._children for route in other.routes}
        for route in lineage.routes:
            if route.destination not in needed:
                self._queue.submit(RemoveRoute(route.destination, route.interface, route.source, route.gateway))
                self._journal.write("route removed", connection=lineage.connection, destination=route.destination)
        lineage.routes.clear()
        self._follow_mtu()

    def install_failed(self, effect: InstallSA, reason: str) -> None:
        """The data plane refused a pair."""
        self._journal.write("install failed", connection=effect.connection, child=effect.child_name, detail=reason)

    def restore(self) -> None:
        """The interface was made anew: set every route again."""
        self.mtu = self._configured_mtu
        for lineage in self._children:
            lineage.routes.clear()
            self._add_routes(lineage)
        self._follow_mtu()

    def _add_routes(self, lineage: Lineage) -> None:
        connected = {str(address.network) for address in self._interface.addresses}
        known = {route.destination for other in self._children for route in other.routes}
        for route in routes_of(lineage, self._interface.name, self._sources()):
            if covers(route, lineage.remote_ip):
                self._skip(lineage, route, "it would catch the tunnel's own packets; set a route by hand")
                continue
            lineage.routes.append(route)
            # The kernel made the route to a connected network itself, and a second tunnel shares the first one's.
            if route.destination not in connected | known:
                self._queue.submit(route, partial(self._answered, lineage, route))

    def _sources(self) -> list[IpAddress]:
        """The addresses to send from, the interface's own first."""
        own = [address.ip for address in self._interface.addresses]
        others = sorted(set(self._addresses()) - set(own), key=int)
        return own + [ip for ip in others if not ip.is_loopback and not ip.is_link_local]

    def _answered(self, lineage: Lineage, route: AddRoute, answer: Answer) -> None:
        if isinstance(answer, Refused):
            if route in lineage.routes:
                lineage.routes.remove(route)
            self._skip(lineage, route, answer.reason)
            return
        self._journal.write(
            "route added",
            connection=lineage.connection,
            destination=route.destination,
            interface=route.interface,
            source=route.source,
        )

    def _skip(self, lineage: Lineage, route: AddRoute, reason: str) -> None:
        self._journal.write(
            "route skipped", connection=lineage.connection, destination=route.destination, detail=reason
        )

    def _follow_mtu(self) -> None:
        """Lower the interface's MTU to what the live tunnels carry, and raise it again when they are gone."""
        if self._interface.mtu is not None:
            return
        wanted = min(self._configured_mtu, self._children.smallest_mtu() or self._configured_mtu)
        if wanted == self.mtu:
            return
        self._journal.write("mtu changed", interface=self._interface.name, old=self.mtu, mtu=wanted)
        self.mtu = wanted
        self._queue.submit(ConfigureLink(self._interface.name, mtu=wanted))
