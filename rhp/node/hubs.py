"""The node's hubs: its own, and those with a name. Each has an interface, and what tunnels change there, of its own.

The data plane knows hubs by number, the configuration by name, and "" is the node's own. What happens to one of them,
an interface that vanishes as well as a route, is no other's business. Everybody who has to do with all of them at once,
or with the hub of one peer, does so through here.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from rhp.guard.guard import Guard
from rhp.guard.protocol import MendCaptures
from rhp.ike import events
from rhp.ike.config import ConnectionConfig, Station
from rhp.ike.effects import InstallSA
from rhp.net.link import link_mtu
from rhp.node.assigned import Assigned
from rhp.node.children import Children, HubPlace, Lineage
from rhp.node.errors import StartError
from rhp.node.journal import Journal
from rhp.node.mtu import OUTER_MTU, configured_mtu
from rhp.node.network import NetworkQueue
from rhp.node.providers import as_start_error
from rhp.node.settings import InterfaceSettings, NamedHubSettings, NodeSettings
from rhp.node.tap import Tap, chosen_mac
from rhp.node.tunnels import Tunnels
from rhp.spi.esp import HUB_COUNTERS

if TYPE_CHECKING:
    from rhp.spi.esp import DataPlane

IpAddress = IPv4Address | IPv6Address

OWN = ""
DESCRIPTORS = 512
"""What a node needs beside its interfaces' queues, generously."""


@dataclass(slots=True)
class Hub:
    """One hub: its number on the data plane, its settings, what its interface begins with, and who looks after it."""

    settings: NamedHubSettings
    number: int
    mtu: int
    mac: bytes
    tap: Tap
    assigned: Assigned
    tunnels: Tunnels

    @property
    def name(self) -> str:
        """Its name in the configuration, "" for the node's own."""
        return self.settings.name

    def restored(self) -> None:
        """The interface was made again: addresses first, for routes are set from them."""
        self.assigned.restore()
        self.tunnels.restore()

    def station(self) -> Station:
        """Who we are on its Ethernet."""
        addresses = [one.ip for one in self.settings.interface.addresses]
        first4 = next((one for one in addresses if isinstance(one, IPv4Address)), None)
        first6 = next((one for one in addresses if isinstance(one, IPv6Address)), None)
        return Station(self.mac, first4, first6)


def places(plane: DataPlane, settings: NodeSettings) -> dict[str, HubPlace]:
    """Make the named hubs on the data plane, and tell where each is; raises `StartError` where there are too many."""
    found = {OWN: HubPlace(0, settings.hub)}
    try:
        for named in settings.hubs:
            found[named.name] = HubPlace(plane.add_hub(), named.hub)
    except ValueError:
        raise StartError(
            f"a node has at most {len(found) - 1} hubs beside its own; write fewer tables [hubs]"
        ) from None
    return found


