"""Traffic selectors: what two peers agree to carry (RFC 7296 section 2.9).

A selector is a box: an address family, a protocol (0 is any), a range of ports and a range of addresses. Narrowing is
the intersection of what is offered with what is configured, box by box.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from rhp.wire.iana import IpProtocol, TsType
from rhp.wire.ts import TrafficSelector

# Section 3.13.1: OPAQUE ports are written as an empty range, "not available to policy".
_OPAQUE = (65535, 0)
_ANY_PORT = (0, 65535)


def _between_any(protocol: int) -> tuple[TrafficSelector, TrafficSelector]:
    return (
        TrafficSelector(TsType.IPV4_ADDR_RANGE, protocol, *_ANY_PORT, IPv4Address(0), IPv4Address(2**32 - 1)),
        TrafficSelector(TsType.IPV6_ADDR_RANGE, protocol, *_ANY_PORT, IPv6Address(0), IPv6Address(2**128 - 1)),
    )


ETHERNET = _between_any(IpProtocol.ETHERIP)
"""What an Ethernet child asks for on both sides: EtherIP (RFC 3378) between any two addresses."""

ANYTHING = _between_any(0)
"""Every protocol between any two addresses."""

MAX_SELECTORS = 64
"""More boxes than that are not worth a policy; what a peer offers beyond is not looked at."""


def hosts(addresses: Iterable[IPv4Address | IPv6Address]) -> tuple[TrafficSelector, ...]:
    """All traffic of these addresses."""
    kinds = {4: TsType.IPV4_ADDR_RANGE, 6: TsType.IPV6_ADDR_RANGE}
    return tuple(TrafficSelector(kinds[one.version], 0, *_ANY_PORT, one, one) for one in addresses)


def intersection(one: TrafficSelector, other: TrafficSelector) -> TrafficSelector | None:
    """The box that is in both, or None."""
    if one.ts_type != other.ts_type:
        return None
    if one == other:
        empty = _ports(one, other) is None or one.start > one.end  # type: ignore[operator]
        return None if empty else one
    if one.protocol != other.protocol and one.protocol and other.protocol:
        return None
    ports = _ports(one, other)
    if ports is None:
        return None
    # Two addresses of one selector type are of one family, so they compare.
    start = max(one.start, other.start)
    end = min(one.end, other.end)
    if start > end:  # type: ignore[operator]
        return None
    return TrafficSelector(one.ts_type, one.protocol or other.protocol, ports[0], ports[1], start, end)


def contains(outer: TrafficSelector, inner: TrafficSelector) -> bool:
    """Whether every packet of `inner` is also one of `outer`."""
    return intersection(outer, inner) == inner


def covered(inner: Iterable[TrafficSelector], outer: Sequence[TrafficSelector]) -> bool:
    """Whether each selector of `inner` lies within one of `outer`; an answer to our offer has to (section 2.9)."""
    return all(any(contains(box, selector) for box in outer) for selector in inner)


def narrow(offered: Sequence[TrafficSelector], configured: Sequence[TrafficSelector]) -> tuple[TrafficSelector, ...]:
    """What is in both, in the order offered and without what another part contains; empty when nothing is."""
    return _narrowed(tuple(offered[:MAX_SELECTORS]), tuple(configured))


# Most peers ask for the same as those before them.
@lru_cache(256)
def _narrowed(
    offered: tuple[TrafficSelector, ...], configured: tuple[TrafficSelector, ...]
) -> tuple[TrafficSelector, ...]:
    found: list[TrafficSelector] = []
    for box in offered:
        for ours in configured:
            part = intersection(box, ours)
            if part is None or any(contains(known, part) for known in found):
                continue
            found = [known for known in found if not contains(part, known)]
            found.append(part)
    return tuple(found[:MAX_SELECTORS])


def common_families(
    one: tuple[TrafficSelector, ...], other: tuple[TrafficSelector, ...]
) -> tuple[tuple[TrafficSelector, ...], tuple[TrafficSelector, ...]]:
    """Both sides without the address families that only one of them has: such traffic has no other end."""
    families = {selector.ts_type for selector in one} & {selector.ts_type for selector in other}
    return (
        tuple(selector for selector in one if selector.ts_type in families),
        tuple(selector for selector in other if selector.ts_type in families),
    )


def _ports(one: TrafficSelector, other: TrafficSelector) -> tuple[int, int] | None:
    first, second = (one.start_port, one.end_port), (other.start_port, other.end_port)
    if _OPAQUE in (first, second):
        return _OPAQUE if first == second or _ANY_PORT in (first, second) else None
    start, end = max(first[0], second[0]), min(first[1], second[1])
    return (start, end) if start <= end else None
