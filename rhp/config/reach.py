"""Which networks the routes of a configuration may lead into: what its children's selectors and pools hold."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, summarize_address_range

from rhp.config.model import Child, Configuration, Connection, Peering

IpNetwork = IPv4Network | IPv6Network


def reach(configuration: Configuration) -> tuple[str, ...] | None:
    """These networks, or None for any: what a peer assigns, or may ask for, is known only once it is there."""
    found: dict[IpNetwork, None] = {}
    for _, peering in configuration.peerings():
        asks = isinstance(peering, Connection) and peering.request_addresses
        for child in peering.children.values():
            if child.mode != "tunnel":
                continue
            nets = list(_behind(configuration, peering, child))
            if asks or not nets:
                return None
            found.update(dict.fromkeys(nets))
    return tuple(map(str, found))


def _behind(configuration: Configuration, peering: Peering, child: Child) -> Iterator[IpNetwork]:
    for selector in child.remote_ts:
        yield from summarize_address_range(selector.start, selector.end)
    for name in peering.pools:
        pool = configuration.pools.get(name)
        for one in pool.addresses if pool is not None else ():
            yield from summarize_address_range(one.span.first, one.span.last)
        yield from (
            IPv4Network(int(ip)) if ip.version == 4 else IPv6Network(int(ip))
            for ip in (pool.fixed.values() if pool is not None else ())
        )
