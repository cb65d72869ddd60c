"""How long an outer packet to each peer may be: what its first hop carries, less where somebody has proven it.

A word holds for ten minutes (RFC 1191 section 6.3, RFC 8201 section 4); then the path is asked again, and if nobody
objects it is taken for as wide as its first hop. No word of ICMP takes a path below what every host must take, 576
octets over IPv4 and 1280 over IPv6, and none widens it; the peer's own word does both. Nothing is believed to carry
more than 1500 octets without configuration: a jumbo frame at our end says nothing of the networks behind. Pure: time is
an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from rhp.node.mtu import OUTER_MTU

IpAddress = IPv4Address | IPv6Address

LEAST = {4: 576, 6: 1280}
HOLDS_SECONDS = 600.0
ANSWER_SECONDS = 10.0
"""How long a router has to object before a path is taken for wider than it was."""


@dataclass(slots=True)
class _Path:
    first_hop: int
    told: int | None = None
    source: str = "interface"
    proven_at: float = 0.0
    asked_at: float | None = None


class PathMtus:
    """What is known of each path. `first_hop` asks the routing table and may raise OSError; `fixed` is configured."""

    def __init__(self, first_hop: Callable[[IpAddress], int], fixed: int | None = None) -> None:
        self._first_hop = first_hop
        self.fixed = fixed
        self._paths: dict[IpAddress, _Path] = {}

    def mtu(self, remote: IpAddress) -> int:
        """The octets that an outer packet may have."""
        if self.fixed is not None:
            return self.fixed
        path = self._path(remote)
        return path.first_hop if path.told is None else min(path.told, path.first_hop)

    def source(self, remote: IpAddress) -> str:
        """Where that is from: "configuration", "interface", "icmp", "silence" or "peer"."""
        if self.fixed is not None:
            return "configuration"
        path = self._path(remote)
        return "interface" if path.told is None else path.source

    def first_hop(self, remote: IpAddress) -> int:
        """What the interface towards `remote` carries, at most 1500: the size to ask the path for."""
        return self._path(remote).first_hop

    def look_again(self, remote: IpAddress) -> bool:
        """Ask the routing table anew; whether the MTU changed."""
        before = self.mtu(remote)
        self._path(remote).first_hop = self._measured(remote)
        return self.mtu(remote) != before

    def told(self, remote: IpAddress, mtu: int, now: float, source: str) -> bool:
        """A proven word came that longer packets do not pass; whether the MTU changed."""
        path = self._path(remote)
        before = self.mtu(remote)
        mtu = max(mtu, LEAST[remote.version])
        if self.fixed is not None or mtu > before or (mtu == before and path.told is None):
            return False
        if mtu < before:
            path.source = source
        path.told, path.proven_at, path.asked_at = mtu, now, None
        return mtu != before

    def carries(self, remote: IpAddress, mtu: int, now: float) -> bool:
        """The peer itself says that packets of this length reach it; whether the MTU changed."""
        path = self._path(remote)
        before = self.mtu(remote)
        if self.fixed is not None:
            return False
        if mtu != path.told:
            path.told, path.source = (None if mtu >= path.first_hop else mtu), "peer"
        path.proven_at, path.asked_at = now, None
        return self.mtu(remote) != before

    def is_old(self, remote: IpAddress, now: float) -> bool:
        """Whether it is time to ask a path that ICMP had narrowed again."""
        path = self._path(remote)
        return path.told is not None and path.asked_at is None and now - path.proven_at >= HOLDS_SECONDS

    def asked(self, remote: IpAddress, now: float) -> None:
        """The path is being asked for its first hop's size."""
        path = self._path(remote)
        if path.told is not None and now - path.proven_at >= HOLDS_SECONDS:
            path.asked_at = now

    def widened(self, now: float) -> list[IpAddress]:
        """The peers whose path carries what its first hop does from now on, because nobody objected."""
        found = []
        for remote, path in self._paths.items():
            if path.asked_at is not None and now - path.asked_at >= ANSWER_SECONDS:
                path.told = path.asked_at = None
                found.append(remote)
        return found

    def forget(self, remote: IpAddress) -> bool:
        """Begin anew with one peer, which is reached another way now; whether the MTU changed."""
        before = self.mtu(remote)
        self._paths.pop(remote, None)
        return self.mtu(remote) != before

    def keep(self, live: Collection[IpAddress]) -> None:
        """Forget every other peer."""
        self._paths = {remote: path for remote, path in self._paths.items() if remote in live}

    def _path(self, remote: IpAddress) -> _Path:
        if remote not in self._paths:
            self._paths[remote] = _Path(self._measured(remote))
        return self._paths[remote]

    def _measured(self, remote: IpAddress) -> int:
        try:
            return max(min(self._first_hop(remote), OUTER_MTU), LEAST[remote.version])
        except OSError:
            return OUTER_MTU
