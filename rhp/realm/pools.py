"""All pools of a node together: who gets which address, for how long it stays theirs, and what it says of the network.

How this works: an address is lent to an identity, not to a connection. While any IKE SA holds it, it is in use; then it
rests and waits for the same identity to come back. An identity gets, in this order, its fixed address, the address
that it had before, one that nobody has, and when all are lent the one that has rested longest.

Nothing here does input or output or reads a clock, and no pool is written out: a /8 costs what is lent of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rhp.realm.key import identity_key
from rhp.realm.pool import Changed, IpAddress, Lease, Pool, PoolConfig
from rhp.wire.identity import Identity


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """How full a pool is: `size` addresses in all, `online` in use, `resting` kept for identities that are away."""

    name: str
    size: int
    online: int
    resting: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """An identity's address as plain data, to be kept over a restart by whoever has a disk."""

    pool: str
    identity: Identity
    address: IpAddress


class Pools:
    """The pools by name."""

    __slots__ = ("_pools", "_watcher")

    def __init__(self, configs: Iterable[PoolConfig] = ()) -> None:
        self._watcher: Changed | None = None
        self._pools = {config.name: Pool(config, self._changed) for config in configs}

    def __bool__(self) -> bool:
        return bool(self._pools)

    def config(self, name: str) -> PoolConfig | None:
        """The configuration of the pool of that name, or None."""
        pool = self._pools.get(name)
        return pool.config if pool is not None else None

    def serves(self, names: Sequence[str], version: int) -> bool:
        """Whether any of these pools has addresses of that IP version."""
        return any(pool.config.version == version for pool in self._named(names))

    def take(
        self,
        names: Sequence[str],
        identity: Identity,
        version: int,
        *,
        wanted: IpAddress | None = None,
        share: bool = True,
    ) -> Lease | None:
        """Lend an address of IP version 4 or 6 from the first of these pools that can; None when none can.

        `wanted` is given where it is free. With `share`, an identity that holds an address already gets that one, as
        when it comes anew before its old IKE SA has gone; without, it gets another one. `release` ends the loan.
        """
        pools = [pool for pool in self._named(names) if pool.config.version == version]
        key = identity_key(identity)
        ways: list[Callable[[Pool], Lease | None]] = [lambda pool: pool.fixed(identity, key, share)]
        if share:
            ways.append(lambda pool: pool.had(key, in_use=True))
        ways += [
            lambda pool: pool.had(key, in_use=False),
            lambda pool: pool.fresh(identity, key, wanted),
            lambda pool: pool.oldest(identity, key),
        ]
        found = next((lease for way in ways for pool in pools if (lease := way(pool)) is not None), None)
        if found is not None:
            self._pools[found.pool].hold(found)
        return found

    def release(self, lease: Lease) -> None:
        """One holder fewer; with the last one the address rests. Of a pool that has gone nothing is left to do."""
        pool = self._pools.get(lease.pool)
        if pool is not None:
            pool.release(lease)

    def holds(self, lease: Lease) -> bool:
        """Whether a loan is still one of a pool that is there: its address may have been taken out of it."""
        pool = self._pools.get(lease.pool)
        return pool is not None and pool.holds(lease)

    def usage(self) -> list[PoolUsage]:
        """How full each pool is, in the order of the configuration."""
        return [PoolUsage(pool.config.name, pool.size, pool.online, pool.resting) for pool in self._pools.values()]

    def remembered(self) -> tuple[Remembered, ...]:
        """Every loan and every address that rests, those that rested longest first."""
        return tuple(
            Remembered(pool.config.name, lease.identity, lease.address)
            for pool in self._pools.values()
            for lease in pool.leases()
        )

    def restore(self, remembered: Iterable[Remembered]) -> None:
        """Take up what an earlier `remembered` gave; what no longer fits its pool is left out."""
        for one in remembered:
            pool = self._pools.get(one.pool)
            if pool is not None:
                pool.restore(one.identity, one.address)

    def watch(self, watcher: Changed) -> None:
        """Have `watcher` told of every change from now on."""
        self._watcher = watcher

    def forget(self, address: IpAddress) -> bool:
        """Let an address that rests be anybody's; False where nobody has it. ValueError while it is in use."""
        # Ranges may overlap, so every pool is asked.
        return sum(pool.forget(address) for pool in self._pools.values()) > 0

    def update(self, configs: Iterable[PoolConfig]) -> None:
        """Go on with other pools: loans whose address and identity still fit stay, the others end when they end."""
        old, self._pools = self._pools, {config.name: Pool(config, self._changed) for config in configs}
        for name, gone in old.items():
            if name in self._pools:
                self._pools[name].adopt(gone)
            else:
                gone.let_go()

    def _changed(self, lease: Lease, gone: bool) -> None:
        if self._watcher is not None:
            self._watcher(lease, gone)

    def _named(self, names: Sequence[str]) -> list[Pool]:
        return [self._pools[name] for name in names if name in self._pools]
