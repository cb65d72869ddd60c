"""The kinds of value in a [pools.NAME] table: ranges of addresses, single addresses, names of domains."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from rhp.config.values import address_text, network, text
from rhp.realm.pool import Span
from rhp.wire.cfg import read_domain
from rhp.wire.errors import DecodeError

IpAddress = IPv4Address | IPv6Address

_NOBODYS = tuple(map(ip_network, ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/127", "ff00::/8")))
"""Nobody, this host, and groups (RFC 6890, RFC 4291 section 2.4); 224.0.0.0/3 takes the reserved rest along."""


class AddressRange(NamedTuple):
    """Addresses to lend, and the prefix length of the network that they were written as; None for a plain range."""

    span: Span
    prefix: int | None


def address_range(value: object) -> AddressRange:
    """Read "10.88.0.0/24", "10.88.0.10-10.88.0.99" or one address.

    Of a network, the first address and IPv4's broadcast address are left out, which no station can have (RFC 4291
    section 2.6.1 for IPv6); of a range nothing is.
    """
    written = address_text(value)
    if "-" in written:
        span = _range(written)
        _lendable(written, span)
        return AddressRange(span, None)
    net = network(written)
    _lendable(written, Span(net[0], net[-1]))
    first, last = net[0], net[-1]
    if net.num_addresses > 2:
        first += 1
        if net.version == 4:
            last -= 1
    return AddressRange(Span(first, last), net.prefixlen if net.num_addresses > 1 else None)


def _range(written: str) -> Span:
    low, _, high = written.partition("-")
    try:
        first, last = ip_address(low.strip()), ip_address(high.strip())
    except ValueError:
        raise ValueError(
            f'"{written}" is not a range of addresses; write for example "10.88.0.10-10.88.0.99"'
        ) from None
    if first.version != last.version or int(first) > int(last):
        raise ValueError(f'"{written}" runs backwards or mixes IPv4 and IPv6; write the lower address first')
    return Span(first, last)


def _lendable(written: str, span: Span) -> None:
    """No host can have what multicast groups, loopback or nobody at all has."""
    for taken in _NOBODYS:
        clash = int(span.first) <= int(taken[-1]) and int(taken[0]) <= int(span.last)
        if taken.version == span.first.version and clash:
            told = f'"{written}" holds addresses that no host can have ({taken})'
            raise ValueError(f'{told}; write for example "10.88.0.0/24"')


def address(value: object) -> IpAddress:
    """Read one IP address."""
    written = address_text(value)
    try:
        found = ip_address(written)
    except ValueError:
        raise ValueError(f'"{written}" is not an IP address; write for example "10.88.0.1"') from None
    if found.is_unspecified or found.is_multicast or found.is_loopback:
        raise ValueError(f'"{written}" cannot be the address of a host; write for example "10.88.0.1"')
    return found


def domain(value: object) -> str:
    """Read the name of a domain, "corp.example.org"."""
    written = text(value).strip()
    try:
        found = read_domain(written.encode("idna") if not written.isascii() else written.encode())
    except (DecodeError, UnicodeError):
        found = None
    if not found:
        raise ValueError(f'"{written}" is not the name of a domain; write for example "corp.example.org"')
    return found
