"""Which interface packets to an address leave by, and how long they may be there (rtnetlink(7), netdevice(7)).

Asking a connected socket would be shorter, but its answer holds what ICMP said of the path, and anybody can forge ICMP.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from rhp.net import netlink
from rhp.net.link import link_mtu

IpAddress = IPv4Address | IPv6Address

_RTM_GETROUTE = 26
_RTA_DST = 1
_RTA_OIF = 4
_RTA_METRICS = 8
_RTA_CACHEINFO = 12
_RTAX_MTU = 2
_ROUTE = struct.Struct("=BBBBBBBBI")
_EXPIRES = struct.Struct("=8xi")


def interface_mtu(remote: IpAddress) -> int:
    """The octets that an IP packet to `remote` may have on its first hop; OSError when there is no way there."""
    found = dict(netlink.attributes(_route(remote)[_ROUTE.size :]))
    (index,) = struct.unpack("=I", found[_RTA_OIF])
    mtu = link_mtu(socket.if_indextoname(index))
    metrics = dict(netlink.attributes(found.get(_RTA_METRICS, b"")))
    # An MTU that expires is one that ICMP told; one that stays was set by whoever set the route.
    expires = _RTA_CACHEINFO in found and _EXPIRES.unpack_from(found[_RTA_CACHEINFO])[0] != 0
    if _RTAX_MTU in metrics and not expires:
        mtu = min(mtu, *struct.unpack("=I", metrics[_RTAX_MTU]))
    return mtu


def _route(remote: IpAddress) -> bytes:
    """The kernel's answer, from the routing message on."""
    octets = remote.packed
    family = socket.AF_INET6 if remote.version == 6 else socket.AF_INET
    body = _ROUTE.pack(family, len(octets) * 8, 0, 0, 0, 0, 0, 0, 0)
    body += netlink.attribute(_RTA_DST, octets)
    if isinstance(remote, IPv6Address) and remote.scope_id:
        # A link-local address is one of its interface, by name or by number.
        scope = remote.scope_id
        index = int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
        body += netlink.attribute(_RTA_OIF, struct.pack("=I", index))
    return netlink.ask(_RTM_GETROUTE, body)[1]
