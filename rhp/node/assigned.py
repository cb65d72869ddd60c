"""What peers assigned to us, on this machine: addresses on the interface, name servers, and how far traffic goes.

An address is there from the moment it is assigned until its IKE SA has gone. Where the connection will be tried again
it stays a little longer, so that a peer that gives the same address again breaks no session of ours. Name servers are
set while a child is up that reaches them, and go with it at once: a server that cannot be reached must not be the one
that has to be asked where its gateway is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface

from rhp.guard.protocol import AddAddress, Answer, ClearDns, Refused, RemoveAddress, SetDns
from rhp.ike import events, selectors
from rhp.ike.assignment import Assignment, IpAddress
from rhp.ike.effects import InstallSA
from rhp.node.journal import Journal
from rhp.node.network import NetworkQueue
from rhp.node.selectors import networks
from rhp.wire.iana import TsType
from rhp.wire.ts import TrafficSelector

IpInterface = IPv4Interface | IPv6Interface
IpNetwork = IPv4Network | IPv6Network
Selectors = tuple[TrafficSelector, ...]

KEEP_SECONDS = 5.0
"""How long an address outlives its IKE SA while the connection is tried again."""

DNS_AGAIN_SECONDS = 30.0
"""Until name servers that were refused are tried again: the system's resolver may only be starting."""


@dataclass(slots=True)
class _Given:
    """What one IKE SA brought, the peer's outer address, and its children as they were established, by their ids."""

    connection: str
    assignment: Assignment
    remote: IpAddress
    children: dict[int, events.ChildEstablished] = field(default_factory=dict)
    told: bool = False

    def reach(self) -> list[IpNetwork]:
        """What lies behind the children."""
        return [net for child in self.children.values() for net in _reach(child, self.assignment)]


