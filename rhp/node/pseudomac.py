"""MAC addresses that are made, not burnt in: the interface's own, and one for each peer that has none.

Each is derived from who it belongs to, so that it is the same after reconnects and restarts and no station's ARP cache
goes stale. All are locally administered and no group addresses (IEEE 802: the two low bits of the first octet are 10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address

from rhp.node.tally import Tally

Peer = tuple[int, bytes]


class PseudoMacs:
    """The pseudo-MACs in use. Each is one peer's, of which two tunnels may have the same for a moment."""

    def __init__(self) -> None:
        self._in_use: Tally[bytes] = Tally()
        self._owners: dict[bytes, Peer] = {}

    def take(self, connection: str, child: str, peer: Peer) -> bytes:
        """The MAC of a peer's child, never one that another peer has. ValueError when none is left."""
        mac = pseudo_mac(connection, child, peer, lambda one: self._owners.get(one, peer) != peer)
        self._owners[mac] = peer
        self._in_use.add(mac)
        return mac

    def give_back(self, mac: bytes) -> None:
        """A tunnel that had it is gone; KeyError for one that was not taken."""
        if self._in_use.remove(mac):
            del self._owners[mac]


def pseudo_mac(connection: str, child: str, peer: Peer, is_taken: Callable[[bytes], bool] = lambda mac: False) -> bytes:
    """Six octets for the child of a peer that talks IP in tunnel mode; steps to the next one while one `is_taken`."""
    kind, identification = peer
    for attempt in range(256):
        parts = (b"rhp pseudo-mac", connection.encode(), child.encode(), bytes((kind, attempt)), identification)
        mac = _derive(parts)
        if not is_taken(mac):
            return mac
    raise ValueError("no pseudo-MAC is left for this peer")


def pseudo_gateway(mac: bytes, version: int) -> IPv4Address | IPv6Address:
    """A link-local address by which a peer with that pseudo-MAC can be named as a gateway.

    IPv4 from RFC 3927's range without its first and last 256; IPv6 by RFC 4291 appendix A.
    """
    if version == 4:
        return IPv4Address(bytes((169, 254, 1 + mac[4] % 254, mac[5])))
    return IPv6Address(b"\xfe\x80" + bytes(6) + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:])


def interface_mac(machine: bytes, interface: str, identities: Iterable[bytes]) -> bytes:
    """Six octets for the interface of a node: by machine, interface name and the identities it goes by."""
    return _derive((b"rhp interface", machine, interface.encode(), *sorted(identities)))


def _derive(parts: Iterable[bytes]) -> bytes:
    digest = sha256(b"".join(len(part).to_bytes(2, "big") + part for part in parts)).digest()
    return bytes((digest[0] & 0xFC | 0x02,)) + digest[1:6]
