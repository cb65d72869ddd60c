"""Child SAs on the data plane: one hub port each, the pairs of SAs on it, its routes and its share of the MTU.

The lineages of one group carry the same traffic for several lanes (RFC 9611) and share a port. The first `InstallSA` of
a group makes the port, rekeys only change the pairs behind it, and the last `RemoveSA` takes it away, so that what the
hub has learned outlives a rekey. Ports of one peer form an isolate group: should two tunnels
to the same peer exist for a moment, a broadcast from one never returns through the other. Where the policy of their
connection or realm isolates peers, all of these are one such group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from rhp.crypto.suite import EspSuite
from rhp.guard.protocol import AddRoute, CaptureTraffic
from rhp.ike.effects import ActivateSA, DeactivateSA, InstallSA, MigrateSA, RemoveSA
from rhp.ike.path import Path
from rhp.node.mtu import Carriage, inner_mtu, longest_frame, tcp_mss
from rhp.node.pseudomac import PseudoMacs
from rhp.node.saparams import sa_params, selector
from rhp.node.selectors import networks
from rhp.node.settings import HubSettings
from rhp.node.tally import Tally
from rhp.node.traffic import Traffic
from rhp.pki.identity import ANONYMOUS
from rhp.realm.policy import OWN_HUB, PortPolicy
from rhp.wire.ts import TrafficSelector

if TYPE_CHECKING:
    from rhp.spi.esp import DataPlane

IpAddress = IPv4Address | IPv6Address

LARGEST_MTU = 65535


@dataclass(slots=True)
class Lineage:
    """One child of one peer: its hub port, the inbound SPIs that live on it, and what was done for it."""

    group: int
    ike_id: int
    port: int
    connection: str
    child_name: str
    peer: tuple[int, bytes]
    mode: str
    local_ts: tuple[TrafficSelector, ...]
    remote_ts: tuple[TrafficSelector, ...]
    local_ip: IpAddress
    remote_ip: IpAddress
    suite: EspSuite
    carriage: Carriage
    mtu: int
    pseudo_mac: bytes | None
    policy: PortPolicy = OWN_HUB
    spis: list[int] = field(default_factory=list)
    routes: list[AddRoute] = field(default_factory=list)
    captures: list[CaptureTraffic] = field(default_factory=list)
    last_in_ns: int = 0
    last_out_ns: int = 0


class HubPlace(NamedTuple):
    """Where a hub is on the data plane, and what holds there."""

    number: int
    settings: HubSettings


class AtWork(NamedTuple):
    """A lineage that carries packets: its newest inbound SPI, whether it was `heard` from, and when it last sent.

    Only packets that were authenticated count as heard. `sent` is on the clock of asyncio's loop, None for not at all.
    """

    spi_in: int
    heard: bool
    sent: float | None


class Children:
    """Keeps the data plane in step with the engine's Child SAs.

    `hubs` are all of them by name, the node's own under ""; `outer_mtu` says how long an outer packet to a peer may be.
    """

    def __init__(self, plane: DataPlane, hubs: Mapping[str, HubPlace], outer_mtu: Callable[[IpAddress], int]) -> None:
        self._plane = plane
        self._hubs = dict(hubs)
        self._outer_mtu = outer_mtu
        self._lineages: dict[int, Lineage] = {}
        self._by_spi: dict[int, Lineage] = {}
        self._outbound: dict[int, int] = {}
        self._by_outbound: dict[int, Lineage] = {}
        self._groups: dict[tuple[str, tuple[int, bytes]], int] = {}
        self._group_numbers = count(1)
        self._members: Tally[tuple[str, tuple[int, bytes]]] = Tally()
        self._macs = PseudoMacs()
        self.on_end: Callable[[Lineage], None] | None = None
        self.traffic = Traffic()
        self._mtus: dict[str, Tally[int]] = {name: Tally() for name in self._hubs}

    def __iter__(self) -> Iterator[Lineage]:
        return iter(list(self._lineages.values()))

    def get(self, spi_in: int) -> Lineage | None:
        """The lineage on which that pair lives, or None."""
        return self._by_spi.get(spi_in)

    def sends_on(self, spi_out: int) -> Lineage | None:
        """The lineage that sends under that SPI of its peer, or None."""
        return self._by_outbound.get(spi_out)

    def install(self, effect: InstallSA) -> Lineage:
        """Publish a pair of SAs, on a new port for a new lineage. ValueError when the data plane cannot take it."""
        lineage = self._lineages.get(effect.group)
        fresh = lineage is None
        if lineage is None:
            lineage = self._add(effect)
        try:
            self._plane.install(sa_params(effect, lineage.port))
        except ValueError:
            if fresh:
                self._drop(lineage)
            raise
        lineage.spis.append(effect.spi_in)
        lineage.suite = effect.suite
        self._by_spi[effect.spi_in] = self._by_outbound[effect.spi_out] = lineage
        self._outbound[effect.spi_in] = effect.spi_out
        self._carry(lineage, effect.path, effect.encapsulation)
        return lineage

    def deactivate(self, effect: DeactivateSA) -> None:
        """Only receive on a pair from now on; one that has gone meanwhile is ignored."""
        lineage = self._by_spi.get(effect.spi_in)
        if lineage is not None:
            # The last one is the one to send on.
            lineage.spis.remove(effect.spi_in)
            lineage.spis.insert(0, effect.spi_in)
            self._forget_outbound(effect.spi_in)
            self._plane.deactivate(effect.spi_in)

    def remove(self, effect: RemoveSA) -> Lineage | None:
        """Take a pair away; give the lineage when it ended with it."""
        lineage = self._by_spi.pop(effect.spi_in, None)
        if lineage is None:
            return None
        lineage.spis.remove(effect.spi_in)
        self._forget_outbound(effect.spi_in)
        self._plane.retire(effect.spi_in)
        if lineage.spis:
            return None
        self._drop(lineage)
        return lineage

    def migrate(self, effect: MigrateSA) -> Lineage | None:
        """Move a pair to another path; give its lineage, or None when it has gone meanwhile."""
        lineage = self._by_spi.get(effect.spi_in)
        if lineage is None:
            return None
        local, remote = effect.path.local, effect.path.remote
        self._plane.migrate(
            effect.spi_in, (str(local.ip), local.port), (str(remote.ip), remote.port), effect.encapsulation
        )
        self._carry(lineage, effect.path, effect.encapsulation)
        return lineage

    def activate(self, effect: ActivateSA) -> None:
        """Send outbound traffic on a pair; one that has gone meanwhile is ignored."""
        if effect.spi_in in self._by_spi:
            self._plane.activate(effect.spi_in)

    def name_gateway(self, lineage: Lineage, gateway: IpAddress) -> None:
        """Have the hub answer for `gateway` with the lineage's pseudo-MAC."""
        if lineage.pseudo_mac is not None:
            self._plane.add_neighbour(str(gateway), lineage.pseudo_mac, lineage.port)

    def number(self, hub: str) -> int:
        """The number of a hub on the data plane."""
        return self._hubs[hub].number

    def add_hub(self, name: str, place: HubPlace) -> None:
        """One more hub."""
        self._hubs[name] = place
        self._mtus[name] = Tally()

    def remove_hub(self, name: str) -> None:
        """A hub without live lineages goes."""
        del self._hubs[name], self._mtus[name]

    def ports(self) -> dict[str, int]:
        """How many live lineages there are in each hub, by its name."""
        return Counter(lineage.policy.hub for lineage in self._lineages.values())

    def smallest_mtu(self, hub: str = "") -> int | None:
        """The MTU that fits all live lineages of a hub, or None without one."""
        return min(self._mtus[hub], default=None)

    def fit(self, lineage: Lineage) -> None:
        """Make packets fit the path as it is known now: the lineage's MTU, and the sizes that its port knows."""
        self._mtus[lineage.policy.hub].remove(lineage.mtu)
        outer = min(self._outer_mtu(lineage.remote_ip), lineage.policy.path_mtu or LARGEST_MTU)
        lineage.mtu = inner_mtu(lineage.suite, lineage.carriage, outer)
        self._mtus[lineage.policy.hub].add(lineage.mtu)
        mss = self._mss(lineage.policy, lineage.mtu)
        self._plane.set_port_path(lineage.port, mss=mss, limit=longest_frame(lineage.mtu))

    def at_work(self) -> Iterator[AtWork]:
        """What each lineage has done since the last question, if it did anything."""
        for lineage in self._lineages.values():
            pairs = [self._plane.sa_counters(spi) for spi in lineage.spis]
            last_in = max((pair["last_in_ns"] for pair in pairs), default=0)
            last_out = max((pair["last_out_ns"] for pair in pairs), default=0)
            heard, sent = last_in > lineage.last_in_ns, last_out > lineage.last_out_ns
            lineage.last_in_ns, lineage.last_out_ns = last_in, last_out
            if heard or sent:
                yield AtWork(lineage.spis[-1], heard, last_out / 1e9 if sent else None)

    def adopt(self, name: str, settings: HubSettings) -> None:
        """A hub behaves otherwise from now on."""
        self._hubs[name] = self._hubs[name]._replace(settings=settings)
        self.set_hub(name)
        for lineage in self._lineages.values():
            if lineage.policy.hub == name:
                self.fit(lineage)

    def adopt_policies(self, policies: Mapping[str, PortPolicy]) -> None:
        """By connection: what holds for the packets of its peers. Who is in another hub now, or with others, begins
        anew, and keeps what it has until then."""
        for lineage in self._lineages.values():
            new, old = policies.get(lineage.connection), lineage.policy
            if new is not None and new != old:
                lineage.policy = replace(old, mss_clamp=new.mss_clamp, path_mtu=new.path_mtu)
                self.fit(lineage)

    def set_hubs(self) -> None:
        """Tell every hub its behaviour."""
        for name in self._hubs:
            self.set_hub(name)

    def set_hub(self, name: str = "") -> None:
        """Tell a hub its behaviour, and which static MAC lives behind which port at the moment."""
        number, hub = self._hubs[name]
        ports = {
            lineage.connection: lineage.port
            for lineage in self._lineages.values()
            if hub.static and lineage.mode == "ethernet" and lineage.policy.hub == name
        }
        self._plane.set_hub(
            mac_ageing=hub.mac_ageing,
            isolate=hub.isolate,
            arp_proxy=hub.arp_proxy,
            answer_oversized=hub.oversize == "answer",
            ordering=hub.ordering,
            static=[(entry.mac, ports[entry.connection]) for entry in hub.static if entry.connection in ports],
            hub=number,
        )

    def _carry(self, lineage: Lineage, path: Path, encapsulation: str) -> None:
        lineage.local_ip, lineage.remote_ip = path.local.ip, path.remote.ip
        lineage.carriage = Carriage(lineage.mode, encapsulation, path.remote.ip.version)
        self.fit(lineage)

    def _forget_outbound(self, spi_in: int) -> None:
        self._by_outbound.pop(self._outbound.pop(spi_in, 0), None)

    def _add(self, effect: InstallSA) -> Lineage:
        peer = (int(effect.peer.id_type), effect.peer.data)
        if effect.peer == ANONYMOUS:
            # Two peers without a name are two: they get addresses of their own, and hear each other's broadcasts.
            peer = (peer[0], str(effect.ike_id).encode())
        if effect.policy.hub not in self._hubs:
            raise ValueError(f"there is no hub {effect.policy.hub} on the data plane")
        owner = effect.connection, _apart(effect.policy, peer)
        mac: bytes | None = None
        if effect.mode == "tunnel":
            mac = self._macs.take(effect.connection, effect.child_name, peer)
        try:
            port = self._plane.add_port(
                "ip" if effect.mode == "tunnel" else "ethernet",
                pseudo_mac=mac,
                isolate_group=self._join(*owner),
                local_ts=[selector(one) for one in effect.local_ts],
                remote_ts=[selector(one) for one in effect.remote_ts],
                hub=self._hubs[effect.policy.hub].number,
            )
        except ValueError:
            self._leave(*owner, mac)
            raise
        lineage = Lineage(
            group=effect.group,
            ike_id=effect.ike_id,
            port=port,
            connection=effect.connection,
            child_name=effect.child_name,
            peer=peer,
            mode=effect.mode,
            local_ts=effect.local_ts,
            remote_ts=effect.remote_ts,
            local_ip=effect.path.local.ip,
            remote_ip=effect.path.remote.ip,
            suite=effect.suite,
            carriage=Carriage(effect.mode, effect.encapsulation, effect.path.remote.ip.version),
            mtu=0,
            pseudo_mac=mac,
            policy=effect.policy,
        )
        self._lineages[effect.group] = lineage
        self._mtus[lineage.policy.hub].add(lineage.mtu)
        self._follow_static(lineage.policy.hub)
        return lineage

    def _drop(self, lineage: Lineage) -> None:
        del self._lineages[lineage.group]
        for spi in lineage.spis:
            self._by_spi.pop(spi, None)
            self._forget_outbound(spi)
        if self.on_end is not None:
            self.on_end(lineage)  # Whoever wants the port's counters has to take them now.
        self.traffic.ended(lineage.connection, self._plane.port_counters(lineage.port))
        self._plane.remove_port(lineage.port)
        self._leave(lineage.connection, _apart(lineage.policy, lineage.peer), lineage.pseudo_mac)
        self._mtus[lineage.policy.hub].remove(lineage.mtu)
        self._follow_static(lineage.policy.hub)

    def _follow_static(self, hub: str) -> None:
        if self._hubs[hub].settings.static:
            self.set_hub(hub)

    def _join(self, connection: str, peer: tuple[int, bytes]) -> int:
        """The number of the group of ports that do not hear each other, of which there is one more."""
        if self._members.add((connection, peer)):
            self._groups[connection, peer] = next(self._group_numbers)
        return self._groups[connection, peer]

    def _leave(self, connection: str, peer: tuple[int, bytes], mac: bytes | None) -> None:
        if self._members.remove((connection, peer)):
            del self._groups[connection, peer]
        if mac is not None:
            self._macs.give_back(mac)

    def _mss(self, policy: PortPolicy, mtu: int) -> int:
        clamp = self._hubs[policy.hub].settings.mss_clamp if policy.mss_clamp is None else policy.mss_clamp
        if clamp == "auto" or clamp is True:
            return tcp_mss(mtu)
        return int(clamp)


def _apart(policy: PortPolicy, peer: tuple[int, bytes]) -> tuple[int, bytes]:
    """Whose ports do not hear each other: those of one peer, or of everybody in an isolated connection or realm."""
    return (0, b"") if policy.isolate else peer


def routes_of(lineage: Lineage, interface: str, ours: Iterable[IpAddress]) -> list[AddRoute]:
    """The routes that bring a child's traffic to the TAP, each from the first of `ours` that its selectors allow."""
    if lineage.mode != "tunnel":
        return []
    allowed = networks(lineage.local_ts)
    sources = [ip for ip in ours if any(ip in net for net in allowed)]
    return [
        AddRoute(
            destination=str(net),
            interface=interface,
            source=next((str(ip) for ip in sources if ip.version == net.version), None),
        )
        for net in networks(lineage.remote_ts)
    ]


def covers(net: IPv4Network | IPv6Network, ip: IpAddress) -> bool:
    """Whether a route there would catch packets to `ip`, as a default route catches the tunnel's own."""
    return ip.version == net.version and ip in net
