"""A MAC address for a peer that has none: one that talks IP in tunnel mode.

It is derived from who the peer is, so that it stays the same over reconnects and restarts and no station's ARP cache
goes stale. It is locally administered and no group address (IEEE 802: the two low bits of the first octet are 10).
"""

from __future__ import annotations

from collections.abc import Container
from hashlib import sha256


def pseudo_mac(connection: str, child: str, peer: tuple[int, bytes], taken: Container[bytes] = ()) -> bytes:
    """Six octets for a peer's child; steps to the next one while it is in `taken`."""
    kind, identification = peer
    for attempt in range(256):
        parts = (b"rhp pseudo-mac", connection.encode(), child.encode(), bytes((kind, attempt)), identification)
        digest = sha256(b"".join(len(part).to_bytes(2, "big") + part for part in parts)).digest()
        mac = bytes((digest[0] & 0xFC | 0x02,)) + digest[1:6]
        if mac not in taken:
            return mac
    raise ValueError("no pseudo-MAC is left for this peer")
