"""MAC addresses that are made, not burnt in: the interface's own, and one for each peer that has none.

Each is derived from who it belongs to, so that it is the same after reconnects and restarts and no station's ARP cache
goes stale. All are locally administered and no group addresses (IEEE 802: the two low bits of the first octet are 10).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from hashlib import sha256


def pseudo_mac(connection: str, child: str, peer: tuple[int, bytes], taken: Container[bytes] = ()) -> bytes:
    """Six octets for the child of a peer that talks IP in tunnel mode; steps to the next one while it is in `taken`."""
    kind, identification = peer
    for attempt in range(256):
        parts = (b"rhp pseudo-mac", connection.encode(), child.encode(), bytes((kind, attempt)), identification)
        mac = _derive(parts)
        if mac not in taken:
            return mac
    raise ValueError("no pseudo-MAC is left for this peer")


def interface_mac(machine: bytes, interface: str, identities: Iterable[bytes]) -> bytes:
    """Six octets for the interface of a node: by machine, interface name and the identities it goes by."""
    return _derive((b"rhp interface", machine, interface.encode(), *sorted(identities)))


def _derive(parts: Iterable[bytes]) -> bytes:
    digest = sha256(b"".join(len(part).to_bytes(2, "big") + part for part in parts)).digest()
    return bytes((digest[0] & 0xFC | 0x02,)) + digest[1:6]
