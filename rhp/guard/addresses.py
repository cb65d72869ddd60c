"""Addresses and networks as they come in questions: those that are nothing but numbers.

Python also takes an IPv6 address with a scope ("fe80::1%eth0"), which may be any text and is kept as it came. Nobody
asks the guard for one, and on its way to a file or a program it would be somebody else's words.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import TypeVar

_T = TypeVar("_T")


def address(text: str) -> IPv4Address | IPv6Address:
    """ValueError for what is none, or has a scope."""
    return _plain(ip_address, text)


def interface(text: str) -> IPv4Interface | IPv6Interface:
    """An address and its network; ValueError as for `address`."""
    return _plain(ip_interface, text)


def network(text: str) -> IPv4Network | IPv6Network:
    """ValueError as for `address`."""
    return _plain(ip_network, text)


def _plain(read: Callable[[str], _T], text: str) -> _T:
    if "%" in text:
        raise ValueError("an address with a scope cannot be taken")
    return read(text)
