"""Where a datagram comes from and goes to.

A path names both ends of one outer UDP flow and says whether it runs over the NAT-T socket. There every IKE message
carries the four-octet non-ESP marker (RFC 3948 section 2.2); the adapter adds and strips it, the engine never sees it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

IKE_PORT = 500
NATT_PORT = 4500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An IP address and a UDP port (0 to 65535)."""

    ip: IpAddress
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Path:
    """Our end, the peer's end, and `natt`: whether it travels over the NAT-T socket, behind the non-ESP marker."""

    local: Endpoint
    remote: Endpoint
    natt: bool

    def floated(self, local_port: int, remote_port: int) -> "Path":
        """The same two addresses on the NAT-T ports, as after NAT detection (RFC 7296 section 2.23)."""
        return Path(replace(self.local, port=local_port), replace(self.remote, port=remote_port), True)

    def __str__(self) -> str:
        return f"{self.local} <-> {self.remote}{' (NAT-T)' if self.natt else ''}"


def within(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    """Whether an address is in one of these networks; none at all is any."""
    listed = tuple(networks)
    return not listed or any(address.version == network.version and address in network for network in listed)