class Hubs:
    """All hubs of a node. `addresses` gives this machine's addresses, `ends` where a peer may be reached.

    Interfaces are made, widened and taken away one after the other, for each of them has as many queues as there are
    lanes.
    """

    def __init__(
        self,
        guard: Guard,
        plane: DataPlane,
        journal: Journal,
        network: NetworkQueue,
        children: Children,
        settings: NodeSettings,
        connections: Iterable[ConnectionConfig],
        addresses: Callable[[], Iterable[IpAddress]],
        ends: Callable[[Lineage], Iterable[IpAddress]],
    ) -> None:
        self._guard = guard
        self._plane = plane
        self._journal = journal
        self._network = network
        self._children = children
        self._path_mtu = settings.path_mtu
        self._addresses = addresses
        self._ends = ends
        self._turns = asyncio.Lock()
        self._closed = False
        self.belong(connections)
        own = NamedHubSettings(OWN, settings.interface, settings.hub)
        self._hubs = {one.name: self._make(one) for one in (own, *settings.hubs)}
        self._numbers = {hub.number: hub for hub in self._hubs.values()}

    @property
    def own(self) -> Hub:
        """The node's own."""
        return self._hubs[OWN]

    def __iter__(self) -> Iterator[Hub]:
        return iter(self._hubs.values())

    def interfaces(self) -> tuple[str, ...]:
        """The names of all interfaces."""
        return tuple(hub.settings.interface.name for hub in self._hubs.values())

    def device(self, name: str) -> str:
        """The interface of that hub, empty where there is no such hub."""
        return self._hubs[name].settings.interface.name if name in self._hubs else ""

    def stations(self) -> Mapping[str, Station]:
        """Who we are on the Ethernet of each named hub."""
        return {name: hub.station() for name, hub in self._hubs.items() if name != OWN}

    # Life.

    async def open(self) -> None:
        """Make the interfaces; raises `StartError`. The lanes must stand."""
        _allow_descriptors(DESCRIPTORS + len(self._hubs) * self._plane.prepared)
        for hub in self._hubs.values():
            await hub.tap.open()
        with as_start_error():
            self._children.set_hubs()

    async def add(self, settings: NamedHubSettings) -> None:
        """One more hub while the node runs. Raises `StartError`, and leaves nothing, if it cannot be made."""
        async with self._turns:
            if self._closed:
                raise StartError(f"the hub {settings.name} cannot be made: the node ends")
            await self._add(settings)

    async def _add(self, settings: NamedHubSettings) -> None:
        try:
            number = self._plane.add_hub()
        except ValueError as error:
            raise StartError(f"the hub {settings.name} cannot be made: {error}") from None
        self._children.add_hub(settings.name, HubPlace(number, settings.hub))
        hub = self._make(settings)
        try:
            _allow_descriptors(DESCRIPTORS + (len(self._hubs) + 1) * self._plane.prepared)
            with as_start_error():
                self._children.set_hub(settings.name)
            await hub.tap.open()
        except StartError:
            self._children.remove_hub(settings.name)
            self._plane.remove_hub(number)
            raise
        self._hubs[settings.name] = self._numbers[number] = hub

    async def remove(self, name: str) -> None:
        """Take a hub away while the node runs, and its interface with it; ValueError while there are tunnels in it."""
        async with self._turns:
            hub = self._hubs[name]
            self._plane.remove_hub(hub.number)
            del self._hubs[name], self._numbers[hub.number]
            self._children.remove_hub(name)
            hub.assigned.stop()
            await hub.tap.close()

    def adopt(self, settings: NamedHubSettings) -> None:
        """A hub that is there, and its interface, are otherwise from now on.

        Addresses of the interface are on their way to the guard already.
        """
        hub = self._hubs[settings.name]
        old, hub.settings = hub.settings, settings
        hub.mtu = self._mtu(settings)
        if old.hub != settings.hub:
            self._children.adopt(settings.name, settings.hub)
        hub.tap.adopt(settings.interface, hub.mtu)
        hub.tunnels.adopt(settings.interface, hub.mtu)

    def belong(self, connections: Iterable[ConnectionConfig]) -> None:
        """These are the connections from now on, and each says which hub its peers are in."""
        self._connections = tuple(connections)
        self._homes = {one.name: one.policy.hub for one in self._connections}

    async def add_lane(self, lane: int) -> None:
        """Take one more lane into use, when it has its queue of every interface; raises `StartError`."""
        async with self._turns:
            if self._closed:
                raise StartError("the lane cannot be added: the node ends")
            for hub in list(self._hubs.values()):
                await hub.tap.add_queue(lane)
            # Before anybody makes another interface, which has to have a queue for it, too.
            self._plane.add_lane()

    def lost(self, number: int, lane: int, errno: int) -> None:
        """A lane's queue of that hub's interface is gone."""
        if number in self._numbers:
            self._numbers[number].tap.lost(lane, errno)

    async def close(self) -> None:
        """Make no interface any more; one that is being made is waited for, so that it is there to be taken away."""
        async with self._turns:
            self._closed = True
            for hub in list(self._hubs.values()):
                hub.assigned.stop()
                await hub.tap.close()

    # What tunnels change; the same calls as of `Tunnels` and `Assigned`, for the hub that is concerned.

    def installed(self, lineage: Lineage) -> None:
        """A pair of SAs was installed."""
        self._of(lineage).installed(lineage)

    def ended(self, lineage: Lineage) -> None:
        """A lineage ended."""
        self._of(lineage).ended(lineage)

    def moved(self, lineage: Lineage) -> None:
        """A pair goes over another path."""
        self._of(lineage).moved(lineage)

    def install_failed(self, effect: InstallSA, reason: str) -> None:
        """The data plane refused a pair."""
        self.own.tunnels.install_failed(effect, reason)

    def follow_mtu(self) -> None:
        """See to the MTU of every interface."""
        for hub in self._hubs.values():
            hub.tunnels.follow_mtu()

    def readdress(self) -> None:
        """This machine's addresses have changed, or were away for a moment."""
        for hub in self._hubs.values():
            hub.tunnels.readdress()

    def unruled(self) -> None:
        """Rules for routing have gone; without those of captured traffic it goes past the tunnel, in clear."""
        if any(lineage.captures for lineage in self._children):
            self._network.submit(MendCaptures())

    def heard(self, event: events.Event, *, again: bool) -> None:
        """Look at an event of the engine; `again` says whether the connection will be tried again."""
        if isinstance(event, events.AddressesAssigned):
            self._named(self._homes.get(event.connection, OWN)).assigned.heard(event, again=again)
            return
        # An IKE SA that brought one of them nothing means nothing to it.
        for hub in self._hubs.values():
            hub.assigned.heard(event, again=again)

    def shape(self, effect: InstallSA) -> InstallSA:
        """A child's selectors, narrowed to the networks that its peer told us of, where it told any."""
        return self._named(effect.policy.hub).assigned.shape(effect)

    # The status.

    def picture(self) -> list[dict[str, Any]]:
        """Each hub's part of the status, the node's own first."""
        ports = self._children.ports()
        return [self._shown(hub, ports.get(hub.name, 0)) for hub in self._hubs.values()]

    def _shown(self, hub: Hub, ports: int) -> dict[str, Any]:
        counters = self._plane.hub_counters(hub.number)
        drops = {name: count for name, count in counters.items() if name.startswith("drop-") and count}
        return {
            "name": hub.name or None,
            "interface": hub.tap.picture(),
            "ports": ports,
            "macs": len(self._plane.macs(hub.number)),
            "isolate": hub.settings.hub.isolate,
            "ordering": hub.settings.hub.ordering,
            "oversize": hub.settings.hub.oversize,
            "counters": {**{name: counters[name] for name in HUB_COUNTERS}, **drops},
        }

    # Building.

    def _of(self, lineage: Lineage) -> Tunnels:
        return self._named(lineage.policy.hub).tunnels

    def _named(self, name: str) -> Hub:
        """That hub; or the node's own, for one that has gone and of which the data plane will say so."""
        return self._hubs.get(name, self.own)

    def _mtu(self, settings: NamedHubSettings) -> int:
        """What its interface has while there is no tunnel."""
        inside = [one for one in self._connections if one.policy.hub == settings.name]
        return settings.interface.mtu or _first_mtu(settings.interface, inside, self._path_mtu)

    def _make(self, settings: NamedHubSettings) -> Hub:
        interface = settings.interface
        number = self._children.number(settings.name)
        mtu = self._mtu(settings)
        mac = chosen_mac(interface, [one.local.identity.build() for one in self._connections])
        tap = Tap(
            self._guard, self._plane, self._journal, interface, mtu, mac, self._turns, lambda: made.restored(), number
        )
        assigned = Assigned(self._network, self._journal, interface.name, tap.claim, tap.disclaim)
        tunnels = Tunnels(
            self._children,
            self._network,
            self._journal,
            interface,
            mtu,
            self._addresses,
            assigned.addresses,
            self._ends,
            settings.name,
        )
        made = Hub(settings, number, mtu, mac, tap, assigned, tunnels)
        return made


def _first_mtu(interface: InterfaceSettings, connections: Iterable[ConnectionConfig], path_mtu: int | None) -> int:
    """What the interface begins with: the bridge's own MTU, which it would narrow else, or what the suites leave."""
    if interface.bridge is None:
        return configured_mtu(connections, path_mtu or OUTER_MTU)
    try:
        return link_mtu(interface.bridge)
    except OSError:
        return OUTER_MTU  # The guard will say that there is no such bridge.


def _allow_descriptors(wanted: int) -> None:
    """Have this process open as many descriptors as it needs; raises `StartError` where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard not in (resource.RLIM_INFINITY,) and hard < wanted:
        raise StartError(
            f"so many hubs need {wanted} open files, of which this process may have {hard}; "
            f"allow it more (LimitNOFILE={wanted} in its unit), or write fewer tables [hubs]"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
