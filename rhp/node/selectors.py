"""Traffic selectors as text and as networks, for status, logs and routes."""

from __future__ import annotations

from collections.abc import Iterable
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


def format_selector(selector: TrafficSelector) -> str:
    """Write a selector as swanctl does: "10.0.0.0/24[tcp/443]"."""
    nets = [str(net) for net in summarize_address_range(selector.start, selector.end)]
    text = nets[0] if len(nets) == 1 else f"{selector.start}-{selector.end}"
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
