"""Traffic selectors as swanctl writes them: "10.0.0.0/24", "10.0.0.1-10.0.0.9", "10.0.0.0/24[udp/4000-4010]"."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from rhp.config.suggest import nearest, one_of
from rhp.config.values import address_text, network
from rhp.wire.iana import TsType
from rhp.wire.ts import TrafficSelector

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58, "ospf": 89, "etherip": 97, "sctp": 132}
_FORM = re.compile(r"(?P<range>[^\[\]]+)(?:\[(?P<limits>[^\[\]]*)\])?")


def selector(value: object) -> TrafficSelector:
    """Read one selector; ValueError says in one sentence what is wrong with it."""
    written = address_text(value)
    match = _FORM.fullmatch(written)
    if not match:
        raise ValueError(
            f'"{written}" is not a traffic selector; write for example "10.0.0.0/24" or "10.0.0.1[tcp/443]"'
        )
    start, end = _range(match["range"].strip())
    protocol, ports = _limits(match["limits"] or "")
    kind = TsType.IPV4_ADDR_RANGE if start.version == 4 else TsType.IPV6_ADDR_RANGE
    return TrafficSelector(kind, protocol, *ports, start, end)


def _range(written: str) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    if "-" not in written:
        net = network(written)
        return net[0], net[-1]
    low, _, high = written.partition("-")
    try:
        start, end = ip_address(low.strip()), ip_address(high.strip())
    except ValueError:
        raise ValueError(f'"{written}" is not a range of addresses; write for example "10.0.0.1-10.0.0.9"') from None
    if start.version != end.version or int(start) > int(end):
        raise ValueError(f'"{written}" runs backwards or mixes IPv4 and IPv6; write the lower address first')
    return start, end


def _limits(written: str) -> tuple[int, tuple[int, int]]:
    """Read "tcp/80", "tcp", "17/4000-4010" or nothing; return the protocol and the inclusive port range."""
    if not written:
        return 0, (0, 65535)
    word, _, ports = written.partition("/")
    word = word.strip().lower()
    if word.isdigit() and int(word) <= 255:
        protocol = int(word)
    elif word in _PROTOCOLS:
        protocol = _PROTOCOLS[word]
    else:
        hint = nearest(word, _PROTOCOLS)
        raise ValueError(f'"{word}" is not a protocol; write {hint or "its number or " + one_of(_PROTOCOLS)}')
    if not ports.strip():
        return protocol, (0, 65535)
    match = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", ports)
    low = int(match[1]) if match else -1
    high = int(match[2] or match[1]) if match else -1
    if not 0 <= low <= high <= 65535:
        raise ValueError(f'"{ports}" is not a port or a range of ports; write for example "80" or "4000-4010"')
    return protocol, (low, high)
