"""Traffic selectors as text and as networks, for status, logs and routes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, summarize_address_range

from rhp.wire.ts import TrafficSelector

_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 97: "etherip"}


def networks(selectors: Iterable[TrafficSelector]) -> list[IPv4Network | IPv6Network]:
    """The fewest networks that cover the selectors' address ranges, in order, each once."""
    found: dict[IPv4Network | IPv6Network, None] = {}
    for selector in selectors:
        for net in summarize_address_range(selector.start, selector.end):
            found.setdefault(net)
    return list(found)


@lru_cache(4096)
def format_selector(selector: TrafficSelector) -> str:
    """Write a selector as swanctl does: "10.0.0.0/24[tcp/443]"."""
    # One network has a power of two of addresses, and begins at a multiple of it.
    first, count = int(selector.start), int(selector.end) - int(selector.start) + 1
    if count & (count - 1) or first % count:
        text = f"{selector.start}-{selector.end}"
    else:
        text = f"{selector.start}/{selector.start.max_prefixlen - count.bit_length() + 1}"
    everything = (selector.start_port, selector.end_port) == (0, 65535)
    if not selector.protocol and everything:
        return text
    limits = _NAMES.get(selector.protocol, str(selector.protocol))
    if not everything:
        low, high = selector.start_port, selector.end_port
        limits += f"/{low}" if low == high else f"/{low}-{high}"
    return f"{text}[{limits}]"


def format_selectors(selectors: Iterable[TrafficSelector]) -> str:
    """Write several selectors, separated by commas."""
    return ", ".join(map(format_selector, selectors))
