"""What a configuration payload settled, seen from either side (RFC 7296 section 2.19).

`Grant` is what the responder may tell of when it answers; `Assignment` is what the initiator was told.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TypeVar

from rhp.ike.config import Mode, Station
from rhp.realm.pool import Lease, PoolConfig
from rhp.wire.cp import Attribute

T = TypeVar("T")
IpInterface = IPv4Interface | IPv6Interface
IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

MAX_VALUES = 64
"""So many addresses, names and networks of one kind are taken from a peer; what is beyond is not looked at."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The leases of a peer with their pools; `mode` is what its connection carries.

    `station` is what we are on the virtual Ethernet; it is there for a peer to which private attributes mean something.
    """

    leases: tuple[tuple[Lease, PoolConfig], ...]
    mode: Mode
    station: Station | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the peer gave us: at most one address of each IP version, and what it says of the network behind it.

    With `domains`, `dns` is to be asked for these alone. `version` is what the peer calls its program. `gateways` are
    routers on a virtual Ethernet, of which nothing is made but known. `others` are attributes that an extension reads.
    """

    addresses: tuple[IpInterface, ...] = ()
    dns: tuple[IpAddress, ...] = ()
    nbns: tuple[IpAddress, ...] = ()
    subnets: tuple[IpNetwork, ...] = ()
    domains: tuple[str, ...] = ()
    version: str = ""
    gateways: tuple[IpAddress, ...] = ()
    others: tuple[Attribute, ...] = ()


@dataclass(slots=True)
class Draft:
    """An assignment in the making, filled by the readers of `attributes` one attribute after the other."""

    ip4: IPv4Address | None = None
    ip6: IPv6Interface | None = None
    prefix4: int | None = None
    dns: list[IpAddress] = field(default_factory=list)
    nbns: list[IpAddress] = field(default_factory=list)
    subnets: list[IpNetwork] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    version: str = ""
    gateways: list[IpAddress] = field(default_factory=list)
    others: list[Attribute] = field(default_factory=list)

    def finished(self, mode: Mode) -> Assignment:
        """The assignment. A netmask tells of a link, so it counts only where there is one (section 3.15.1)."""
        found: list[IpInterface] = []
        if self.ip4 is not None:
            prefix = self.prefix4 if mode == "ethernet" and self.prefix4 else 32
            found.append(IPv4Interface((self.ip4, prefix)))
        if self.ip6 is not None:
            found.append(self.ip6 if mode == "ethernet" else IPv6Interface((self.ip6.ip, 128)))
        # RFC 8598 section 3.2: names without a server to ask are no use.
        return Assignment(
            tuple(found),
            _unique(self.dns),
            _unique(self.nbns),
            _unique(self.subnets),
            _unique(self.domains) if self.dns else (),
            self.version,
            _unique(self.gateways),
            tuple(self.others[:MAX_VALUES]),
        )


def _unique(values: list[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))[:MAX_VALUES]
