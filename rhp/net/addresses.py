"""What this machine's addresses are, and which one it would use towards a peer. Nothing here sends a packet."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

IpAddress = IPv4Address | IPv6Address

_FIB_TRIE = Path("/proc/net/fib_trie")
_IF_INET6 = Path("/proc/net/if_inet6")


def source_address(remote: IpAddress) -> IpAddress:
    """The address that the routing table takes towards `remote`; OSError when there is no way there."""
    family = socket.AF_INET6 if remote.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a UDP socket only asks the routing table. The port does not matter, but must not be 0.
        probe.connect((str(remote), 500))
        return ip_address(str(probe.getsockname()[0]).partition("%")[0])


def local_addresses(fib_trie: Path = _FIB_TRIE, if_inet6: Path = _IF_INET6) -> frozenset[IpAddress]:
    """Every address of this network namespace, loopback included; what cannot be read counts as none."""
    return frozenset({*_ipv4(fib_trie), *_ipv6(if_inet6)})


def _ipv4(fib_trie: Path) -> list[IPv4Address]:
    found: list[IPv4Address] = []
    last = ""
    for line in _lines(fib_trie):
        word = line.strip()
        if word.startswith("|--"):
            last = word.removeprefix("|--").strip()
        elif word == "/32 host LOCAL" and last:
            found.append(IPv4Address(last))
    return found


def _ipv6(if_inet6: Path) -> list[IPv6Address]:
    return [IPv6Address(bytes.fromhex(line.split()[0])) for line in _lines(if_inet6)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
