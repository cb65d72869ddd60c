"""One pool of inner addresses: which are lent, which rest, which are free."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import MappingProxyType

from rhp.realm.key import Key, identity_key
from rhp.wire.identity import Identity

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
Changed = Callable[["Lease", bool], None]
"""Is told of a lease that was taken or left, and with True of one that nobody has any more."""

MAX_RESTING = 16384
"""So many addresses are kept for identities that are away; beyond that the one that has rested longest is forgotten."""


@dataclass(frozen=True, slots=True)
class Span:
    """The addresses from `first` to `last`, both included."""

    first: IpAddress
    last: IpAddress

    @property
    def size(self) -> int:
        """How many addresses it has."""
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: IpAddress) -> bool:
        return address.version == self.first.version and int(self.first) <= int(address) <= int(self.last)


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """What a pool lends, and what it tells of the network behind. All addresses are of one IP version.

    `prefix` is the prefix length of the link that the addresses lie on, for peers that carry Ethernet. `fixed` are
    addresses for one identity each, `reserved` those that nobody gets, such as our own. `domains` are the names that
    `dns` is to be asked for; without any, it is to be asked for all (RFC 8598).
    """

    name: str
    spans: tuple[Span, ...]
    prefix: int
    dns: tuple[IpAddress, ...] = ()
    nbns: tuple[IpAddress, ...] = ()
    subnets: tuple[IpNetwork, ...] = ()
    domains: tuple[str, ...] = ()
    fixed: tuple[tuple[Identity, IpAddress], ...] = ()
    reserved: frozenset[IpAddress] = frozenset()

    @property
    def version(self) -> int:
        """The IP version of its addresses, 4 or 6."""
        return self.spans[0].first.version


class Lease:
    """An address that an identity has; `holders` counts the IKE SAs that use it."""

    __slots__ = ("address", "holders", "identity", "pool")

    def __init__(self, pool: str, identity: Identity, address: IpAddress) -> None:
        self.pool = pool
        self.identity = identity
        self.address = address
        self.holders = 0

    def __repr__(self) -> str:
        return f"Lease({self.pool} {self.address} x{self.holders})"


class Pool:
    """The leases of one pool, found by address and by identity."""

    __slots__ = (
        "_by_address",
        "_by_identity",
        "_changed",
        "_cursor",
        "_fixed",
        "_kept",
        "_lent_kept",
        "_resting",
        "config",
        "size",
    )

    def __init__(self, config: PoolConfig, changed: Changed = lambda lease, gone: None) -> None:
        self.config = config
        self._changed = changed
        self.size = sum(span.size for span in config.spans)
        self._fixed = {identity_key(identity): address for identity, address in config.fixed}
        # Never lent to just anybody: fixed ones and those reserved, as far as they lie in the pool.
        self._kept = frozenset(
            address
            for address in (*self._fixed.values(), *config.reserved)
            if any(address in span for span in config.spans)
        )
        self._by_address: dict[IpAddress, Lease] = {}
        self._by_identity: dict[Key, list[Lease]] = {}
        self._resting: OrderedDict[IpAddress, Lease] = OrderedDict()
        self._lent_kept = 0
        self._cursor = 0

    @property
    def online(self) -> int:
        """How many addresses are in use."""
        return len(self._by_address) - len(self._resting)

    @property
    def resting(self) -> int:
        """How many addresses wait for their identity to come back."""
        return len(self._resting)

    def leases(self) -> Iterator[Lease]:
        """Those that rest, the longest first, then those in use."""
        yield from self._resting.values()
        yield from (lease for lease in self._by_address.values() if lease.holders)

    def fixed(self, identity: Identity, key: Key, share: bool) -> Lease | None:
        """The lease of this identity's fixed address, if it has one here; in use by itself only with `share`."""
        address = self._fixed.get(key)
        if address is None:
            return None
        lease = self._by_address.get(address)
        if lease is None:
            return self._add(identity, key, address)
        return lease if lease in self._by_identity.get(key, ()) and (share or not lease.holders) else None

    def had(self, key: Key, *, in_use: bool) -> Lease | None:
        """A lease that this identity has: one in use, or one that rests."""
        return next((lease for lease in self._by_identity.get(key, ()) if bool(lease.holders) == in_use), None)

    def fresh(self, identity: Identity, key: Key, wanted: IpAddress | None) -> Lease | None:
        """A lease of an address that nobody has; of `wanted`, if that is such a one."""
        if wanted is not None and self._is_free(wanted):
            return self._add(identity, key, wanted)
        if len(self._by_address) - self._lent_kept >= self.size - len(self._kept):
            return None
        while True:
            address = self._at(self._cursor)
            self._cursor = (self._cursor + 1) % self.size
            if self._is_free(address):
                return self._add(identity, key, address)

    def oldest(self, identity: Identity, key: Key) -> Lease | None:
        """A lease of the address that has rested longest, which its identity loses."""
        found = next((lease for address, lease in self._resting.items() if address not in self._kept), None)
        if found is None:
            return None
        self._forget(found)
        return self._add(identity, key, found.address)

    def hold(self, lease: Lease) -> None:
        """One holder more."""
        lease.holders += 1
        self._resting.pop(lease.address, None)
        if lease.holders == 1:
            self._changed(lease, False)

    def release(self, lease: Lease) -> None:
        """One holder fewer; with the last one the address rests."""
        if self._by_address.get(lease.address) is not lease or not lease.holders:
            return
        lease.holders -= 1
        if not lease.holders:
            self._rest(lease)
            self._changed(lease, False)

    def forget(self, address: IpAddress) -> bool:
        """Let an address that rests be anybody's; False where nobody has it. ValueError while it is in use."""
        lease = self._by_address.get(address)
        if lease is None:
            return False
        if lease.holders:
            raise ValueError("the address is in use")
        self._forget(lease)
        return True

    def holds(self, lease: Lease) -> bool:
        """Whether this loan is one of this pool's."""
        return self._by_address.get(lease.address) is lease

    def restore(self, identity: Identity, address: IpAddress) -> None:
        """Remember an address for an identity that is away, if it fits and is free."""
        key = identity_key(identity)
        if self._is_free(address) or (self._fixed.get(key) == address and address not in self._by_address):
            self._rest(self._add(identity, key, address))

    def adopt(self, old: "Pool") -> None:
        """Take over the leases of this pool's earlier form that still fit."""
        for lease in old.leases():
            key = identity_key(lease.identity)
            if self._fixed.get(key) == lease.address or self._is_free(lease.address):
                self._enter(lease, key)
                if not lease.holders:
                    self._rest(lease)
        old.let_go(self._by_address)

    def let_go(self, kept: Mapping[IpAddress, Lease] = MappingProxyType({})) -> None:
        """This pool is over: tell of all leases but those that are `kept`."""
        for lease in self.leases():
            if kept.get(lease.address) is not lease:
                self._changed(lease, True)

    def _at(self, index: int) -> IpAddress:
        for span in self.config.spans:
            if index < span.size:
                return span.first + index
            index -= span.size
        raise IndexError(index)

    def _is_free(self, address: IpAddress) -> bool:
        lies_here = any(address in span for span in self.config.spans)
        return lies_here and address not in self._kept and address not in self._by_address

    def _add(self, identity: Identity, key: Key, address: IpAddress) -> Lease:
        lease = Lease(self.config.name, identity, address)
        self._enter(lease, key)
        return lease

    def _enter(self, lease: Lease, key: Key) -> None:
        self._by_address[lease.address] = lease
        self._by_identity.setdefault(key, []).append(lease)
        self._lent_kept += lease.address in self._kept

    def _rest(self, lease: Lease) -> None:
        self._resting[lease.address] = lease
        self._resting.move_to_end(lease.address)
        while len(self._resting) > MAX_RESTING:
            self._forget(next(iter(self._resting.values())))

    def _forget(self, lease: Lease) -> None:
        self._resting.pop(lease.address, None)
        del self._by_address[lease.address]
        self._lent_kept -= lease.address in self._kept
        self._changed(lease, True)
        key = identity_key(lease.identity)
        own = self._by_identity[key]
        own.remove(lease)
        if not own:
            del self._by_identity[key]
