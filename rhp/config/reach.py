"""Which networks the routes of a configuration may lead into: what its children's selectors and pools hold."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, summarize_address_range

from rhp.config.model import Child, Configuration, Connection

IpNetwork = IPv4Network | IPv6Network


def reach(configuration: Configuration) -> tuple[str, ...] | None:
    """These networks, or None for any: what a peer assigns, or may ask for, is known only once it is there."""
    found: dict[IpNetwork, None] = {}
    for connection in configuration.connections.values():
        for child in connection.children.values():
            if child.mode != "tunnel":
                continue
            nets = list(_behind(configuration, connection, child))
            if connection.request_addresses or not nets:
                return None
            found.update(dict.fromkeys(nets))
    return tuple(map(str, found))


def _behind(configuration: Configuration, connection: Connection, child: Child) -> Iterator[IpNetwork]:
    for selector in child.remote_ts:
        yield from summarize_address_range(selector.start, selector.end)
    for name in connection.pools:
        pool = configuration.pools.get(name)
        for one in pool.addresses if pool is not None else ():
            yield from summarize_address_range(one.span.first, one.span.last)
        yield from (
            IPv4Network(int(ip)) if ip.version == 4 else IPv6Network(int(ip))
            for ip in (pool.fixed.values() if pool is not None else ())
        )
