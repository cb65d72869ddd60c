"""What must hold of the pools of inner addresses, between them, and between them and the connections.

A pool is never written out, however large: ranges are compared by their ends.
"""

from __future__ import annotations

from rhp.config.model import Child, Configuration, Connection, Peering, Pool
from rhp.config.reading import Findings, Place
from rhp.config.suggest import nearest, one_of
from rhp.pki.identity import parse_identity
from rhp.realm.key import identity_key
from rhp.realm.pool import Span
from rhp.wire.ts import TrafficSelector


def check_pools(configuration: Configuration, findings: Findings) -> None:
    """Note every mistake in the pools and in what connections say of them."""
    for name, pool in configuration.pools.items():
        _check_versions(name, pool, findings)
        _check_fixed(name, pool, configuration, findings)
        if pool.domains and not pool.dns and not findings.was_wrong("pools", name, "dns"):
            findings.add(
                ("pools", name, "domains"), 'nobody is there to ask for these names; write dns = ["10.88.0.1"]'
            )
    _check_overlaps(configuration, findings)
    for here, peering in configuration.peerings():
        _check_peering(here, peering, configuration, findings)


def spans(pool: Pool) -> list[Span]:
    """The ranges of a pool."""
    return [one.span for one in pool.addresses]


def _check_versions(name: str, pool: Pool, findings: Findings) -> None:
    here = ("pools", name)
    if not pool.addresses:
        if not findings.was_wrong(*here, "addresses"):
            findings.add((*here, "addresses"), 'it is missing; write for example ["10.88.0.0/24"]')
        return
    version = pool.addresses[0].span.first.version
    other = "an IPv6 pool" if version == 6 else "an IPv4 pool"
    for index, one in enumerate(pool.addresses):
        if one.span.first.version != version:
            findings.add(
                (*here, "addresses", index), "IPv4 and IPv6 are two pools; write a table of its own for this one"
            )
    for key, values in (("dns", pool.dns), ("nbns", pool.nbns), ("subnets", pool.subnets)):
        for index, value in enumerate(values):
            if value.version != version:
                findings.add(
                    (*here, key, index),
                    f"{value} is of another IP version than {other}; write it in a pool of its own version",
                )
    if version == 6 and pool.nbns:
        findings.add((*here, "nbns"), "NetBIOS knows IPv4 only; leave it out here")


def _check_fixed(name: str, pool: Pool, configuration: Configuration, findings: Findings) -> None:
    own = {one.ip for _, _, interface in configuration.interfaces() for one in interface.addresses}
    owners: dict[object, str] = {}
    known: dict[object, str] = {}
    for who, address in pool.fixed.items():
        place: Place = ("pools", name, "fixed", who)
        try:
            key = identity_key(parse_identity(who))
        except ValueError as error:
            findings.add(place, str(error))
            continue
        if "*" in who.partition("@")[0]:
            findings.add(place, "an address is fixed for one identity; write a whole one, such as a@example.org")
        if pool.addresses and not any(address in span for span in spans(pool)):
            findings.add(place, f"{address} does not lie in this pool; write an address of it, or widen addresses")
        if address in own:
            findings.add(place, f"{address} is this node's own address; write another one")
        if other := owners.get(address):
            findings.add(place, f"{address} is {other}'s already; write another one")
        if other := known.get(key):
            findings.add(place, f"this is the same identity as {other}; leave one of them out")
        owners.setdefault(address, who)
        known.setdefault(key, who)


def _check_overlaps(configuration: Configuration, findings: Findings) -> None:
    """Two ranges with an address in common would lend it twice. Sorted, only neighbours need a look."""
    ranges = [
        (one.span, name, index)
        for name, pool in configuration.pools.items()
        for index, one in enumerate(pool.addresses)
    ]
    ranges.sort(key=lambda entry: (entry[0].first.version, int(entry[0].first)))
    widest: tuple[Span, str, int] | None = None
    for entry in ranges:
        span, name, index = entry
        if widest is not None and span.first in widest[0]:
            where = "this pool" if widest[1] == name else f"the pool {widest[1]}"
            findings.add(
                ("pools", name, "addresses", index),
                f"it overlaps {_written(widest[0])} of {where}; write ranges that have no address in common",
            )
        if widest is None or span.first.version != widest[0].first.version or int(span.last) > int(widest[0].last):
            widest = entry


def _check_peering(here: tuple[str, str], peering: Peering, configuration: Configuration, findings: Findings) -> None:
    for index, pool in enumerate(peering.pools):
        if pool not in configuration.pools and not findings.was_wrong("pools", pool):
            hint = nearest(pool, configuration.pools) or one_of(configuration.pools)
            hint = f"write {hint}" if hint else f"write a table [pools.{pool}]"
            findings.add((*here, "pools", index), f'there is no pool "{pool}"; {hint}')
        elif pool in peering.pools[:index]:
            findings.add((*here, "pools", index), f"the pool {pool} is named twice; leave one of them out")
    if peering.pools and isinstance(peering, Connection) and peering.request_addresses:
        findings.add(
            (*here, "request_addresses"),
            "a connection gives addresses or asks for them; leave out this or pools",
        )
    lent = [span for pool in peering.pools if pool in configuration.pools for span in spans(configuration.pools[pool])]
    for child_name, child in peering.children.items():
        _check_child((*here, "children", child_name), child, lent, findings)


def _check_child(here: Place, child: Child, lent: list[Span], findings: Findings) -> None:
    """A client may use the address that it was lent, and no other of the pool."""
    for index, selector in enumerate(child.remote_ts):
        if any(_meets(selector, span) for span in lent):
            findings.add(
                (*here, "remote_ts", index),
                "a client would be allowed the addresses of others; leave it out, and each has the one it was lent",
            )


def _meets(selector: TrafficSelector, span: Span) -> bool:
    return selector.start.version == span.first.version and (
        int(selector.start) <= int(span.last) and int(span.first) <= int(selector.end)
    )


def _written(span: Span) -> str:
    return str(span.first) if span.first == span.last else f"{span.first}-{span.last}"
