"""Where the SAs of an engine are found: by SPI for messages, by id for people, by first message for retransmissions."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rhp.ike.exchange import ResponseWindow
from rhp.ike.path import Endpoint, IpAddress
from rhp.ike.states import LIVE_CHILD, IkeState
from rhp.pki.identity import ANONYMOUS
from rhp.realm.key import identity_key
from rhp.wire.iana import IdType

if TYPE_CHECKING:
    from rhp.ike.child_sa import ChildSa
    from rhp.ike.ike_sa import IkeSa


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of an IKE SA that ended by answering: the answer, for the peer that did not get it."""

    answers: ResponseWindow


class SaTable:
    """All living IKE SAs and Child SAs, and what some of the dead left behind."""

    __slots__ = (
        "_by_id",
        "_by_spi",
        "_children",
        "_connections",
        "_first_messages",
        "_half_open_of",
        "_lineages",
        "_peers",
        "_remotes",
        "half_open",
        "tombstones",
    )

    def __init__(self) -> None:
        self._by_spi: dict[bytes, IkeSa] = {}
        self._by_id: dict[int, IkeSa] = {}
        self._children: dict[int, ChildSa] = {}
        self._lineages: dict[int, ChildSa] = {}
        self._connections: Counter[str] = Counter()
        self._peers: dict[tuple[str, int, bytes], list[IkeSa]] = {}
        self._first_messages: dict[tuple[Endpoint, int], IkeSa] = {}
        self._half_open_of: dict[IpAddress | int, int] = {}
        self._remotes: dict[IpAddress, list[IkeSa]] = {}
        self.tombstones: dict[bytes, Tombstone] = {}
        self.half_open = 0

    def __len__(self) -> int:
        return len(self._by_spi)

    def knows(self, spi: bytes) -> bool:
        """Whether an IKE SPI of ours is taken, by the living or the dead."""
        return spi in self._by_spi or spi in self.tombstones

    def add(self, sa: "IkeSa") -> None:
        """A new IKE SA; from now on its id leads to it (its predecessor after a rekey is found by SPI only)."""
        self.add_spare(sa)
        self._by_id[sa.id] = sa

    def add_spare(self, sa: "IkeSa") -> None:
        """A new IKE SA that messages may be for, while its lineage's id leads to another one."""
        self._by_spi[sa.own_spi] = sa
        self._remotes.setdefault(sa.path.remote.ip, []).append(sa)

    def remove(self, sa: "IkeSa") -> None:
        """An IKE SA has gone; one that is not here is fine."""
        if self._by_spi.pop(sa.own_spi, None) is not None:
            self._leave(sa, sa.path.remote.ip)
        if self._by_id.get(sa.id) is sa:
            del self._by_id[sa.id]
        self.forget_first_message(sa)
        self.forget_peer(sa)

    def rename(self, sa: "IkeSa", ike_id: int) -> None:
        """This IKE SA goes on with the lineage of that id."""
        del self._by_id[sa.id]
        sa.id = ike_id
        self._by_id[ike_id] = sa

    def remember_peer(self, sa: "IkeSa") -> None:
        """The peer is authenticated."""
        self._peers.setdefault(_peer_key(sa), []).append(sa)
        self._connections[sa.connection_name] += 1

    def forget_peer(self, sa: "IkeSa") -> None:
        """This IKE SA no longer speaks for its peer; one that never did is fine."""
        key = _peer_key(sa)
        found = self._peers.get(key, [])
        if sa in found:
            found.remove(sa)
            self._connections[sa.connection_name] -= 1
            if not found:
                del self._peers[key]

    def same_peer(self, sa: "IkeSa") -> list["IkeSa"]:
        """The other authenticated IKE SAs of the same connection with the same peer."""
        return [other for other in self._peers.get(_peer_key(sa), ()) if other is not sa]

    def knows_connection(self, name: str) -> bool:
        """Whether any peer is authenticated on that connection."""
        return self._connections[name] > 0

    def by_spi(self, spi: bytes) -> "IkeSa | None":
        """The IKE SA whose own SPI (eight octets) this is."""
        return self._by_spi.get(spi)

    def by_id(self, ike_id: int) -> "IkeSa | None":
        """The newest IKE SA of a lineage."""
        return self._by_id.get(ike_id)

    def sas(self) -> Iterator["IkeSa"]:
        """Every IKE SA, the rekeyed ones that wait for their DELETE included."""
        return iter(tuple(self._by_spi.values()))

    def by_remote(self, remote: Endpoint) -> "IkeSa | None":
        """An established IKE SA whose peer is at that address, and at that port if there is such a one."""
        found = None
        for sa in self._remotes.get(remote.ip, ()):
            if sa.state is IkeState.ESTABLISHED:
                if sa.path.remote.port == remote.port:
                    return sa
                found = found or sa
        return found

    def moved(self, sa: "IkeSa", old: IpAddress) -> None:
        """The peer was at `old` and is elsewhere now; of an SA that is not here nothing is kept."""
        if self._by_spi.get(sa.own_spi) is sa:
            self._leave(sa, old)
            self._remotes.setdefault(sa.path.remote.ip, []).append(sa)

    def _leave(self, sa: "IkeSa", address: IpAddress) -> None:
        there = self._remotes[address]
        there.remove(sa)
        if not there:
            del self._remotes[address]

    def remember_first_message(self, sa: "IkeSa", remote: Endpoint, digest: int) -> None:
        """A responder's half-open SA, so that the same IKE_SA_INIT again finds it."""
        sa.first_message = (remote, digest)
        self._first_messages[sa.first_message] = sa
        self.half_open += 1
        self._half_open_of[_source(remote.ip)] = self.half_open_of(remote.ip) + 1

    def half_open_of(self, address: IpAddress) -> int:
        """How many half-open SAs a peer's address has, or the /64 that an IPv6 address is of."""
        return self._half_open_of.get(_source(address), 0)

    def by_first_message(self, remote: Endpoint, digest: int) -> "IkeSa | None":
        """The half-open SA which that IKE_SA_INIT made."""
        return self._first_messages.get((remote, digest))

    def forget_first_message(self, sa: "IkeSa") -> None:
        """The SA is no longer half-open."""
        if sa.first_message is not None:
            self._first_messages.pop(sa.first_message, None)
            source = _source(sa.first_message[0].ip)
            sa.first_message = None
            self.half_open -= 1
            left = self._half_open_of.pop(source) - 1
            if left:
                self._half_open_of[source] = left

    def add_child(self, child: "ChildSa") -> None:
        """A pair was installed and is now the one that its lineage's id leads to."""
        self._children[child.spi_in] = child
        self.lead(child)

    def lead(self, child: "ChildSa") -> None:
        """From now on its lineage's id leads to this pair."""
        self._lineages[child.id] = child

    def remove_child(self, child: "ChildSa") -> None:
        """A pair has gone; its lineage's id leads to another pair of it, if there is one."""
        self._children.pop(child.spi_in, None)
        if self._lineages.get(child.id) is not child:
            return
        older = child.sa.renews.children if child.sa.renews is not None else {}
        pairs = [*older.values(), *child.sa.children.values()]
        rest = [other for other in pairs if other.id == child.id and other is not child]
        # One that has been replaced itself comes last.
        rest.sort(key=lambda other: other.state in LIVE_CHILD)
        if rest:
            self.lead(rest[-1])
        else:
            del self._lineages[child.id]

    def lineage(self, child: "ChildSa") -> list["ChildSa"]:
        """All pairs of that pair's lineage that are left, the oldest first."""
        return [other for other in child.sa.children.values() if other.id == child.id]

    def child_by_spi(self, spi_in: int) -> "ChildSa | None":
        """The pair with that inbound SPI."""
        return self._children.get(spi_in)

    def child_by_id(self, child_id: int) -> "ChildSa | None":
        """The newest pair of a lineage."""
        return self._lineages.get(child_id)


def _source(address: IpAddress) -> IpAddress | int:
    """Who is one sender: an IPv4 address, or a /64 of IPv6, which one host may have to itself."""
    return address if address.version == 4 else int(address) >> 64


def _peer_key(sa: "IkeSa") -> tuple[str, int, bytes]:
    if sa.peer is None:
        return sa.connection_name, 0, b""
    if sa.peer == ANONYMOUS:
        # Those without a name are all different peers.
        return sa.connection_name, int(IdType.NULL), sa.own_spi
    return sa.connection_name, *identity_key(sa.peer)