class Assigned:
    """Keeps the interface and the resolver in step with what is assigned.

    `claim` and `disclaim` have the hub know that an address is this host's.
    """

    def __init__(
        self,
        queue: NetworkQueue,
        journal: Journal,
        interface: str,
        claim: Callable[[IpAddress], None],
        disclaim: Callable[[IpAddress], None],
    ) -> None:
        self._queue = queue
        self._journal = journal
        self._interface = interface
        self._claim = claim
        self._disclaim = disclaim
        self._loop = asyncio.get_running_loop()
        self._given: dict[int, _Given] = {}
        self._kept: dict[str, tuple[_Given, asyncio.TimerHandle]] = {}
        self._present: dict[IpInterface, str] = {}
        self._dns: SetDns | None = None
        self._dns_problem = ""
        self._dns_again: asyncio.TimerHandle | None = None
        self._stopped = False

    def heard(self, event: events.Event, *, again: bool) -> None:
        """Look at an event of the engine; `again` says whether the connection will be tried again."""
        match event:
            case events.AddressesAssigned(ike_id, connection, _, path, assignment):
                self._forget_kept(connection)
                # After a reauthentication another one is for children that stay: they are renewed, not established.
                before = self._given.get(ike_id)
                children = before.children if before is not None else {}
                self._given[ike_id] = _Given(connection, assignment, path.remote.ip, children)
            case events.ChildEstablished(child_id, ike_id) if ike_id in self._given:
                self._given[ike_id].children[child_id] = event
            case events.ChildClosed(child_id, ike_id) if ike_id in self._given:
                self._given[ike_id].children.pop(child_id, None)
            case events.IkeClosed(ike_id) if ike_id in self._given:
                self._keep(self._given.pop(ike_id), KEEP_SECONDS if again else 0.0)
            case _:
                return
        self._follow()

    def addresses(self) -> list[IpAddress]:
        """The addresses that are there, or on their way to be."""
        return [one.ip for one in self._present]

    def shape(self, effect: InstallSA) -> InstallSA:
        """A child's selectors, narrowed to the networks that its peer told us of, where it told any.

        So a peer that grants everything and names its networks gets what is for these alone.
        """
        given = self._given.get(effect.ike_id)
        if given is None or effect.mode != "tunnel":
            return effect
        return replace(effect, remote_ts=_narrowed(effect.remote_ts, given.assignment.subnets))

    def restore(self) -> None:
        """The interface was made anew: everything again."""
        self._present.clear()
        self._dns = None
        self._call_off_dns()
        self._follow()

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._stopped = True
        self._call_off_dns()
        for connection in list(self._kept):
            self._forget_kept(connection)

    def _keep(self, given: _Given, seconds: float) -> None:
        self._forget_kept(given.connection)
        if seconds and not any(one.connection == given.connection for one in self._given.values()):
            given.children.clear()
            timer = self._loop.call_later(seconds, self._kept_long_enough, given.connection)
            self._kept[given.connection] = given, timer

    def _kept_long_enough(self, connection: str) -> None:
        self._forget_kept(connection)
        self._follow()

    def _forget_kept(self, connection: str) -> None:
        kept = self._kept.pop(connection, None)
        if kept is not None:
            kept[1].cancel()

    def _follow(self) -> None:
        """Take away what is no longer wanted, then add what is missing."""
        wanted: dict[IpInterface, str] = {}
        for given in (*self._given.values(), *(given for given, _ in self._kept.values())):
            for address in given.assignment.addresses:
                wanted.setdefault(_safe(address, given.remote), given.connection)
        for address in [one for one in self._present if one not in wanted]:
            self._remove(address, self._present.pop(address))
        for address, connection in wanted.items():
            if address not in self._present:
                self._present[address] = connection
                self._claim(address.ip)
                question = AddAddress(self._interface, str(address))
                self._queue.submit(question, partial(self._added, address, connection))
        self._follow_dns()

    def _remove(self, address: IpInterface, connection: str) -> None:
        self._disclaim(address.ip)
        self._queue.submit(RemoveAddress(self._interface, str(address)))
        self._journal.write("address removed", connection=connection, interface=self._interface, addresses=address)

    def _added(self, address: IpInterface, connection: str, answer: Answer) -> None:
        fields = {"connection": connection, "interface": self._interface, "addresses": address}
        if isinstance(answer, Refused):
            self._present.pop(address, None)
            self._disclaim(address.ip)
            self._journal.write("address skipped", **fields, detail=answer.reason)
        else:
            self._journal.write("address added", **fields)

    def _follow_dns(self) -> None:
        """One connection's servers at a time: the first that has any which its children reach."""
        wanted, connection = self._wanted_dns()
        if wanted == self._dns:
            return
        self._dns = wanted
        self._call_off_dns()
        if wanted is not None:
            self._set_dns(wanted, connection)
        else:
            self._queue.submit(ClearDns(self._interface))
            self._journal.write("dns removed", interface=self._interface)

    def _set_dns(self, question: SetDns, connection: str) -> None:
        self._dns_again = None
        self._queue.submit(question, partial(self._dns_set, question, connection))

    def _call_off_dns(self) -> None:
        self._dns_problem = ""
        if self._dns_again is not None:
            self._dns_again.cancel()
            self._dns_again = None

    def _wanted_dns(self) -> tuple[SetDns | None, str]:
        for given in self._given.values():
            reach = given.reach()
            servers = tuple(str(ip) for ip in given.assignment.dns if any(ip in net for net in reach))
            if servers:
                # Where everything goes through the tunnel, all names do (RFC 8598 section 2).
                everything = any(net.prefixlen == 0 for net in reach)
                domains = () if everything else given.assignment.domains
                return SetDns(self._interface, servers, domains), given.connection
            if given.assignment.dns and reach and not given.told:
                given.told = True
                detail = "they do not lie behind the tunnel, so questions would travel in the clear"
                self._journal.write("dns skipped", connection=given.connection, detail=detail)
        return None, ""

    def _dns_set(self, question: SetDns, connection: str, answer: Answer) -> None:
        if isinstance(answer, Refused):
            self._dns_refused(question, connection, answer.reason)
            return
        self._journal.write(
            "dns set",
            connection=connection,
            interface=question.interface,
            dns=" ".join(question.servers),
            domains=" ".join(question.domains),
        )

    def _dns_refused(self, question: SetDns, connection: str, reason: str) -> None:
        """Tell it once, and try again later, if nothing else is wanted by then."""
        if reason != self._dns_problem:
            self._journal.write("dns skipped", connection=connection, detail=reason)
        if question is self._dns and not self._stopped:
            self._dns_problem = reason
            self._dns_again = self._loop.call_later(DNS_AGAIN_SECONDS, self._set_dns, question, connection)


def _safe(address: IpInterface, remote: IpAddress) -> IpInterface:
    """The address alone where its network would catch the tunnel's own packets."""
    if remote.version == address.version and remote in address.network:
        return ip_interface(address.ip)
    return address


def _reach(event: events.ChildEstablished, assignment: Assignment) -> list[IpNetwork]:
    """What lies behind a child: its selectors, or the link that our address lies on."""
    if event.mode == "ethernet":
        return [one.network for one in assignment.addresses]
    return networks(_narrowed(event.remote_ts, assignment.subnets))


def _narrowed(remote_ts: Selectors, subnets: Iterable[IpNetwork]) -> Selectors:
    """The selectors within the networks told; those of an IP version of which none was told stay as they are."""
    found: list[TrafficSelector] = []
    for kind, version in ((TsType.IPV4_ADDR_RANGE, 4), (TsType.IPV6_ADDR_RANGE, 6)):
        own = [one for one in remote_ts if one.ts_type == kind]
        told = [TrafficSelector(kind, 0, 0, 65535, net[0], net[-1]) for net in subnets if net.version == version]
        found += selectors.narrow(own, told) or own if told else own
    return tuple(found)
