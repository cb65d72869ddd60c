"""Which address this machine would use towards a peer. Nothing here sends a packet."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

IpAddress = IPv4Address | IPv6Address


def source_address(remote: IpAddress) -> IpAddress:
    """The address that the routing table takes towards `remote`; OSError when there is no way there."""
    family = socket.AF_INET6 if remote.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a UDP socket only asks the routing table. The port does not matter, but must not be 0.
        probe.connect((str(remote), 500))
        return ip_address(str(probe.getsockname()[0]).partition("%")[0])
