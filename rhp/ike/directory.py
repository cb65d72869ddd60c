"""The connections and realms of a configuration, arranged so that a handshake finds its own without a search.

In IKE_SA_INIT only the addresses are known. Those of all realms are the same, any, and most realms have the same
proposals; so what differs is kept once for each `Site`, a pair of address lists, with each proposal once. In IKE_AUTH
the peer says who it is, and `patterns` finds whose that is by looking it up. It is made anew when the configuration
changes, and never for a peer.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2s

from rhp.crypto.proposal import IkeProposal
from rhp.ike.config import ConnectionConfig
from rhp.ike.path import IpNetwork, Path, within
from rhp.realm.table import PatternTable

_Addresses = tuple[tuple[IpNetwork, ...], tuple[IpNetwork, ...]]
_Offer = tuple[int, ConnectionConfig]


class Site:
    """The connections that serve the same addresses. `offers` are those of them that add a proposal, by position."""

    __slots__ = ("_proposals", "authorities", "members", "offers", "ppk")

    def __init__(self) -> None:
        self.members: list[ConnectionConfig] = []
        self.offers: list[_Offer] = []
        # The CAs that vouch for peers, each once, in their order.
        self.authorities: dict[bytes, None] = {}
        self.ppk = False
        self._proposals: set[IkeProposal] = set()

    def add(self, position: int, connection: ConnectionConfig) -> None:
        """One connection more, in the order of the configuration."""
        self.members.append(connection)
        self.ppk = self.ppk or connection.ppk is not None
        if connection.remote.method == "pubkey":
            self.authorities.update(dict.fromkeys(connection.remote.cas))
        # One whose proposals were all refused for those before it would be refused as well.
        if not self._proposals.issuperset(connection.proposals):
            self._proposals.update(connection.proposals)
            self.offers.append((position, connection))


class Directory:
    """All that is asked of a list of connections. `rules` is a digest of what decides whose a peer is."""

    __slots__ = ("_by_name", "_sites", "connections", "names_count", "patterns", "rules")

    def __init__(self, connections: Sequence[ConnectionConfig] = ()) -> None:
        self.connections = connections
        self._by_name = {connection.name: connection for connection in connections}
        self._sites: dict[_Addresses, Site] = {}
        for position, one in enumerate(connections):
            self._sites.setdefault((one.local_addrs, one.remote_addrs), Site()).add(position, one)
        self.patterns = PatternTable((pattern, one) for one in connections for pattern in one.patterns)
        # Whether a certificate may say where its owner belongs.
        self.names_count = any(one.match and one.remote.method == "pubkey" for one in connections)
        self.rules = _digest(connections)

    def named(self, name: str) -> ConnectionConfig | None:
        """The connection of that name, or None."""
        return self._by_name.get(name)

    def offers(self, path: Path) -> list[ConnectionConfig]:
        """The connections whose proposals are to be tried on that path, in the order of the configuration."""
        found = [offer for site in self._serving(path) for offer in site.offers]
        found.sort(key=lambda offer: offer[0])
        return [connection for _, connection in found]

    def wants_ppk(self, path: Path) -> bool:
        """Whether a connection that serves the path has a PPK."""
        return any(site.ppk for site in self._serving(path))

    def authorities(self, path: Path) -> tuple[bytes, ...]:
        """The CAs, in DER, of all connections that serve the path."""
        return tuple({der: None for site in self._serving(path) for der in site.authorities})

    def serving(self, path: Path) -> Iterator[ConnectionConfig]:
        """Every connection that serves the path, without order."""
        for site in self._serving(path):
            yield from site.members

    def _serving(self, path: Path) -> Iterator[Site]:
        for (local, remote), site in self._sites.items():
            if within(path.local.ip, local) and within(path.remote.ip, remote):
                yield site


def _digest(connections: Sequence[ConnectionConfig]) -> bytes:
    digest = blake2s(digest_size=16)
    for one in connections:
        # A connection's own pattern as well, for it may take a peer out of a realm.
        kind = "realm" if one.match else "connection"
        for part in (one.name, kind, one.remote.method, *(pattern.export() for pattern in one.patterns)):
            digest.update(len(part.encode()).to_bytes(4) + part.encode())
    return digest.digest()
